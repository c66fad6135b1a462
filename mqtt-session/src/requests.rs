//! Requests that wait for their responses (section 4.10).

use core::fmt;
use core::time::Duration;

use mqtt_codec::Publish;

use crate::{Instant, Ring};

/// Tells the response to one request from all others: Correlation Data, or for 3.1.1, which has none,
/// the last level of the Response Topic as its `Display` writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Correlation([u8; 4]);

impl Correlation {
    /// Correlation Data for the request.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    /// What a response carries: Correlation Data, or else the last level of its topic.
    fn of(response: &Publish<'_>) -> Option<Self> {
        if let Some(data) = response.properties.correlation_data() {
            return data.try_into().ok().map(Self);
        }
        let level = response.topic.levels().last().filter(|level| level.len() == 8)?;
        u32::from_str_radix(level, 16).ok().map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for Correlation {
    /// Eight hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// Storage for one request that waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    number: u32,
    deadline: Instant,
}

/// Requests that wait for their responses, a bounded number of them, each until its time is over.
///
/// ```
/// use core::time::Duration;
/// use mqtt_codec::{Property, Publish, TopicName};
/// use mqtt_session::{Instant, Requests};
///
/// let now = Instant::from_millis(0);
/// let mut requests = Requests::heap(8);
/// let request = requests.open(now, Duration::from_secs(5)).expect("there is room");
/// // Publish it with Property::ResponseTopic(..) and this:
/// let correlation = [Property::CorrelationData(request.as_bytes())];
///
/// let mut response = Publish::new(TopicName::new("responses/me")?, b"42");
/// assert_eq!(requests.close(&response), None);
/// response.properties = correlation[..].into();
/// assert_eq!(requests.close(&response), Some(request));
/// assert_eq!(requests.close(&response), None);
///
/// let request = requests.open(now, Duration::from_secs(5)).expect("there is room");
/// let late = now + Duration::from_secs(5);
/// assert_eq!(requests.next_timeout(), Some(late));
/// assert_eq!(requests.expired(late), Some(request));
/// # Ok::<(), mqtt_codec::Violation>(())
/// ```
#[derive(Debug)]
pub struct Requests<'s> {
    waiting: Ring<'s, Request>,
    last: u32,
}

impl<'s> Requests<'s> {
    /// At most `max` requests, on the heap.
    #[cfg(feature = "alloc")]
    #[must_use]
    pub fn heap(max: u16) -> Requests<'static> {
        Requests { waiting: Ring::heap(max), last: 0 }
    }

    /// As many requests as there is lent storage for.
    #[must_use]
    pub fn lent(storage: &'s mut [Request]) -> Self {
        Self { waiting: storage.into(), last: 0 }
    }

    /// Counts the requests from this number on. A response may come after a crash to a request of before:
    /// begin with a random number where it must not be taken for one to another request.
    #[must_use]
    pub const fn starting_at(mut self, number: u32) -> Self {
        self.last = number.wrapping_sub(1);
        self
    }

    /// A new request, which waits for `timeout`. `None` if too many wait.
    pub fn open(&mut self, now: Instant, timeout: Duration) -> Option<Correlation> {
        let mut number = self.last.wrapping_add(1);
        // Once the numbers have come round, one may be taken.
        while self.position(number).is_some() {
            number = number.wrapping_add(1);
        }
        if !self.waiting.push(Request { number, deadline: now + timeout }) {
            return None;
        }
        self.last = number;
        Some(Correlation(number.to_be_bytes()))
    }

    /// The request that this message answers; it waits no more. `None` if it answers none.
    pub fn close(&mut self, response: &Publish<'_>) -> Option<Correlation> {
        let correlation = Correlation::of(response)?;
        self.cancel(correlation).then_some(correlation)
    }

    /// A request is of no interest any more. Whether it has waited.
    pub fn cancel(&mut self, request: Correlation) -> bool {
        let index = self.position(u32::from_be_bytes(request.0));
        index.and_then(|index| self.waiting.remove(index)).is_some()
    }

    fn position(&self, number: u32) -> Option<usize> {
        self.waiting.iter().position(|request| request.number == number)
    }

    /// When the next request has waited long enough.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.waiting.iter().map(|request| request.deadline).min()
    }

    /// A request that has waited long enough; it waits no more. Call it until there is none.
    pub fn expired(&mut self, now: Instant) -> Option<Correlation> {
        let index = self.waiting.iter().position(|request| now >= request.deadline)?;
        let request = self.waiting.remove(index)?;
        Some(Correlation(request.number.to_be_bytes()))
    }

    /// How many requests wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use core::time::Duration;
    use std::format;

    use mqtt_codec::{Property, Publish, TopicName};

    use super::{Request, Requests};
    use crate::Instant;

    const NOW: Instant = Instant::from_millis(0);

    #[test]
    fn without_properties_the_last_level_of_the_topic_tells_the_request() {
        let mut storage = [Request::default(); 2];
        let mut requests = Requests::lent(&mut storage);
        let one = requests.open(NOW, Duration::from_secs(1)).unwrap();
        let two = requests.open(NOW, Duration::from_secs(2)).unwrap();
        assert_eq!(requests.open(NOW, Duration::from_secs(3)), None);
        let topic = format!("responses/{two}");
        let response = Publish::new(TopicName::new(&topic).unwrap(), b"");
        assert_eq!(requests.close(&response), Some(two));
        assert_eq!(requests.close(&response), None);
        assert_eq!(requests.expired(NOW), None);
        assert_eq!(requests.expired(NOW + Duration::from_secs(1)), Some(one));
        assert!(requests.is_empty());
    }

    #[test]
    fn numbers_begin_where_they_are_told_to_and_none_is_given_twice_at_a_time() {
        let mut requests = Requests::heap(4).starting_at(u32::MAX);
        let wait = Duration::from_secs(1);
        let [last, first] = [(); 2].map(|()| requests.open(NOW, wait).unwrap());
        assert_eq!((format!("{last}"), format!("{first}")), ("ffffffff".into(), "00000000".into()));
        // They have come round.
        let mut requests = requests.starting_at(u32::MAX);
        assert_eq!(format!("{}", requests.open(NOW, wait).unwrap()), "00000001");
        assert!(requests.cancel(last) && !requests.cancel(last));
        let mut requests = requests.starting_at(u32::MAX);
        assert_eq!(requests.open(NOW, wait), Some(last));
    }

    #[test]
    fn what_answers_nothing_closes_nothing() {
        let mut requests = Requests::heap(4);
        requests.open(NOW, Duration::from_secs(1)).unwrap();
        for data in [&b""[..], &[0, 0, 0, 2], &[0, 0, 0, 1, 0]] {
            let list = [Property::CorrelationData(data)];
            let mut response = Publish::new(TopicName::new("a/00000001").unwrap(), b"");
            response.properties = list[..].into();
            assert_eq!(requests.close(&response), None);
        }
        assert_eq!(requests.len(), 1);
    }
}

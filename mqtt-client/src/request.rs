//! Request and response (section 4.10).

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::hash::{BuildHasher, Hasher};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures::Stream;
use mqtt_codec::{QoS, ReasonCode, TopicName};
use mqtt_session::{Correlation, Requests};

use crate::{Client, Delivered, Error, Filter, Message, PublishError, Subscription};

/// What stands between the topic of a request and its Response Topic where there are no properties.
const ANSWER_AT: &str = "/@/";

/// Why there is no response. `Debug` says what `Display` does.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request was not delivered.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The server says that nobody has subscribed to the request (version 5 only).
    #[error("nobody has subscribed to the request")]
    NobodyListens,
    /// No response came in time: [`RequesterOptions::timeout`].
    #[error("no response came in time")]
    TimedOut,
    /// Too many requests wait for their responses: [`RequesterOptions::max_waiting`].
    #[error("too many requests wait for their responses")]
    Full,
    /// The client was closed before the response came.
    #[error("the client is closed")]
    Closed,
}

/// How a [`Requester`] behaves. Start from [`RequesterOptions::new`], and assign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequesterOptions {
    /// The topic to which responses are sent, of this client alone: Response Topic, and before version
    /// 5 the topic above it.
    pub response_topic: String,
    /// How long a request waits for its response, the time included in which it waits to be sent; it
    /// expires as a message then too, unless it says otherwise. Default: 30 s.
    pub timeout: Duration,
    /// How many requests may wait for their responses at a time. Default: 256.
    pub max_waiting: u16,
}

impl RequesterOptions {
    /// The defaults, for responses to this topic.
    pub fn new(response_topic: impl Into<String>) -> Self {
        let response_topic = response_topic.into();
        Self { response_topic, timeout: Duration::from_secs(30), max_waiting: 256 }
    }
}

/// Sends requests, any number at once, and gives each its response. Made by [`Client::requester`].
///
/// In version 5 a request carries Response Topic and Correlation Data. Before, the topic has to say it
/// all: a request to `residence/window` whose responses go to `answers/kitchen` is published to
/// `residence/window/@/answers/kitchen/0000002a`, and answered at `answers/kitchen/0000002a`. Who
/// subscribes to `residence/window/#` gets requests of either kind, and [`Message::response`] answers
/// both. So before version 5 no request can be sent to a topic with a level `@` of its own.
///
/// ```
/// use mqtt_client::{Client, Message, QoS};
///
/// async fn ask(client: Client) -> Result<(), Box<dyn std::error::Error>> {
///     let requester = client.requester("answers/kitchen").await?;
///     let request = Message::new("residence/window", "open?", QoS::AtLeastOnce);
///     println!("{:?}", requester.request(request).await?.text());
///     Ok(())
/// }
///
/// async fn answer(client: Client) -> Result<(), Box<dyn std::error::Error>> {
///     let mut requests = client.subscribe("residence/window/#", QoS::AtLeastOnce).await?;
///     while let Some(request) = requests.next().await {
///         if let Some(response) = request.response("yes") {
///             client.send(response).await?;
///         }
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Requester {
    client: Client,
    options: RequesterOptions,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    responses: Subscription,
    /// Those without a response, and until when.
    requests: Requests<'static>,
    /// All that somebody waits for.
    open: BTreeMap<Correlation, Open>,
}

/// A request without response, and who waits for it; or how it ended.
#[derive(Debug)]
enum Open {
    Waiting(Option<Waker>),
    Ended(Result<Message, RequestError>),
}

impl Requester {
    fn new(client: Client, options: RequesterOptions, mut responses: Subscription) -> Self {
        responses.ignore(true);
        // What is late may be an answer to a request of an earlier run.
        let random = RandomState::new().build_hasher().finish().to_be_bytes();
        let [.., a, b, c, d] = random;
        let requests = Requests::heap(options.max_waiting.max(1));
        let requests = requests.starting_at(u32::from_be_bytes([a, b, c, d]));
        let state = State { responses, requests, open: BTreeMap::new() };
        Self { client, options, state: Mutex::new(state) }
    }

    /// Sends a request and waits for its response. Cancel safe: dropped, the request may still arrive,
    /// but its response is of no interest any more.
    ///
    /// # Errors
    /// [`RequestError`] says why there will be none.
    pub async fn request(&self, mut request: Message) -> Result<Message, RequestError> {
        let ticket = Ticket::new(self)?;
        if request.properties.expiry.is_none() {
            request.properties.expiry = Some(self.options.timeout);
        }
        self.address(&mut request, ticket.id);
        let mut sending = pin!(self.client.send(request));
        let mut sent = false;
        core::future::poll_fn(|cx| {
            if !sent {
                if let Poll::Ready(delivered) = sending.as_mut().poll(cx) {
                    sent = true;
                    delivered_to_somebody(delivered)?;
                }
            }
            // Who answers may be faster than the server acknowledges.
            self.poll(cx, ticket.id)
        })
        .await
    }

    /// Says where the response is to go, and which one it is.
    fn address(&self, request: &mut Message, id: Correlation) {
        let topic = &self.options.response_topic;
        if self.client.has_properties() {
            request.properties.response_topic = Some(topic.clone());
            request.properties.correlation_data = Some(Bytes::copy_from_slice(id.as_bytes()));
        } else {
            request.topic = alloc::format!("{}{ANSWER_AT}{topic}/{id}", request.topic).into();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sorts the responses that have come, and looks for that one. Whoever polled last is woken for
    /// the next response and the next timeout, whose ever it is.
    fn poll(&self, cx: &mut Context<'_>, id: Correlation) -> Poll<Result<Message, RequestError>> {
        let shared = self.client.shared();
        let now = shared.now();
        let mut state = self.lock();
        let ended = loop {
            match Pin::new(&mut state.responses).poll_next(cx) {
                Poll::Ready(Some(response)) => {
                    response.acknowledge();
                    state.sort(response, self.client.has_properties());
                }
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
            }
        };
        while let Some(late) = state.requests.expired(now) {
            state.end(late, Err(RequestError::TimedOut));
        }
        if let Some(Open::Ended(result)) = state.open.get(&id) {
            return Poll::Ready(result.clone());
        }
        if ended {
            return Poll::Ready(Err(RequestError::Closed));
        }
        state.open.insert(id, Open::Waiting(Some(cx.waker().clone())));
        if let Some(due) = state.requests.next_timeout() {
            shared.wake_at(state.responses.key(), due, cx.waker());
        }
        Poll::Pending
    }
}

impl Drop for Requester {
    fn drop(&mut self) {
        let key = self.lock().responses.key();
        self.client.shared().forget_waking(key);
    }
}

/// Whether there can be a response.
fn delivered_to_somebody(delivered: Result<Delivered, PublishError>) -> Result<(), RequestError> {
    match delivered {
        Ok(delivered) if delivered.reason == ReasonCode::NoMatchingSubscribers => {
            Err(RequestError::NobodyListens)
        }
        // It was given as much time as the response.
        Err(PublishError::Expired) => Err(RequestError::TimedOut),
        delivered => Ok(delivered.map(|_| ())?),
    }
}

impl State {
    /// In version 5 the Correlation Data says which request this answers, before that the topic. Late
    /// ones, second ones and strangers are of no interest.
    fn sort(&mut self, response: Message, has_properties: bool) {
        if has_properties != response.properties.correlation_data.is_some() {
            return;
        }
        let closed = response.with_publish(|publish| Ok(self.requests.close(publish)));
        if let Ok(Some(id)) = closed {
            self.end(id, Ok(response));
        }
    }

    fn end(&mut self, id: Correlation, result: Result<Message, RequestError>) {
        let Some(open) = self.open.get_mut(&id) else { return };
        if let Open::Waiting(waker) = core::mem::replace(open, Open::Ended(result)) {
            waker.into_iter().for_each(Waker::wake);
        }
    }
}

/// An open request, as long as somebody waits.
struct Ticket<'r> {
    requester: &'r Requester,
    id: Correlation,
}

impl<'r> Ticket<'r> {
    fn new(requester: &'r Requester) -> Result<Self, RequestError> {
        let now = requester.client.shared().now();
        let mut state = requester.lock();
        let id = state.requests.open(now, requester.options.timeout).ok_or(RequestError::Full)?;
        if state.open.is_empty() {
            state.responses.ignore(false);
        }
        state.open.insert(id, Open::Waiting(None));
        Ok(Self { requester, id })
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut state = self.requester.lock();
        state.requests.cancel(self.id);
        state.open.remove(&self.id);
        if state.open.is_empty() {
            // Nobody would take what comes, until it has used up the server's quota for all messages.
            state.responses.ignore(true);
        }
        // It may be who was to be woken for the next response.
        let next = state.open.values_mut().find_map(|open| match open {
            Open::Waiting(waker) => waker.take(),
            Open::Ended(_) => None,
        });
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl Client {
    /// Subscribes to a topic of one's own, to which the responses to requests are sent.
    ///
    /// # Errors
    /// As [`Client::subscribe`]; [`Error::Invalid`] also if it is no topic.
    pub async fn requester(&self, response_topic: &str) -> Result<Requester, Error> {
        self.requester_with(RequesterOptions::new(response_topic)).await
    }

    /// As [`Client::requester`], with options.
    ///
    /// # Errors
    /// As [`Client::requester`].
    pub async fn requester_with(&self, options: RequesterOptions) -> Result<Requester, Error> {
        TopicName::new(&options.response_topic)?;
        let below = if self.has_properties() { "" } else { "/+" };
        let topic = alloc::format!("{}{below}", options.response_topic);
        let mut filter = Filter::new(topic, QoS::AtLeastOnce);
        // Nobody else has a use for them.
        filter.unsubscribe_on_drop = Some(true);
        let responses = self.subscribe_with(filter).await?;
        Ok(Requester::new(self.clone(), options, responses))
    }
}

impl Message {
    /// The response to this request, of the same QoS: to its Response Topic with its Correlation Data,
    /// or to where its topic says ([`Requester`]). `None` if it is no request.
    #[must_use]
    pub fn response(&self, payload: impl Into<Bytes>) -> Option<Self> {
        let by_topic = || self.topic.split_once(ANSWER_AT).map(|(_, topic)| topic);
        let topic = self.properties.response_topic.as_deref().or_else(by_topic)?;
        TopicName::new(topic).ok()?;
        let mut response = Self::new(topic, payload, self.qos);
        if let Some(data) = &self.properties.correlation_data {
            response.properties.correlation_data = Some(data.clone());
        }
        Some(response)
    }
}

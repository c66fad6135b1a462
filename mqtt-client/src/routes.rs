//! The subscriptions, and which of them a message belongs to.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::Cell;

use futures::channel::oneshot;
use mqtt_codec::{
    PacketId, Properties, Property, ReasonCode, SubscriptionId, TopicFilter, TopicName,
};
use mqtt_session::Instant;
use mqtt_session::client::Session;

use crate::queue::{Hold, Queue};
use crate::{Error, Filter, Lag, Message};

/// What the server knows of a subscription, or of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is to be asked for.
    Wanted,
    /// It was asked for in this packet.
    Asked(PacketId),
    /// The server has agreed.
    Granted,
}

#[derive(Debug)]
struct Entry {
    key: u32,
    filter: Filter,
    queue: Arc<Queue>,
    state: State,
    /// Whether messages were added of which nobody was told.
    touched: Cell<bool>,
    /// Who waits for the answer.
    done: Option<oneshot::Sender<Result<ReasonCode, Error>>>,
}

/// A subscription that ends.
#[derive(Debug)]
struct Leaving {
    filter: alloc::string::String,
    state: State,
    done: Option<oneshot::Sender<Result<(), Error>>>,
}

#[derive(Debug)]
pub(crate) struct Routes {
    /// By ascending key.
    entries: Vec<Entry>,
    leaving: Vec<Leaving>,
    /// What belongs to no subscription.
    unrouted: Queue,
}

impl Entry {
    fn matches(&self, topic: TopicName<'_>) -> bool {
        let Ok(filter) = TopicFilter::new(&self.filter.filter) else { return false };
        filter.shared().map_or(filter, |shared| shared.filter).matches(topic)
    }
}

impl Routes {
    pub(crate) fn new(unrouted: usize) -> Self {
        Self {
            entries: Vec::new(),
            leaving: Vec::new(),
            unrouted: Queue::new(unrouted, Lag::DropOldest),
        }
    }

    /// Adds a subscription that is to be asked for. What came before for it is its own.
    pub(crate) fn add(
        &mut self,
        key: u32,
        filter: Filter,
        queue: Arc<Queue>,
        done: oneshot::Sender<Result<ReasonCode, Error>>,
    ) {
        let touched = Cell::new(true);
        let entry = Entry { key, filter, queue, state: State::Wanted, touched, done: Some(done) };
        let matches = |message: &Message| {
            TopicName::new(&message.topic).is_ok_and(|topic| entry.matches(topic))
        };
        for message in self.unrouted.take_if(matches) {
            entry.queue.push(message, None);
        }
        let place = self.entries.partition_point(|earlier| earlier.key < key);
        self.entries.insert(place, entry);
    }

    /// Ends a subscription; the server is told unless another one has the same filter.
    pub(crate) fn remove(
        &mut self,
        key: u32,
        tell: bool,
        done: Option<oneshot::Sender<Result<(), Error>>>,
    ) {
        let index = self.entries.iter().position(|entry| entry.key == key);
        let entry = index.map(|index| self.entries.remove(index));
        match entry {
            Some(Entry { filter, state, .. })
                if tell
                    && state != State::Wanted
                    && !self.entries.iter().any(|e| e.filter.filter == filter.filter) =>
            {
                self.leaving.push(Leaving { filter: filter.filter, state: State::Wanted, done });
            }
            _ => answer(done, Ok(())),
        }
    }

    /// Sends what is to be asked for.
    pub(crate) fn ask(
        &mut self,
        now: Instant,
        session: &mut Session<'_>,
        tx: &mut Vec<u8>,
    ) -> Result<(), mqtt_session::Error> {
        for leaving in self.leaving.iter_mut().filter(|leaving| leaving.state == State::Wanted) {
            let Ok(filter) = TopicFilter::new(&leaving.filter) else { continue };
            match session.unsubscribe(now, &[filter], Properties::EMPTY, tx) {
                Ok(id) => leaving.state = State::Asked(id),
                Err(mqtt_session::Error::QuotaExceeded) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        let named = session.limits().subscription_identifier_available;
        let mut refused = Vec::new();
        for entry in self.entries.iter_mut().filter(|entry| entry.state == State::Wanted) {
            let Ok(subscription) = entry.filter.subscription() else { continue };
            let id = SubscriptionId::new(entry.key).filter(|_| named);
            let list = id.map(Property::SubscriptionIdentifier);
            let properties = Properties::from(list.as_slice());
            match session.subscribe(now, &[subscription], properties, tx) {
                Ok(id) => entry.state = State::Asked(id),
                Err(mqtt_session::Error::QuotaExceeded) => break,
                Err(error) => {
                    refused.push(entry.key);
                    answer(entry.done.take(), Err(Error::Options(error)));
                }
            }
        }
        self.entries.retain(|entry| !refused.contains(&entry.key));
        Ok(())
    }

    /// Whether there is something to ask for.
    pub(crate) fn is_settled(&self) -> bool {
        self.leaving.is_empty()
    }

    /// SUBACK came.
    pub(crate) fn subscribed(&mut self, id: PacketId, reason: ReasonCode) {
        let asked = |entry: &Entry| entry.state == State::Asked(id);
        let Some(index) = self.entries.iter().position(asked) else { return };
        if reason.is_failure() {
            let entry = self.entries.remove(index);
            answer(entry.done, Err(Error::Rejected(reason)));
            entry.queue.close();
        } else if let Some(entry) = self.entries.get_mut(index) {
            entry.state = State::Granted;
            answer(entry.done.take(), Ok(reason));
        }
    }

    /// UNSUBACK came, in 3.1.1 without a reason.
    pub(crate) fn unsubscribed(&mut self, id: PacketId, reason: Option<ReasonCode>) {
        let asked = |leaving: &Leaving| leaving.state == State::Asked(id);
        let Some(index) = self.leaving.iter().position(asked) else { return };
        let result = match reason {
            Some(reason) if reason.is_failure() => Err(Error::Rejected(reason)),
            _ => Ok(()),
        };
        answer(self.leaving.remove(index).done, result);
    }

    /// A connection begins. What the server does not know is to be asked for.
    pub(crate) fn connected(&mut self, session_present: bool, epoch: u64) {
        for entry in &mut self.entries {
            if !session_present || entry.state != State::Granted {
                entry.state = State::Wanted;
            }
            if session_present {
                entry.queue.drop_what_comes_again(epoch);
            }
        }
        if session_present {
            self.unrouted.drop_what_comes_again(epoch);
            for leaving in &mut self.leaving {
                leaving.state = State::Wanted;
            }
        } else {
            for leaving in self.leaving.drain(..) {
                answer(leaving.done, Ok(()));
            }
        }
    }

    /// Puts a message where it belongs. `hold` makes what acknowledges it where that must wait;
    /// returns whether nothing has to, so that it is to be acknowledged now.
    pub(crate) fn deliver(
        &self,
        message: Message,
        topic: TopicName<'_>,
        properties: &Properties<'_>,
        hold: impl FnOnce() -> Option<Arc<Hold>>,
    ) -> bool {
        let named = || {
            properties.subscription_identifiers().filter_map(|id| {
                let index = self.entries.binary_search_by_key(&id.get(), |entry| entry.key).ok()?;
                self.entries.get(index).filter(|entry| entry.matches(topic))
            })
        };
        // An identifier may be of an earlier run of this program, with the same session.
        let by_id = named().next().is_some();
        let mut targets = self.entries.iter().filter(|entry| match by_id {
            true => named().any(|named| named.filter.filter == entry.filter.filter),
            false => entry.matches(topic),
        });
        let Some(first) = targets.next() else {
            // The application acknowledges it, or nobody has to.
            let acknowledge = message.receipt.is_none();
            self.unrouted.push_over(message);
            return acknowledge;
        };
        first.touched.set(true);
        let manual = message.receipt.is_some();
        let mut targets = targets.peekable();
        let message = match targets.peek() {
            // As it mostly is.
            None => match first.queue.push_within(message) {
                None => return !manual,
                Some(message) => message,
            },
            Some(_) => message,
        };
        let waits = first.queue.is_full() || targets.clone().any(|entry| entry.queue.is_full());
        let hold = if waits && !manual { hold() } else { None };
        let mut entry = first;
        for next in targets {
            entry.queue.push(message.clone(), hold.as_ref());
            next.touched.set(true);
            entry = next;
        }
        entry.queue.push(message, hold.as_ref());
        // What holds it acknowledges it in the end.
        !manual && hold.is_none()
    }

    /// Wakes those for whom there are messages.
    pub(crate) fn wake(&self) {
        for entry in self.entries.iter().filter(|entry| entry.touched.replace(false)) {
            entry.queue.wake();
        }
    }

    /// The client is closed.
    pub(crate) fn close(&mut self, error: &Error) {
        for entry in self.entries.drain(..) {
            entry.queue.close();
            answer(entry.done, Err(error.clone()));
        }
        for leaving in self.leaving.drain(..) {
            answer(leaving.done, Err(error.clone()));
        }
    }
}

fn answer<T>(done: Option<oneshot::Sender<T>>, result: T) {
    if let Some(done) = done {
        // Nobody may wait any more.
        let _ = done.send(result);
    }
}

//! What the client's handles and its driver share.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::channel::oneshot;
use mqtt_codec::ReasonCode;
use mqtt_session::{AckToken, Instant};

use crate::event::EventQueue;
use crate::outbox::{Outbox, Submitted};
use crate::routes::Sink;
use crate::statistics::Counters;
use crate::store::Restored;
use crate::{
    Clock, ConnectionEvent, Delivery, Error, Filter, Message, Options, PublishError, Resumed,
};

/// How many requests wait for the driver at most.
const MAX_REQUESTS: usize = 1024;

pub(crate) struct Shared {
    clock: Clock,
    pub(crate) counters: Counters,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) outbox: Outbox,
    /// As the driver has last seen it.
    pub(crate) now: Instant,
    pub(crate) requests: VecDeque<Request>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) closing: Option<Closing>,
    /// Why there is no driver any more.
    pub(crate) closed: Option<Error>,
    pub(crate) listeners: Vec<Weak<EventQueue>>,
    /// What an earlier run has left, until somebody wants to know of it.
    pub(crate) resumed: Vec<Resumed>,
    /// Who is to be woken when, by the key of a subscription.
    timers: BTreeMap<u32, (Instant, Waker)>,
    next_key: u32,
    /// Set while the driver waits.
    driver: Option<Waker>,
}

/// What the driver is asked to do.
#[derive(Debug)]
pub(crate) enum Request {
    Subscribe {
        key: u32,
        filter: Filter,
        sink: Sink,
        done: oneshot::Sender<Result<ReasonCode, Error>>,
    },
    /// All that is in the outbox is to be stored.
    Store { done: oneshot::Sender<Result<(), Error>> },
    /// The stream is gone; whether the server is to be told.
    Unsubscribe { key: u32, tell: bool, done: Option<oneshot::Sender<Result<(), Error>>> },
    /// Once more, on the connection that there is.
    Reauthenticate { done: oneshot::Sender<Result<(), Error>> },
}

/// The application has dealt with a message.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) token: AckToken,
    pub(crate) reason: ReasonCode,
}

/// The client is being closed.
#[derive(Debug)]
pub(crate) struct Closing {
    /// Until when what waits is sent.
    pub(crate) deadline: Instant,
    /// What DISCONNECT says; `None`: there is none.
    pub(crate) reason: Option<ReasonCode>,
    pub(crate) done: Option<oneshot::Sender<Vec<Message>>>,
}

impl Shared {
    pub(crate) fn new(options: &Options, clock: Clock) -> Result<(Self, Restored), Error> {
        let mut restored = Restored::default();
        let mut journal = None;
        if let Some(store) = &options.store {
            let broken = |error| Error::Store(Arc::new(error));
            let (stored, earlier) = store.load().and_then(crate::store::read).map_err(broken)?;
            (journal, restored) = (Some(stored), earlier);
            let others = |id: &&String| !options.client_id.is_empty() && **id != options.client_id;
            if let Some(id) = restored.client_id.as_ref().filter(others) {
                let text = alloc::format!("it belongs to the client {id}");
                return Err(broken(io::Error::other(text)));
            }
        }
        let mut outbox = Outbox::new(options, &restored);
        let mut resumed = Vec::new();
        if let Some(journal) = journal {
            resumed = outbox.restore(clock(), journal, &restored);
        }
        let shared = Self {
            clock,
            counters: Counters::new(),
            state: Mutex::new(State {
                outbox,
                now: Instant::default(),
                requests: VecDeque::new(),
                answers: Vec::new(),
                closing: None,
                closed: None,
                listeners: Vec::new(),
                resumed,
                timers: BTreeMap::new(),
                next_key: 0,
                driver: None,
            }),
        };
        Ok((shared, restored))
    }

    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go, and wakes the driver if it waits.
    fn notify(mut state: MutexGuard<'_, State>) {
        let driver = state.driver.take();
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Puts a message into the outbox, or waits at its place for room.
    pub(crate) fn poll_enqueue(
        &self,
        cx: &Context<'_>,
        message: &Message,
        place: &mut Option<u64>,
    ) -> Poll<Result<Delivery, PublishError>> {
        let mut state = self.lock();
        let submitted = state.submit(&self.clock, message, *place)?;
        if let Submitted::Wait = submitted {
            *place = Some(state.outbox.wait(*place, cx.waker()));
            return Poll::Pending;
        }
        if let Some(place) = place.take() {
            state.outbox.leave(place);
        }
        Self::submitted(state, submitted).into()
    }

    /// Puts a message into the outbox if there is room.
    pub(crate) fn try_enqueue(&self, message: &Message) -> Result<Delivery, PublishError> {
        let mut state = self.lock();
        let submitted = state.submit(&self.clock, message, None)?;
        Self::submitted(state, submitted)
    }

    fn submitted(
        state: MutexGuard<'_, State>,
        submitted: Submitted,
    ) -> Result<Delivery, PublishError> {
        let Submitted::Taken { delivery, wakes } = submitted else {
            return Err(PublishError::Full);
        };
        let next = state.outbox.next_waiting();
        if wakes {
            Self::notify(state);
        } else {
            drop(state);
        }
        if let Some(next) = next {
            next.wake();
        }
        Ok(delivery)
    }

    /// Gives up waiting for room.
    pub(crate) fn leave(&self, place: u64) {
        let mut state = self.lock();
        state.outbox.leave(place);
        // It may have been woken for room that it now leaves to the next one.
        let next = state.outbox.next_waiting();
        drop(state);
        if let Some(next) = next {
            next.wake();
        }
    }

    /// A number for a subscription, which is its Subscription Identifier too.
    pub(crate) fn next_key(&self) -> u32 {
        let mut state = self.lock();
        state.next_key += 1;
        state.next_key
    }

    /// Wakes it at that time, at the latest when there is no driver any more; the next call with this
    /// key takes the place of this one.
    pub(crate) fn wake_at(&self, key: u32, at: Instant, waker: &Waker) {
        let mut state = self.lock();
        let earlier = state.timers.insert(key, (at, waker.clone()));
        if earlier.is_none_or(|(earlier, _)| at < earlier) {
            Self::notify(state);
        }
    }

    pub(crate) fn forget_waking(&self, key: u32) {
        self.lock().timers.remove(&key);
    }

    pub(crate) fn request(&self, request: Request) -> Result<(), Error> {
        let mut state = self.lock();
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        let is_bounded = !matches!(request, Request::Unsubscribe { .. });
        if is_bounded && state.requests.len() >= MAX_REQUESTS {
            return Err(Error::Full);
        }
        state.requests.push_back(request);
        Self::notify(state);
        Ok(())
    }

    pub(crate) fn answer(&self, token: AckToken, reason: ReasonCode) {
        let mut state = self.lock();
        if state.closed.is_none() {
            state.answers.push(Answer { token, reason });
            Self::notify(state);
        }
    }

    /// Ends the client. A second call can only shorten the time that the first one gave.
    pub(crate) fn close(&self, closing: Closing) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        match &mut state.closing {
            None => state.closing = Some(closing),
            Some(earlier) => {
                earlier.deadline = earlier.deadline.min(closing.deadline);
                if closing.reason.is_none() {
                    earlier.reason = None;
                }
                if earlier.done.is_none() {
                    earlier.done = closing.done;
                }
            }
        }
        Self::notify(state);
    }

    pub(crate) fn tell(&self, event: &ConnectionEvent) {
        match event {
            ConnectionEvent::Connected { server, session_present } => {
                self.counters.connections.add(1);
                #[cfg(feature = "tracing")]
                tracing::info!(%server, session_present, "connected");
                #[cfg(not(feature = "tracing"))]
                let _ = (server, session_present);
            }
            ConnectionEvent::Disconnected { error, retry_after } => {
                self.counters.failures.add(1);
                #[cfg(feature = "tracing")]
                tracing::warn!(%error, retry_after = ?retry_after.unwrap_or_default(), "no connection");
                #[cfg(not(feature = "tracing"))]
                let _ = (error, retry_after);
            }
            ConnectionEvent::Oversized { topic, qos: _, size, limit } => {
                self.counters.oversized.add(1);
                #[cfg(feature = "tracing")]
                tracing::warn!(%topic, size, limit, "message too large, passed over");
                #[cfg(not(feature = "tracing"))]
                let _ = (topic, size, limit);
            }
        }
        self.lock().listeners.retain(|listener| {
            listener.upgrade().is_some_and(|listener| {
                listener.push(event.clone());
                true
            })
        });
    }

    pub(crate) fn listen(&self) -> Arc<EventQueue> {
        let queue = Arc::new(EventQueue::default());
        let mut state = self.lock();
        if state.closed.is_some() {
            queue.close();
        } else {
            state.listeners.retain(|listener| listener.strong_count() > 0);
            state.listeners.push(Arc::downgrade(&queue));
        }
        queue
    }
}

impl State {
    fn submit(
        &mut self,
        clock: &Clock,
        message: &Message,
        place: Option<u64>,
    ) -> Result<Submitted, PublishError> {
        if self.is_closed() {
            return Err(PublishError::Closed);
        }
        // Where nothing can expire, the time that the driver has last seen does.
        if message.properties.expiry.is_some() || self.outbox.next_timeout().is_some() {
            self.now = clock();
        }
        self.outbox.submit(self.now, message, place)
    }

    fn is_closed(&self) -> bool {
        self.closed.is_some() || self.closing.is_some()
    }

    /// When the next one is to be woken.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.values().map(|(at, _)| *at).min()
    }

    /// Takes out one that is to be woken by now.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Waker> {
        let due = self.timers.iter().find(|(_, (at, _))| *at <= now).map(|(key, _)| *key);
        due.and_then(|key| self.timers.remove(&key)).map(|(_, waker)| waker)
    }

    /// From now on the driver is to be woken.
    pub(crate) fn set_driver(&mut self, waker: &Waker) {
        if !self.driver.as_ref().is_some_and(|driver| driver.will_wake(waker)) {
            self.driver = Some(waker.clone());
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

//! The bounded queue between the driver and a subscription's stream.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mqtt_codec::{QoS, ReasonCode};
use mqtt_session::AckToken;

use crate::shared::Shared;
use crate::{Lag, Message};

/// The right to acknowledge a message on the connection that it came on.
pub(crate) struct Hold {
    shared: Arc<Shared>,
    token: AckToken,
    /// Which connection.
    epoch: u64,
    /// Whether it is acknowledged when nobody holds it any more.
    automatic: bool,
    answered: AtomicBool,
}

impl Hold {
    pub(crate) const fn new(
        shared: Arc<Shared>,
        token: AckToken,
        epoch: u64,
        automatic: bool,
    ) -> Self {
        Self { shared, token, epoch, automatic, answered: AtomicBool::new(false) }
    }

    /// Acknowledges, the first time.
    pub(crate) fn answer(&self, reason: ReasonCode) {
        if !self.answered.swap(true, Ordering::Relaxed) {
            self.shared.answer(self.token, reason);
        }
    }

    /// Whether the server will send the message again in a session that it has kept.
    fn comes_again(&self, epoch: u64) -> bool {
        self.epoch < epoch
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.automatic {
            self.answer(ReasonCode::Success);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").field("token", &self.token).finish_non_exhaustive()
    }
}

/// Messages that wait to be taken.
#[derive(Debug)]
pub(crate) struct Queue {
    capacity: usize,
    lag: Lag,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    messages: VecDeque<Waiting>,
    waker: Option<Waker>,
    closed: bool,
    /// How many messages were dropped.
    lagged: u64,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    /// Beyond the capacity: what acknowledges the message once it is within.
    hold: Option<Arc<Hold>>,
}

impl Queue {
    pub(crate) fn new(capacity: usize, lag: Lag) -> Self {
        Self { capacity: capacity.max(1), lag, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next message would be beyond the capacity.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().messages.len() >= self.capacity
    }

    /// Adds a message if it is within the capacity; otherwise it comes back. Nobody is woken before
    /// [`Queue::wake`].
    pub(crate) fn push_within(&self, message: Message) -> Option<Message> {
        let mut state = self.lock();
        if state.messages.len() >= self.capacity {
            return Some(message);
        }
        state.messages.push_back(Waiting { message, hold: None });
        None
    }

    /// Adds a message in any case. `hold` keeps one that is beyond the capacity from being
    /// acknowledged; one that is not to be acknowledged is dropped then. Nobody is woken before
    /// [`Queue::wake`].
    pub(crate) fn push(&self, message: Message, hold: Option<&Arc<Hold>>) {
        let mut state = self.lock();
        let mut held = None;
        if state.messages.len() >= self.capacity {
            held = hold.cloned();
            if message.qos == QoS::AtMostOnce {
                state.lagged += 1;
                let oldest = match self.lag {
                    Lag::DropNewest => None,
                    Lag::DropOldest => {
                        state.messages.iter().position(|w| w.message.qos == QoS::AtMostOnce)
                    }
                };
                match oldest {
                    Some(oldest) => drop(state.messages.remove(oldest)),
                    None => return,
                }
            }
        }
        state.messages.push_back(Waiting { message, hold: held });
    }

    /// Wakes who waits for a message, if there is one: once for many, as waking costs far more than a
    /// message does.
    pub(crate) fn wake(&self) {
        let mut state = self.lock();
        let waker = if state.messages.is_empty() { None } else { state.waker.take() };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Adds a message, in favour of which the oldest one makes way.
    pub(crate) fn push_over(&self, message: Message) {
        let mut state = self.lock();
        let oldest = if state.messages.len() >= self.capacity {
            state.lagged += 1;
            state.messages.pop_front()
        } else {
            None
        };
        state.messages.push_back(Waiting { message, hold: None });
        drop(state);
        // Left without an answer it would take up the server's quota for good.
        if let Some(oldest) = oldest {
            oldest.message.acknowledge();
        }
    }

    /// Takes out what is wanted.
    pub(crate) fn take_if(&self, wanted: impl Fn(&Message) -> bool) -> VecDeque<Message> {
        let mut state = self.lock();
        let (taken, kept): (VecDeque<_>, VecDeque<_>) = core::mem::take(&mut state.messages)
            .into_iter()
            .partition(|waiting| wanted(&waiting.message));
        state.messages = kept;
        taken.into_iter().map(|waiting| waiting.message).collect()
    }

    /// The server goes on with its session on a new connection: what is not acknowledged comes again.
    pub(crate) fn drop_what_comes_again(&self, epoch: u64) {
        let comes_again = |hold: &Arc<Hold>| hold.comes_again(epoch);
        self.lock().messages.retain(|waiting| {
            let receipt = waiting.message.receipt.as_ref().map(|receipt| &receipt.0);
            !waiting.hold.as_ref().or(receipt).is_some_and(comes_again)
        });
    }

    pub(crate) fn poll(&self, cx: &Context<'_>) -> Poll<Option<Message>> {
        let mut state = self.lock();
        match state.messages.pop_front() {
            Some(first) => {
                // One that was beyond the capacity is within now.
                let within = self.capacity - 1;
                let hold = state.messages.get_mut(within).and_then(|waiting| waiting.hold.take());
                drop(state);
                drop((hold, first.hold));
                Poll::Ready(Some(first.message))
            }
            None if state.closed => Poll::Ready(None),
            None => {
                if !state.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    state.waker = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        }
    }

    pub(crate) fn lagged(&self) -> u64 {
        self.lock().lagged
    }

    /// No more will come.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

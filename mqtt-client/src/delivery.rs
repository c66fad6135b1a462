//! What becomes of a message.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mqtt_codec::ReasonCode;

use crate::outbox::Told;
use crate::shared::Shared;
use crate::{Message, PublishError};

/// A message was delivered: QoS 0 was handed to the transport, QoS 1 was acknowledged, QoS 2 was
/// completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// What the server said: success, or in version 5 perhaps
    /// [`NoMatchingSubscribers`](ReasonCode::NoMatchingSubscribers).
    pub reason: ReasonCode,
}

impl Delivered {
    pub(crate) const fn new(reason: ReasonCode) -> Self {
        Self { reason }
    }
}

/// A message that is on its way: a future of its outcome, told exactly once. Dropping it changes
/// nothing about the message.
#[derive(Debug)]
#[must_use = "what becomes of the message is not known before this is awaited"]
pub struct Delivery(Arc<Mutex<Slot>>);

/// What tells a [`Delivery`] its outcome. Each message has one, and this touches memory that another
/// processor may have less often than a channel for one value does.
#[derive(Debug)]
pub(crate) struct Listener(Option<Arc<Mutex<Slot>>>);

#[derive(Debug)]
enum Slot {
    /// Not told yet, and who is to be woken then.
    Waiting(Option<Waker>),
    Told(Told),
    /// It was told before, or nobody knows.
    Over,
}

impl Delivery {
    /// A message's outcome, and what tells it.
    pub(crate) fn new() -> (Listener, Self) {
        let slot = Arc::new(Mutex::new(Slot::Waiting(None)));
        (Listener(Some(Arc::clone(&slot))), Self(slot))
    }
}

impl Listener {
    /// Whether somebody may want to know.
    pub(crate) fn listens(&self) -> bool {
        self.0.as_ref().is_some_and(|slot| Arc::strong_count(slot) > 1)
    }

    pub(crate) fn tell(mut self, told: Told) {
        self.end(Slot::Told(told));
    }

    fn end(&mut self, end: Slot) {
        let Some(slot) = self.0.take() else { return };
        let before = core::mem::replace(&mut *lock(&slot), end);
        if let Slot::Waiting(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.end(Slot::Over);
    }
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Future for Delivery {
    type Output = Result<Delivered, PublishError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = lock(&self.0);
        match core::mem::replace(&mut *slot, Slot::Over) {
            Slot::Waiting(earlier) => {
                let waker = earlier.filter(|earlier| earlier.will_wake(cx.waker()));
                *slot = Slot::Waiting(Some(waker.unwrap_or_else(|| cx.waker().clone())));
                Poll::Pending
            }
            Slot::Told(told) => Poll::Ready(told),
            // Without a driver, as when its runtime has ended, nobody knows.
            Slot::Over => Poll::Ready(Err(PublishError::InDoubt)),
        }
    }
}

/// A message that an earlier run of the program has left in the [`store`](crate::Options::store), and
/// what becomes of it: see [`Client::resumed`](crate::Client::resumed).
#[derive(Debug)]
#[non_exhaustive]
pub struct Resumed {
    /// What it says.
    pub message: Message,
    /// What becomes of it: in doubt, for one, if it was sent with QoS 2 and the server has lost the
    /// session meanwhile.
    pub delivery: Delivery,
}

/// Waits for room in the outbox.
#[derive(Debug)]
pub(crate) struct Enqueue<'c> {
    shared: &'c Shared,
    message: Message,
    place: Option<u64>,
}

impl<'c> Enqueue<'c> {
    pub(crate) const fn new(shared: &'c Shared, message: Message) -> Self {
        Self { shared, message, place: None }
    }
}

impl Future for Enqueue<'_> {
    type Output = Result<Delivery, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, message, place } = &mut *self;
        shared.poll_enqueue(cx, message, place)
    }
}

impl Drop for Enqueue<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.shared.leave(place);
        }
    }
}

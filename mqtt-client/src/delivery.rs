//! What becomes of a message.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures::FutureExt;
use futures::channel::oneshot;
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
pub struct Delivery(oneshot::Receiver<Told>);

impl Delivery {
    pub(crate) const fn new(outcome: oneshot::Receiver<Told>) -> Self {
        Self(outcome)
    }
}

impl Future for Delivery {
    type Output = Result<Delivered, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Without a driver, as when its runtime has ended, nobody knows.
        self.0.poll_unpin(cx).map(|told| told.unwrap_or(Err(PublishError::InDoubt)))
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

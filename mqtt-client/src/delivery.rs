//! What becomes of a message.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures::FutureExt;
use futures::channel::oneshot;
use mqtt_codec::ReasonCode;

use crate::PublishError;
use crate::outbox::{Outcome, Outgoing};
use crate::shared::Shared;

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
pub struct Delivery(oneshot::Receiver<Outcome>);

impl Delivery {
    pub(crate) const fn new(outcome: oneshot::Receiver<Outcome>) -> Self {
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

/// Waits for room in the outbox.
#[derive(Debug)]
pub(crate) struct Enqueue<'c> {
    shared: &'c Shared,
    ticket: Option<u64>,
    outgoing: Option<Outgoing>,
}

impl<'c> Enqueue<'c> {
    pub(crate) const fn new(shared: &'c Shared, outgoing: Outgoing) -> Self {
        Self { shared, ticket: None, outgoing: Some(outgoing) }
    }
}

impl Future for Enqueue<'_> {
    type Output = Result<(), PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { shared, ticket, outgoing } = &mut *self;
        shared.poll_enqueue(cx, ticket, outgoing)
    }
}

impl Drop for Enqueue<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.shared.leave(ticket);
        }
    }
}

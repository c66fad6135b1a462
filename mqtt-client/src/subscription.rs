//! Subscriptions, as streams of messages.

use alloc::string::String;
use alloc::sync::Arc;
use core::pin::Pin;
use core::task::{Context, Poll};

use futures::channel::oneshot;
use mqtt_codec::{QoS, ReasonCode, RetainHandling, TopicFilter};

use crate::client::Handle;
use crate::extent::{Batch, Extent};
use crate::queue::Queue;
use crate::routes::Sink;
use crate::shared::Request;
use crate::{Error, Lag, Message};

/// What to subscribe to, and how. Start from [`Filter::new`], and assign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Filter {
    /// Topic Filter, in version 5 perhaps behind `$share/NAME/`.
    pub filter: String,
    /// Maximum QoS at which messages are delivered.
    pub qos: QoS,
    /// No Local (version 5): not what this client publishes itself. Default: false.
    pub no_local: bool,
    /// Retain As Published (version 5): messages keep the RETAIN they were published with. Default:
    /// false.
    pub retain_as_published: bool,
    /// Which retained messages come first (version 5). Default: all that match.
    pub retain_handling: RetainHandling,
    /// How many messages wait in the stream before it is full, at least 1. Those of QoS 1 and 2 that are
    /// not acknowledged yet come on top, up to
    /// [`Options::receive_maximum`](crate::Options::receive_maximum). Default: 256.
    pub capacity: usize,
    /// How many bytes topics, payloads and properties of these take before it is full. What comes before
    /// that is taken however long it is, so that they can take one
    /// [`Options::max_packet_size`](crate::Options::max_packet_size) more. Default: 16 MiB.
    pub capacity_bytes: usize,
    /// What to do with a QoS 0 message that finds the stream full.
    pub lag: Lag,
    /// Whether to unsubscribe when the stream is dropped. Default: `None`, unless the server keeps
    /// the session.
    pub unsubscribe_on_drop: Option<bool>,
}

impl Filter {
    /// The defaults, for this filter and Maximum QoS.
    pub fn new(filter: impl Into<String>, qos: QoS) -> Self {
        Self {
            filter: filter.into(),
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
            capacity: 256,
            capacity_bytes: 16 * 1_048_576,
            lag: Lag::DropNewest,
            unsubscribe_on_drop: None,
        }
    }

    /// What the codec writes it from.
    pub(crate) fn subscription(
        &self,
    ) -> Result<mqtt_codec::Subscription<'_>, mqtt_codec::Violation> {
        Ok(mqtt_codec::Subscription {
            no_local: self.no_local,
            retain_as_published: self.retain_as_published,
            retain_handling: self.retain_handling,
            ..mqtt_codec::Subscription::new(TopicFilter::new(&self.filter)?, self.qos)
        })
    }
}

/// The messages of a subscription, in the order they came. Ends when all messages are taken and the client
/// is closed, or the server has lost the subscription and does not grant it again.
///
/// A full stream never keeps anything else from going on: messages of QoS 0 are dropped as
/// [`Filter::lag`] says; those of QoS 1 and 2 wait without being acknowledged, so that the server's
/// quota ([`Options::receive_maximum`](crate::Options::receive_maximum)) runs out and it sends no more
/// of them.
#[derive(Debug)]
pub struct Subscription {
    tenure: Tenure,
    queue: Arc<Queue>,
    taken: Batch,
}

impl Subscription {
    /// Asks for a subscription and waits for the answer.
    pub(crate) async fn ask(handle: Arc<Handle>, filter: Filter) -> Result<Self, Error> {
        let capacity = Extent::bound(filter.capacity, filter.capacity_bytes);
        let queue = Arc::new(Queue::new(capacity, filter.lag));
        let tenure = Tenure::ask(handle, filter, Arc::clone(&queue).into()).await?;
        Ok(Self { tenure, queue, taken: Batch::default() })
    }

    /// From now on what comes is of no interest, nor is what came, or it is again.
    pub(crate) fn ignore(&mut self, ignored: bool) {
        self.taken = Batch::default();
        self.queue.handed_out(&self.taken);
        self.queue.ignore(ignored);
    }

    /// Which one of this client it is.
    pub(crate) const fn key(&self) -> u32 {
        self.tenure.key
    }

    /// The next message; `None` when the subscription is over. Cancel safe: no message is lost.
    pub async fn next(&mut self) -> Option<Message> {
        core::future::poll_fn(|cx| self.queue.poll(cx, &mut self.taken)).await
    }

    /// The Maximum QoS that the server has granted.
    #[must_use]
    pub const fn granted(&self) -> QoS {
        self.tenure.granted()
    }

    /// How many messages of QoS 0 were dropped because the stream was full.
    #[must_use]
    pub fn lagged(&self) -> u64 {
        self.queue.lagged()
    }

    /// Ends the subscription and waits for the answer. What waits in the stream is given up. Cancel
    /// safe: once polled, the subscription ends in any case.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::Closed`].
    pub async fn unsubscribe(self) -> Result<(), Error> {
        self.tenure.end().await
    }
}

impl futures::Stream for Subscription {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let Self { queue, taken, .. } = &mut *self;
        queue.poll(cx, taken)
    }
}

/// A subscription, however its messages are taken: ends it when it is dropped.
#[derive(Debug)]
pub(crate) struct Tenure {
    handle: Arc<Handle>,
    key: u32,
    granted: QoS,
    /// What happens when this is dropped.
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    /// Nothing.
    None,
    /// The subscription ends; whether the server is told.
    Ends { tell: bool },
}

impl Tenure {
    /// Asks for a subscription and waits for the answer.
    pub(crate) async fn ask(
        handle: Arc<Handle>,
        filter: Filter,
        sink: Sink,
    ) -> Result<Self, Error> {
        filter.subscription()?;
        let key = handle.shared.next_key();
        let (done, answer) = oneshot::channel();
        let tell = filter.unsubscribe_on_drop.unwrap_or(!handle.persistent);
        let granted = filter.qos;
        // Should this future be dropped while it waits, so is the subscription.
        let mut tenure = Self { handle, key, granted, end: End::Ends { tell } };
        let request = Request::Subscribe { key, filter, sink, done };
        tenure.handle.shared.request(request)?;
        let reason = answer.await.unwrap_or(Err(Error::Closed))?;
        tenure.granted = match reason {
            ReasonCode::GrantedQoS2 => QoS::ExactlyOnce,
            ReasonCode::GrantedQoS1 => QoS::AtLeastOnce,
            _ => QoS::AtMostOnce,
        };
        Ok(tenure)
    }

    pub(crate) const fn granted(&self) -> QoS {
        self.granted
    }

    /// Ends it and waits for the answer.
    pub(crate) async fn end(mut self) -> Result<(), Error> {
        let (done, answer) = oneshot::channel();
        let request = Request::Unsubscribe { key: self.key, tell: true, done: Some(done) };
        self.handle.shared.request(request)?;
        self.end = End::None;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// Leaves it as it is.
    pub(crate) fn detach(mut self) {
        self.end = End::None;
    }
}

impl Drop for Tenure {
    fn drop(&mut self) {
        if let End::Ends { tell } = self.end {
            let request = Request::Unsubscribe { key: self.key, tell, done: None };
            // Without a driver there is nothing left to end.
            let _ = self.handle.shared.request(request);
        }
    }
}

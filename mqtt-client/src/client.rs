//! What an application holds.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use futures::channel::oneshot;
use mqtt_codec::{QoS, ReasonCode};

use crate::delivery::Enqueue;
use crate::shared::{Closing, Request, Shared};
use crate::{
    ConnectionEvents, Delivered, Delivery, Driver, Error, Filter, Handled, HandlerSubscription,
    Message, MessageRef, Options, PublishError, Resumed, Runtime, Statistics, Subscription,
    TraceContext,
};

/// How long a client that is closed may take to send what waits, unless told otherwise.
const FLUSH: Duration = Duration::from_secs(10);

/// A client of an MQTT server. Clones are the same client; when the last of them and all
/// [`Subscription`]s are dropped, it is closed as by [`Client::disconnect`].
///
/// All methods can be called at any time, with or without a connection: what can wait for one waits.
/// The connection is kept by a [`Driver`], which runs on its own, so that nothing an application does
/// or does not do can keep messages and acknowledgements from moving.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

/// As long as there is one, the client is open.
#[derive(Debug)]
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    /// Whether the server is asked to keep the session.
    pub(crate) persistent: bool,
    /// Whether the version of the protocol has properties.
    has_properties: bool,
    trace_context: Option<fn() -> Option<TraceContext>>,
    /// Whether there is a mechanism of enhanced authentication.
    authenticates: bool,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let deadline = self.shared.now() + FLUSH;
        let reason = Some(ReasonCode::NORMAL_DISCONNECTION);
        self.shared.close(Closing { deadline, reason, done: None });
    }
}

/// How to say goodbye. Start from the default, and assign.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnect {
    /// How long to go on delivering what waits, reconnecting if need be. Default: 10 s.
    pub flush: Duration,
    /// Whether the server is to publish the will all the same (version 5 only). Default: false.
    pub publish_will: bool,
}

impl Default for Disconnect {
    fn default() -> Self {
        Self { flush: FLUSH, publish_will: false }
    }
}

impl Client {
    /// Makes a client and its driver, a future that does nothing before it is polled: for those who
    /// want to own the loop. What runs it otherwise is a runtime, such as [`tokio`](crate::tokio).
    ///
    /// # Errors
    /// [`Error::Options`] if CONNECT cannot be made of the options; [`Error::Store`] if the
    /// [`store`](Options::store) cannot be read, or is another client's.
    pub fn with_runtime(options: Options, runtime: impl Runtime) -> Result<(Self, Driver), Error> {
        let (shared, restored) = Shared::new(&options, runtime.clock())?;
        let shared = Arc::new(shared);
        let persistent = options.is_persistent();
        let has_properties = options.version.has_properties();
        let trace_context = options.trace_context.filter(|_| has_properties);
        let authenticates = options.authentication.is_some();
        let driver = Driver::new(Arc::clone(&shared), options, restored, Box::new(runtime))?;
        let handle = Handle { shared, persistent, has_properties, authenticates, trace_context };
        Ok((Self { handle: Arc::new(handle) }, driver))
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    pub(crate) fn has_properties(&self) -> bool {
        self.handle.has_properties
    }

    /// Publishes a message and waits for the outcome: that QoS 0 was handed to the transport, that
    /// QoS 1 was acknowledged, that QoS 2 was completed.
    ///
    /// Cancel safe: dropped while there is no room in the outbox, nothing is published; dropped later,
    /// the message is delivered all the same.
    ///
    /// # Errors
    /// Each says what is known of the message.
    pub async fn publish(
        &self,
        topic: impl Into<Arc<str>>,
        payload: impl Into<Bytes>,
        qos: QoS,
    ) -> Result<Delivered, PublishError> {
        self.send(Message::new(topic, payload, qos)).await
    }

    /// As [`Client::publish`], for a message that is retained or has properties.
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub async fn send(&self, message: Message) -> Result<Delivered, PublishError> {
        #[cfg(feature = "tracing")]
        {
            use tracing::Instrument;
            let (qos, bytes) = (message.qos.bits(), message.payload.len());
            let span = tracing::debug_span!("mqtt.publish", topic = &*message.topic, qos, bytes);
            return async { self.enqueue(message).await?.await }.instrument(span).await;
        }
        #[cfg(not(feature = "tracing"))]
        self.enqueue(message).await?.await
    }

    /// Waits until there is room in the outbox, and puts the message there. What becomes of it is
    /// told by the [`Delivery`], so that many messages can be on their way at once.
    ///
    /// Cancel safe: dropped before it is done, nothing is published.
    ///
    /// # Errors
    /// [`PublishError::Invalid`], [`PublishError::Closed`], and [`PublishError::Full`] with
    /// [`Overflow::Reject`](crate::Overflow::Reject), or if the message is larger than the outbox.
    pub async fn enqueue(&self, message: Message) -> Result<Delivery, PublishError> {
        Enqueue::new(&self.handle.shared, self.traced(message)).await
    }

    /// Puts the message into the outbox if there is room; never waits.
    ///
    /// # Errors
    /// As [`Client::enqueue`], and [`PublishError::Full`] where that would wait.
    pub fn try_publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        match self.handle.trace_context {
            None => self.handle.shared.try_enqueue(message),
            Some(_) => self.handle.shared.try_enqueue(&self.traced(message.clone())),
        }
    }

    /// The message with its Trace Context, if that is wanted.
    fn traced(&self, mut message: Message) -> Message {
        let context = self.handle.trace_context.filter(|_| !TraceContext::is_in(&message));
        if let Some(context) = context.and_then(|context| context()) {
            context.put_into(&mut message);
        }
        message
    }

    /// What the client has done so far.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.handle.shared.counters.read()
    }

    /// Subscribes, and waits until the server has agreed. The subscription outlives connections: when
    /// the server has lost it with the session, it is asked for again.
    ///
    /// Cancel safe: dropped before it is done, there is no subscription.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is no filter, [`Error::Rejected`], [`Error::Closed`],
    /// [`Error::Full`].
    pub async fn subscribe(&self, filter: &str, qos: QoS) -> Result<Subscription, Error> {
        self.subscribe_with(Filter::new(filter, qos)).await
    }

    /// As [`Client::subscribe`], with options.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn subscribe_with(&self, filter: Filter) -> Result<Subscription, Error> {
        Subscription::ask(Arc::clone(&self.handle), filter).await
    }

    /// Subscribes as [`Client::subscribe_with`] does, and has the messages handled where they are read: the
    /// driver calls the handler with each of them, lent and not copied, in the order they came. That costs
    /// a fraction of what a stream does. [`Filter::capacity`], [`Filter::capacity_bytes`] and [`Filter::lag`] have
    /// no meaning there.
    ///
    /// ```
    /// use mqtt_client::{Client, Filter, QoS};
    /// async fn watch(client: &Client) -> Result<(), mqtt_client::Error> {
    ///     let filter = Filter::new("residence/+/temperature", QoS::AtLeastOnce);
    ///     let readings = client.subscribe_handler(filter, |message| {
    ///         println!("{}: {:?}", message.topic, message.text());
    ///     });
    ///     readings.await?.detach();
    ///     Ok(())
    /// }
    /// ```
    ///
    /// - **It has to be short, and must not wait.** While it runs, nothing is sent and nothing is read,
    ///   acknowledgements and pings neither: the server waits. Hand work that takes its time to others. All
    ///   methods that are not `async` may be called, such as [`Client::try_publish`], and subscriptions may be
    ///   dropped. [`blocking::wait`](crate::blocking::wait), and so the methods that block, panic there. Neither
    ///   must anything wait that the handler owns, when it is dropped.
    /// - **A message is acknowledged once the handler has returned.** With `Err` from a handler that returns a
    ///   `Result` it is refused: in version 5 the server is told the reason
    ///   ([`ReasonCode::UnspecifiedError`] if PUBACK does not know it), in 3.1.1, where there is no way to
    ///   refuse, it is acknowledged. Where acknowledgement is [manual](Options::manual_acknowledge), one that
    ///   was copied by [`MessageRef::to_message`] is acknowledged by that copy, at any time and from anywhere.
    ///   Of what other subscriptions match too, all have it by then.
    /// - **A handler that panics** is called no more: the message is refused, the subscription ends, and
    ///   [`HandlerSubscription::ended`] tells why. The client goes on.
    /// - **What has come before** for a filter in a session that the server has kept is handled first. It is
    ///   acknowledged already where it has waited among the
    ///   [`unrouted_messages`](Options::unrouted_messages), unless acknowledgement is manual.
    /// - A handler that holds a [`Client`] keeps it open: [`Client::disconnect`] ends both.
    ///
    /// Cancel safe: dropped before it is done, there is no subscription, but the handler may have been called.
    ///
    /// # Errors
    /// As [`Client::subscribe`].
    pub async fn subscribe_handler<H: Handled>(
        &self,
        filter: Filter,
        handler: impl FnMut(&MessageRef<'_>) -> H + Send + 'static,
    ) -> Result<HandlerSubscription, Error> {
        HandlerSubscription::ask(Arc::clone(&self.handle), filter, handler).await
    }

    /// What happens to the connection from now on.
    #[must_use]
    pub fn connection_events(&self) -> ConnectionEvents {
        ConnectionEvents(self.handle.shared.listen())
    }

    /// Waits until all messages that are in the outbox by now are in the [`store`](Options::store), so
    /// that they are delivered even if the program is killed; at once if there is none. Many messages
    /// are stored at once: enqueue as many as there are, and wait for all of them.
    ///
    /// Cancel safe: they are stored all the same.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Closed`].
    pub async fn stored(&self) -> Result<(), Error> {
        let (done, stored) = oneshot::channel();
        self.handle.shared.request(Request::Store { done })?;
        stored.await.unwrap_or(Err(Error::Closed))
    }

    /// The messages that an earlier run of the program has left in the [`store`](Options::store), in the
    /// order they were submitted, each with its outcome, which may be there already. They are sent
    /// whether anybody asks for them or not, and kept here until somebody does, so that no outcome is
    /// missed: as many and as large as the earlier run had on their way, within its
    /// [`outbox_messages`](Options::outbox_messages) and [`outbox_bytes`](Options::outbox_bytes), and
    /// never more than that. The second time there are none; to be rid of them, drop what this returns.
    #[must_use]
    pub fn resumed(&self) -> Vec<Resumed> {
        core::mem::take(&mut self.handle.shared.lock().resumed)
    }

    /// Authenticates once more on the connection there is, with a new mechanism of
    /// [`Options::authentication`] \[MQTT-4.12.1-1], such as before a token expires; without a
    /// connection, waits for the next one, which authenticates anyway.
    ///
    /// Cancel safe: once polled, it happens in any case.
    ///
    /// # Errors
    /// [`Error::Authentication`] where the options name no mechanism; [`Error::Full`]; why the client
    /// ended, which it does if the server refuses for good.
    pub async fn reauthenticate(&self) -> Result<(), Error> {
        if !self.handle.authenticates {
            return Err(Error::Authentication(ReasonCode::BadAuthenticationMethod));
        }
        let (done, answer) = oneshot::channel();
        self.handle.shared.request(Request::Reauthenticate { done })?;
        answer.await.unwrap_or(Err(Error::Closed))
    }

    /// How many messages are neither delivered nor given up.
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.handle.shared.lock().outbox.len()
    }

    /// Delivers what waits, says goodbye to the server, and ends the driver. From now on nothing can
    /// be published. Returns the messages that could not be delivered within 10 seconds.
    ///
    /// Cancel safe: once polled, the client ends in any case.
    pub async fn disconnect(&self) -> Vec<Message> {
        self.disconnect_with(Disconnect::default()).await
    }

    /// As [`Client::disconnect`], with options.
    pub async fn disconnect_with(&self, disconnect: Disconnect) -> Vec<Message> {
        let reason = if disconnect.publish_will {
            ReasonCode::DisconnectWithWill
        } else {
            ReasonCode::NORMAL_DISCONNECTION
        };
        self.close(disconnect.flush, Some(reason)).await
    }

    /// Ends the driver and closes the connection at once, without goodbye: the server publishes the
    /// will. Returns the messages that were not delivered.
    pub async fn abort(&self) -> Vec<Message> {
        self.close(Duration::ZERO, None).await
    }

    async fn close(&self, flush: Duration, reason: Option<ReasonCode>) -> Vec<Message> {
        let shared = &self.handle.shared;
        let (done, undelivered) = oneshot::channel();
        let deadline = shared.now() + flush;
        shared.close(Closing { deadline, reason, done: Some(done) });
        undelivered.await.unwrap_or_default()
    }
}

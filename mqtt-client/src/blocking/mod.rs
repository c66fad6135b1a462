//! Without a runtime: threads of the standard library only.
//!
//! ```
//! use mqtt_client::blocking::Client;
//! use mqtt_client::{Error, QoS};
//!
//! fn kitchen() -> Result<(), Box<dyn std::error::Error>> {
//!     let client = Client::connect("mqtt://localhost")?;
//!     let mut readings = client.subscribe("residence/#", QoS::AtLeastOnce)?;
//!     client.publish("residence/kitchen/temperature", "21.5", QoS::AtLeastOnce)?;
//!     if let Some(message) = readings.next() {
//!         println!("{}: {:?}", message.topic, message.text());
//!     }
//!     client.disconnect();
//!     Ok(())
//! }
//! ```

mod runtime;
mod stream;
mod turns;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use mqtt_codec::QoS;

use crate::{
    ConnectionEvents, Delivered, Delivery, Disconnect, Error, Filter, Handled, Message, MessageRef,
    Options, PublishError, RequestError, RequesterOptions, Resumed, Statistics,
};
pub use runtime::{ThreadRuntime, wait, wait_until};

/// A [`Client`](crate::Client) whose methods block. Its driver has a thread of its own, and each
/// connection one more, or two where the network is slower than what is sent; no method may be called from
/// within an asynchronous runtime. What a method waits for, the calling thread does itself where it can,
/// so that a message is sent without a change of threads.
#[derive(Clone, Debug)]
pub struct Client(crate::Client);

/// A [`Subscription`](crate::Subscription) as an iterator that blocks.
#[derive(Debug)]
pub struct Subscription(crate::Subscription);

/// A [`HandlerSubscription`](crate::HandlerSubscription) whose methods block.
#[derive(Debug)]
#[must_use = "dropped, the subscription ends"]
pub struct HandlerSubscription(crate::HandlerSubscription);

/// A [`Requester`](crate::Requester) whose requests block: one thread's does not keep another's from its
/// response.
#[derive(Debug)]
pub struct Requester(crate::Requester);

impl Client {
    /// Connects to the server that a URL names, as [`Options::from_url`] reads it, and waits until it
    /// has accepted. While the server cannot be reached, this goes on trying.
    ///
    /// # Errors
    /// [`Error::Url`], [`Error::Options`], and for bad credentials and the like [`Error::Refused`].
    pub fn connect(url: &str) -> Result<Self, Error> {
        Self::connect_with(Options::from_url(url)?)
    }

    /// As [`Client::connect`], with options.
    ///
    /// # Errors
    /// [`Error::Options`], and where the policy is to give up, why there is no connection.
    pub fn connect_with(options: Options) -> Result<Self, Error> {
        let runtime = ThreadRuntime::default();
        let (client, mut driver) = crate::Client::with_runtime(options, runtime.clone())?;
        let connected = driver.connected();
        let started = thread::Builder::new().name("mqtt".into()).spawn(move || runtime.run(driver));
        started.map_err(|_| Error::Closed)?;
        wait(connected)?;
        Ok(Self(client))
    }

    /// The same client, for asynchronous code.
    #[must_use]
    pub const fn asynchronous(&self) -> &crate::Client {
        &self.0
    }

    /// As [`Client::publish`](crate::Client::publish).
    ///
    /// # Errors
    /// Each says what is known of the message.
    pub fn publish(
        &self,
        topic: impl Into<Arc<str>>,
        payload: impl Into<Bytes>,
        qos: QoS,
    ) -> Result<Delivered, PublishError> {
        self.send(Message::new(topic, payload, qos))
    }

    /// As [`Client::send`](crate::Client::send).
    ///
    /// # Errors
    /// As [`Client::publish`].
    pub fn send(&self, message: Message) -> Result<Delivered, PublishError> {
        wait(self.0.send(message))
    }

    /// As [`Client::enqueue`](crate::Client::enqueue); [`wait`] for the outcome.
    ///
    /// # Errors
    /// As [`Client::enqueue`](crate::Client::enqueue).
    pub fn enqueue(&self, message: Message) -> Result<Delivery, PublishError> {
        wait(self.0.enqueue(message))
    }

    /// As [`Client::try_publish`](crate::Client::try_publish); [`wait`] for the outcome.
    ///
    /// # Errors
    /// As [`Client::try_publish`](crate::Client::try_publish).
    pub fn try_publish(&self, message: &Message) -> Result<Delivery, PublishError> {
        self.0.try_publish(message)
    }

    /// As [`Client::subscribe`](crate::Client::subscribe).
    ///
    /// # Errors
    /// As [`Client::subscribe`](crate::Client::subscribe).
    pub fn subscribe(&self, filter: &str, qos: QoS) -> Result<Subscription, Error> {
        self.subscribe_with(Filter::new(filter, qos))
    }

    /// As [`Client::subscribe_with`](crate::Client::subscribe_with).
    ///
    /// # Errors
    /// As [`Client::subscribe`](crate::Client::subscribe).
    pub fn subscribe_with(&self, filter: Filter) -> Result<Subscription, Error> {
        wait(self.0.subscribe_with(filter)).map(Subscription)
    }

    /// As [`Client::subscribe_handler`](crate::Client::subscribe_handler). The handler is called on one of the
    /// client's own threads, which drive it and read for it, or on one that has the driver's turn while it waits, as
    /// in [`Client::publish`]; never on two at once.
    ///
    /// # Errors
    /// As [`Client::subscribe`](crate::Client::subscribe).
    pub fn subscribe_handler<H: Handled>(
        &self,
        filter: Filter,
        handler: impl FnMut(&MessageRef<'_>) -> H + Send + 'static,
    ) -> Result<HandlerSubscription, Error> {
        wait(self.0.subscribe_handler(filter, handler)).map(HandlerSubscription)
    }

    /// As [`Client::requester`](crate::Client::requester).
    ///
    /// # Errors
    /// As there.
    pub fn requester(&self, response_topic: &str) -> Result<Requester, Error> {
        self.requester_with(RequesterOptions::new(response_topic))
    }

    /// As [`Client::requester_with`](crate::Client::requester_with).
    ///
    /// # Errors
    /// As there.
    pub fn requester_with(&self, options: RequesterOptions) -> Result<Requester, Error> {
        wait(self.0.requester_with(options)).map(Requester)
    }

    /// As [`Client::reauthenticate`](crate::Client::reauthenticate).
    ///
    /// # Errors
    /// As there.
    pub fn reauthenticate(&self) -> Result<(), Error> {
        wait(self.0.reauthenticate())
    }

    /// As [`Client::statistics`](crate::Client::statistics).
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }

    /// As [`Client::undelivered`](crate::Client::undelivered).
    #[must_use]
    pub fn undelivered(&self) -> usize {
        self.0.undelivered()
    }

    /// What happens to the connection from now on; [`wait`] for each.
    #[must_use]
    pub fn connection_events(&self) -> ConnectionEvents {
        self.0.connection_events()
    }

    /// As [`Client::stored`](crate::Client::stored).
    ///
    /// # Errors
    /// As there.
    pub fn stored(&self) -> Result<(), Error> {
        wait(self.0.stored())
    }

    /// As [`Client::resumed`](crate::Client::resumed).
    #[must_use]
    pub fn resumed(&self) -> Vec<Resumed> {
        self.0.resumed()
    }

    /// As [`Client::disconnect`](crate::Client::disconnect).
    pub fn disconnect(&self) -> Vec<Message> {
        wait(self.0.disconnect())
    }

    /// As [`Client::disconnect_with`](crate::Client::disconnect_with).
    pub fn disconnect_with(&self, disconnect: Disconnect) -> Vec<Message> {
        wait(self.0.disconnect_with(disconnect))
    }

    /// As [`Client::abort`](crate::Client::abort).
    pub fn abort(&self) -> Vec<Message> {
        wait(self.0.abort())
    }
}

impl Requester {
    /// As [`Requester::request`](crate::Requester::request): waits for the response.
    ///
    /// # Errors
    /// [`RequestError`] says why there will be none.
    pub fn request(&self, request: Message) -> Result<Message, RequestError> {
        wait(self.0.request(request))
    }

    /// The same requester, for asynchronous code.
    #[must_use]
    pub const fn asynchronous(&self) -> &crate::Requester {
        &self.0
    }
}

impl Subscription {
    /// The next message, if it comes within this time. `None`: it has not, or the subscription is over.
    pub fn next_within(&mut self, time: Duration) -> Option<Message> {
        match Instant::now().checked_add(time) {
            Some(deadline) => wait_until(self.0.next(), deadline).flatten(),
            None => self.next(), // that is for ever
        }
    }

    /// Ends the subscription, as [`Subscription::unsubscribe`](crate::Subscription::unsubscribe).
    ///
    /// # Errors
    /// As there.
    pub fn unsubscribe(self) -> Result<(), Error> {
        wait(self.0.unsubscribe())
    }

    /// The Maximum QoS that the server has granted.
    #[must_use]
    pub const fn granted(&self) -> QoS {
        self.0.granted()
    }

    /// How many messages of QoS 0 were dropped because the stream was full.
    #[must_use]
    pub fn lagged(&self) -> u64 {
        self.0.lagged()
    }

    /// The same subscription, for asynchronous code.
    #[must_use]
    pub fn into_asynchronous(self) -> crate::Subscription {
        self.0
    }
}

impl HandlerSubscription {
    /// As [`HandlerSubscription::ended`](crate::HandlerSubscription::ended).
    pub fn ended(&mut self) -> Error {
        wait(self.0.ended())
    }

    /// As [`HandlerSubscription::unsubscribe`](crate::HandlerSubscription::unsubscribe).
    ///
    /// # Errors
    /// As there.
    pub fn unsubscribe(self) -> Result<(), Error> {
        wait(self.0.unsubscribe())
    }

    /// The Maximum QoS that the server has granted.
    #[must_use]
    pub const fn granted(&self) -> QoS {
        self.0.granted()
    }

    /// As [`HandlerSubscription::detach`](crate::HandlerSubscription::detach).
    pub fn detach(self) {
        self.0.detach();
    }
}

impl Iterator for Subscription {
    type Item = Message;

    /// The next message; `None` when the subscription is over.
    fn next(&mut self) -> Option<Message> {
        wait(self.0.next())
    }
}

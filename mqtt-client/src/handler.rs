//! Subscriptions whose messages are handled where they are read.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::any::Any;
use core::cell::Cell;
use core::fmt;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

use futures::channel::oneshot;
use mqtt_codec::{PacketType, QoS, ReasonCode, Sender};

use crate::client::Handle;
use crate::message_ref::{Duty, MessageRef};
use crate::subscription::Tenure;
use crate::{Error, Filter, Message};

/// What a handler may return: nothing, or whether it takes the message.
pub trait Handled {
    /// `Err`: with what reason the message is refused.
    ///
    /// # Errors
    /// That reason.
    fn handled(self) -> Result<(), ReasonCode>;
}

impl Handled for () {
    fn handled(self) -> Result<(), ReasonCode> {
        Ok(())
    }
}

impl Handled for Result<(), ReasonCode> {
    fn handled(self) -> Self {
        self
    }
}

std::thread_local! {
    /// Whether this thread is in a handler, and so keeps a driver from going on.
    static HANDLING: Cell<bool> = const { Cell::new(false) };
}

/// Whether the caller is a handler.
pub(crate) fn is_handling() -> bool {
    HANDLING.get()
}

type Call = dyn FnMut(&MessageRef<'_>) -> Result<(), ReasonCode> + Send;

/// What handles the messages of a subscription.
pub(crate) struct Handler {
    call: Box<Call>,
    /// Who is told why there will be no more messages.
    ended: oneshot::Sender<Error>,
}

impl Handler {
    fn new<H: Handled>(
        mut handler: impl FnMut(&MessageRef<'_>) -> H + Send + 'static,
    ) -> (Self, oneshot::Receiver<Error>) {
        let (ended, receiver) = oneshot::channel();
        let call = Box::new(move |message: &MessageRef<'_>| handler(message).handled());
        (Self { call, ended }, receiver)
    }

    /// Handles a message.
    ///
    /// # Errors
    /// The handler has panicked, and is not to be called again.
    #[inline]
    pub(crate) fn call(&mut self, message: &MessageRef<'_>) -> Result<ReasonCode, Error> {
        HANDLING.set(true);
        let call = &mut self.call;
        let result = catch_unwind(AssertUnwindSafe(|| call(message)));
        HANDLING.set(false);
        match result {
            Ok(Ok(())) => Ok(ReasonCode::Success),
            Ok(Err(reason)) => Ok(refusal(reason)),
            Err(panic) => Err(Error::Panicked(text(&*panic))),
        }
    }

    /// Handles a message that was kept, whose acknowledgement is the application's or `Hold`'s.
    ///
    /// # Errors
    /// As [`Handler::call`].
    pub(crate) fn call_kept(&mut self, message: &Message) -> Result<ReasonCode, Error> {
        let duty = Duty::kept(message.receipt.as_ref());
        let result = MessageRef::lend(message, &duty, |message| self.call(message));
        let reason = result.as_ref().map_or(ReasonCode::UnspecifiedError, |reason| *reason);
        if let (Some(reason), Some(receipt)) = (duty.fulfil(reason), &message.receipt) {
            receipt.0.answer(reason);
        }
        result
    }

    /// There will be no more messages.
    pub(crate) fn end(self, error: Error) {
        #[cfg(feature = "tracing")]
        if let Error::Panicked(_) = error {
            tracing::error!(%error, "the subscription has ended");
        }
        // Nobody may want to know.
        let _ = self.ended.send(error);
    }
}

/// The reason to refuse a message with: one that can be said.
#[cold]
fn refusal(reason: ReasonCode) -> ReasonCode {
    let is_refusal = reason.is_failure() && reason.is_allowed(PacketType::PubAck, Sender::Client);
    if is_refusal { reason } else { ReasonCode::UnspecifiedError }
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it does not say why").to_string()
}

impl fmt::Debug for Handler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handler").finish_non_exhaustive()
    }
}

/// A subscription whose messages go to a handler: see [`Client::subscribe_handler`]. Dropped, it ends as
/// a [`Subscription`](crate::Subscription) does, and with it the handler is dropped; to let it go on as
/// long as the client, [`detach`](Self::detach) it.
///
/// [`Client::subscribe_handler`]: crate::Client::subscribe_handler
#[derive(Debug)]
#[must_use = "dropped, the subscription ends"]
pub struct HandlerSubscription {
    tenure: Tenure,
    ended: oneshot::Receiver<Error>,
}

impl HandlerSubscription {
    pub(crate) async fn ask<H: Handled>(
        handle: Arc<Handle>,
        filter: Filter,
        handler: impl FnMut(&MessageRef<'_>) -> H + Send + 'static,
    ) -> Result<Self, Error> {
        let (handler, ended) = Handler::new(handler);
        let tenure = Tenure::ask(handle, filter, handler.into()).await?;
        Ok(Self { tenure, ended })
    }

    /// The Maximum QoS that the server has granted.
    #[must_use]
    pub const fn granted(&self) -> QoS {
        self.tenure.granted()
    }

    /// Waits until there will be no more messages, and says why: [`Error::Closed`], or what ended the client;
    /// [`Error::Rejected`] if the server has lost the subscription and does not grant it again;
    /// [`Error::Panicked`] if the handler did. Cancel safe.
    pub async fn ended(&mut self) -> Error {
        (&mut self.ended).await.unwrap_or(Error::Closed)
    }

    /// Ends the subscription and waits for the answer. The handler may be called meanwhile. Cancel safe: once
    /// polled, the subscription ends in any case.
    ///
    /// # Errors
    /// [`Error::Rejected`], [`Error::Closed`].
    pub async fn unsubscribe(self) -> Result<(), Error> {
        self.tenure.end().await
    }

    /// Lets the subscription go on until the client ends. It does not keep the client open.
    pub fn detach(self) {
        self.tenure.detach();
    }
}

//! Messages where they were read.

use alloc::sync::Arc;
use core::cell::OnceCell;
use core::fmt;

use bytes::Bytes;
use mqtt_codec::{Properties, Property, Publish, QoS, ReasonCode, SubscriptionId};
use mqtt_session::AckToken;

use crate::message::MessageProperties;
use crate::queue::Hold;
use crate::shared::Shared;
use crate::{Message, Receipt, TraceContext};

/// A message that was received, lent to the handler of a subscription: topic, payload and properties lie
/// where they were read. What is to outlive the call is copied, by [`MessageRef::to_message`].
pub struct MessageRef<'m> {
    /// Topic Name.
    pub topic: &'m str,
    /// Application Message, which may be empty.
    pub payload: &'m [u8],
    /// Quality of service that it was received with.
    pub qos: QoS,
    /// Whether the server had kept it.
    pub retain: bool,
    /// Whether the server may have sent it before.
    pub dup: bool,
    /// What version 5 says besides.
    pub properties: Properties<'m>,
    duty: &'m Duty<'m>,
}

impl<'m> MessageRef<'m> {
    /// The message of this PUBLISH, with its full topic.
    #[inline]
    pub(crate) const fn new(topic: &'m str, publish: &Publish<'m>, duty: &'m Duty<'m>) -> Self {
        Self {
            topic,
            payload: publish.payload,
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            properties: publish.properties,
            duty,
        }
    }

    /// Lends out a message that was kept.
    pub(crate) fn lend<R>(
        message: &Message,
        duty: &Duty<'_>,
        then: impl FnOnce(&MessageRef<'_>) -> R,
    ) -> R {
        // It was received, so that they are valid.
        let mut list = message.properties.list().unwrap_or_default();
        let ids = message.properties.subscription_ids.iter().copied();
        list.extend(ids.filter_map(SubscriptionId::new).map(Property::SubscriptionIdentifier));
        then(&MessageRef {
            topic: &message.topic,
            payload: &message.payload,
            qos: message.qos,
            retain: message.retain,
            dup: message.dup,
            properties: Properties::from(&list[..]),
            duty,
        })
    }

    /// The payload as text, if it is UTF-8.
    #[must_use]
    pub const fn text(&self) -> Option<&'m str> {
        match core::str::from_utf8(self.payload) {
            Ok(text) => Some(text),
            Err(_) => None,
        }
    }

    /// A copy that owns what it is made of. Where [acknowledgement is
    /// manual](crate::Options::manual_acknowledge), it has the receipt, and with it the duty to
    /// acknowledge the message: that the handler returns does so no more.
    #[must_use]
    pub fn to_message(&self) -> Message {
        self.owned(Arc::from(self.topic), Bytes::copy_from_slice(self.payload))
    }

    /// The same, with this topic and payload.
    #[inline]
    pub(crate) fn owned(&self, topic: Arc<str>, payload: Bytes) -> Message {
        Message {
            topic,
            payload,
            qos: self.qos,
            retain: self.retain,
            dup: self.dup,
            properties: MessageProperties::received(&self.properties),
            receipt: self.duty.receipt(),
        }
    }

    /// The Trace Context that it carries: see [`TraceContext::of`].
    #[must_use]
    pub fn trace_context(&self) -> Option<TraceContext> {
        TraceContext::among(|| self.properties.user_properties())
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRef")
            .field("topic", &self.topic)
            .field("payload", &self.payload)
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .field("dup", &self.dup)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

/// The duty to acknowledge a message that is delivered.
pub(crate) struct Duty<'d> {
    origin: Origin<'d>,
    /// The application's part of it, once it has taken that.
    receipt: OnceCell<Receipt>,
}

enum Origin<'d> {
    /// It has just come.
    Read { shared: &'d Arc<Shared>, token: Option<AckToken>, epoch: u64, manual: bool },
    /// It was kept, with this receipt.
    Kept(Option<&'d Receipt>),
}

impl<'d> Duty<'d> {
    /// Of a message that came on this connection; whether it is for the application to acknowledge it.
    #[inline]
    pub(crate) const fn new(
        shared: &'d Arc<Shared>,
        token: Option<AckToken>,
        epoch: u64,
        manual: bool,
    ) -> Self {
        let origin = Origin::Read { shared, token, epoch, manual };
        Self { origin, receipt: OnceCell::new() }
    }

    pub(crate) const fn kept(receipt: Option<&'d Receipt>) -> Self {
        Self { origin: Origin::Kept(receipt), receipt: OnceCell::new() }
    }

    /// Whether the application may take it.
    #[inline]
    pub(crate) const fn is_manual(&self) -> bool {
        match &self.origin {
            Origin::Read { token, manual, .. } => *manual && token.is_some(),
            Origin::Kept(receipt) => receipt.is_some(),
        }
    }

    /// The application takes it, if it may.
    #[inline]
    fn receipt(&self) -> Option<Receipt> {
        if self.is_manual() { self.new_receipt() } else { None }
    }

    fn new_receipt(&self) -> Option<Receipt> {
        if let Some(receipt) = self.receipt.get() {
            return Some(receipt.clone());
        }
        let receipt = match self.origin {
            Origin::Kept(receipt) => receipt?.clone(),
            Origin::Read { .. } => Receipt(self.make_hold(false)?),
        };
        Some(self.receipt.get_or_init(|| receipt).clone())
    }

    fn make_hold(&self, automatic: bool) -> Option<Arc<Hold>> {
        match self.origin {
            Origin::Read { shared, token, epoch, .. } => {
                Some(Arc::new(Hold::new(Arc::clone(shared), token?, epoch, automatic)))
            }
            Origin::Kept(_) => None,
        }
    }

    /// What acknowledges the message when nobody holds it any more, unless it is the application's to do
    /// that.
    pub(crate) fn hold(&self) -> Option<Arc<Hold>> {
        if self.is_manual() { None } else { self.make_hold(true) }
    }

    /// It was dealt with, and is to be answered so. Returns that, unless the application has taken it over.
    #[inline]
    pub(crate) fn fulfil(&self, reason: ReasonCode) -> Option<ReasonCode> {
        let Some(Receipt(hold)) = self.receipt.get() else { return Some(reason) };
        if reason != ReasonCode::Success {
            hold.answer(reason);
        }
        None
    }
}

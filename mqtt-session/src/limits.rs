//! What the peer allows, in one place.

use core::num::NonZeroU16;

use mqtt_codec::{ConnAck, Connect, Properties, Publish, QoS, Subscribe, TopicFilter, Version};

use crate::Limit;

/// What the peer of this connection allows us to send. A session asks this, never the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Receive Maximum: QoS 1 and 2 messages in flight to the peer, 1 to 65,535.
    pub receive_maximum: u16,
    /// Maximum Packet Size in bytes.
    pub max_packet_size: u32,
    /// Topic Alias Maximum; 0: none may be sent.
    pub topic_alias_maximum: u16,
    /// Maximum QoS of a message.
    pub maximum_qos: QoS,
    /// Whether messages may be retained.
    pub retain_available: bool,
    /// Whether filters may contain wildcards.
    pub wildcard_subscription_available: bool,
    /// Whether SUBSCRIBE may carry an identifier.
    pub subscription_identifier_available: bool,
    /// Whether subscriptions may be shared.
    pub shared_subscription_available: bool,
}

impl Limits {
    /// No limit but the protocol's, and no topic aliases: what 3.1.1 allows, and what version 5 does
    /// where nothing is said.
    pub const NONE: Self = Self {
        receive_maximum: u16::MAX,
        max_packet_size: 268_435_460,
        topic_alias_maximum: 0,
        maximum_qos: QoS::ExactlyOnce,
        retain_available: true,
        wildcard_subscription_available: true,
        subscription_identifier_available: true,
        shared_subscription_available: true,
    };

    /// What a client allows a server to send.
    #[must_use]
    pub fn of_client(connect: &Connect<'_>) -> Self {
        Self::of(&connect.properties, connect.version)
    }

    /// What a server allows a client to send.
    #[must_use]
    pub fn of_server(connack: &ConnAck<'_>, version: Version) -> Self {
        Self::of(&connack.properties, version)
    }

    fn of(properties: &Properties<'_>, version: Version) -> Self {
        let none = Self {
            // 3.1.1 knows no identifiers; it has no place to put one.
            subscription_identifier_available: version.has_properties(),
            ..Self::NONE
        };
        // What 3.1.1 does not send has not been said.
        if properties.is_empty() || !version.has_properties() {
            return none;
        }
        let available = |flag: Option<bool>| flag.unwrap_or(true);
        Self {
            receive_maximum: properties.receive_maximum().map_or(u16::MAX, NonZeroU16::get),
            max_packet_size: properties
                .maximum_packet_size()
                .map_or(none.max_packet_size, |max| max.get().min(none.max_packet_size)),
            topic_alias_maximum: properties.topic_alias_maximum().unwrap_or(0),
            maximum_qos: properties.maximum_qos().unwrap_or(QoS::ExactlyOnce),
            retain_available: available(properties.retain_available()),
            wildcard_subscription_available: available(
                properties.wildcard_subscription_available(),
            ),
            subscription_identifier_available: none.subscription_identifier_available
                && available(properties.subscription_identifier_available()),
            shared_subscription_available: available(properties.shared_subscription_available()),
        }
    }

    /// These limits with a Maximum Packet Size of at most `max` where none is announced.
    pub(crate) const fn or_max_packet_size(mut self, max: u32) -> Self {
        if self.max_packet_size == Self::NONE.max_packet_size {
            self.max_packet_size = max;
        }
        self
    }

    /// The limit that this message would break.
    pub(crate) fn broken_by(&self, publish: &Publish<'_>) -> Option<Limit> {
        if publish.qos > self.maximum_qos {
            Some(Limit::MaximumQoS)
        } else if publish.retain && !self.retain_available {
            Some(Limit::RetainAvailable)
        } else if !publish.properties.is_empty()
            && publish
                .properties
                .topic_alias()
                .is_some_and(|alias| alias.get() > self.topic_alias_maximum)
        {
            Some(Limit::TopicAliasMaximum)
        } else {
            None
        }
    }

    /// The limit that these subscriptions would break.
    pub(crate) fn broken_by_subscribe(&self, subscribe: &Subscribe<'_>) -> Option<Limit> {
        let mut filters = subscribe.subscriptions.iter().map(|subscription| subscription.filter);
        if !self.wildcard_subscription_available && filters.clone().any(TopicFilter::has_wildcard) {
            Some(Limit::WildcardSubscriptionAvailable)
        } else if !self.shared_subscription_available && filters.any(|f| f.shared().is_some()) {
            Some(Limit::SharedSubscriptionAvailable)
        } else if !self.subscription_identifier_available
            && subscribe.properties.subscription_identifier().is_some()
        {
            Some(Limit::SubscriptionIdentifierAvailable)
        } else {
            None
        }
    }
}

//! `[limits]`: what [`Config`] says, by the same names, and what the sockets add. Times are in seconds.

use core::num::{NonZeroU16, NonZeroU32, NonZeroUsize};
use core::time::Duration;

use mqtt_codec::QoS;
use mqtt_session::TopicAliases;
use mqtt_session::broker::{Config, DollarTopics, Overflow, Overlap};
use serde::Deserialize;

/// One optional key for each field, and what sets the field.
macro_rules! limits {
    ($($field:ident: $type:ty,)*) => {
        #[derive(Debug, Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub(super) struct Limits {
            $($field: Option<$type>,)*
            /// Not of [`Config`]: the buffers for it are those of the sockets.
            pub(super) max_partial_bytes: Option<usize>,
        }

        impl Limits {
            /// What can be set.
            #[cfg(test)]
            pub(super) const NAMES: &[&str] = &[$(stringify!($field),)* "max_partial_bytes"];

            /// Sets what was given.
            pub(super) fn apply(self, config: &mut Config) {
                $(if let Some(value) = self.$field {
                    config.$field = value.into();
                })*
            }
        }
    };
}

limits! {
    max_connections: NonZeroUsize,
    max_sessions: NonZeroUsize,
    connect_timeout: SomeSeconds,
    max_connect_size: NonZeroU32,
    max_packet_size: NonZeroU32,
    max_client_id_len: usize,
    max_user_name_len: usize,
    receive_maximum: NonZeroU16,
    max_in_flight: u16,
    topic_alias_maximum: u16,
    topic_aliases: Aliases,
    maximum_qos: MaximumQoS,
    retain_available: bool,
    wildcard_subscription_available: bool,
    subscription_identifier_available: bool,
    shared_subscription_available: bool,
    max_keep_alive: NonZeroU16,
    max_session_expiry: u32,
    max_queued_messages: usize,
    max_queued_bytes: usize,
    max_total_queued_bytes: usize,
    queue_qos_0: bool,
    overflow: OnOverflow,
    overlap: OnOverlap,
    max_overlap: usize,
    max_retained_messages: usize,
    max_retained_bytes: usize,
    max_subscriptions: usize,
    max_subscriptions_per_session: usize,
    max_shared_subscriptions_per_session: usize,
    max_filter_levels: usize,
    max_filter_bytes: usize,
    max_pattern_levels: usize,
    max_pattern_levels_per_session: usize,
    max_topic_levels: NonZeroUsize,
    policy_timeout: SomeSeconds,
    max_deferred_bytes: usize,
    sys_interval: Seconds,
    dollar_publish: Dollar,
    dollar_subscribe: Dollar,
}

/// A time.
#[derive(Debug, Deserialize)]
struct Seconds(u32);

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        Self::from_secs(seconds.0.into())
    }
}

/// A time without which nobody would get in.
#[derive(Debug, Deserialize)]
struct SomeSeconds(NonZeroU32);

impl From<SomeSeconds> for Duration {
    fn from(seconds: SomeSeconds) -> Self {
        Self::from_secs(seconds.0.get().into())
    }
}

/// 0, 1 or 2.
#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "u8")]
pub(super) struct MaximumQoS(QoS);

impl TryFrom<u8> for MaximumQoS {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self(QoS::AtMostOnce)),
            1 => Ok(Self(QoS::AtLeastOnce)),
            2 => Ok(Self(QoS::ExactlyOnce)),
            _ => Err("a QoS is 0, 1 or 2"),
        }
    }
}

impl From<MaximumQoS> for QoS {
    fn from(qos: MaximumQoS) -> Self {
        qos.0
    }
}

/// `"all"`, or a list of prefixes.
#[derive(Debug, Deserialize)]
#[serde(try_from = "AllOr")]
struct Dollar(DollarTopics);

#[derive(Deserialize)]
#[serde(untagged)]
enum AllOr {
    Word(String),
    List(Vec<Box<str>>),
}

impl TryFrom<AllOr> for Dollar {
    type Error = &'static str;

    fn try_from(said: AllOr) -> Result<Self, Self::Error> {
        match said {
            AllOr::Word(word) if word == "all" => Ok(Self(DollarTopics::All)),
            AllOr::List(all) if all.iter().all(|prefix| prefix.starts_with('$')) => {
                Ok(Self(DollarTopics::Only(all)))
            }
            _ => Err("either \"all\", or a list of prefixes that begin with $"),
        }
    }
}

impl From<Dollar> for DollarTopics {
    fn from(dollar: Dollar) -> Self {
        dollar.0
    }
}

/// `"off"`, `{ fixed = N }` or `{ lru = N }`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Aliases {
    Off,
    Fixed(u16),
    Lru(u16),
}

impl From<Aliases> for TopicAliases {
    fn from(aliases: Aliases) -> Self {
        match aliases {
            Aliases::Off => Self::Off,
            Aliases::Fixed(max) => Self::Fixed(max),
            Aliases::Lru(max) => Self::Lru(max),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnOverflow {
    DropNewest,
    DropOldest,
}

impl From<OnOverflow> for Overflow {
    fn from(overflow: OnOverflow) -> Self {
        match overflow {
            OnOverflow::DropNewest => Self::DropNewest,
            OnOverflow::DropOldest => Self::DropOldest,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OnOverlap {
    OneCopy,
    CopyEach,
}

impl From<OnOverlap> for Overlap {
    fn from(overlap: OnOverlap) -> Self {
        match overlap {
            OnOverlap::OneCopy => Self::OneCopy,
            OnOverlap::CopyEach => Self::CopyEach,
        }
    }
}

//! What a broker allows.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU16;
use core::time::Duration;

use mqtt_codec::{QoS, ReasonCode, TopicFilter, TopicName};

use super::status::PREFIX;
use crate::TopicAliases;

/// What becomes of a message for a session whose queue is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The message is dropped.
    #[default]
    DropNewest,
    /// The message that has waited longest is dropped.
    DropOldest,
}

/// What a client gets of a message that several of its subscriptions match (section 3.3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overlap {
    /// One copy, with the highest QoS and all Subscription Identifiers \[MQTT-3.3.4-2].
    #[default]
    OneCopy,
    /// A copy for each subscription.
    CopyEach,
}

/// Which topics that begin with `$` clients may use; all others are the embedder's own. Topics below
/// `$SYS/` are for the broker to publish to, but for one, whatever this says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DollarTopics {
    /// All.
    #[default]
    All,
    /// Those that begin with one of these, such as `$app/`. With none of them: none.
    Only(Vec<Box<str>>),
}

impl DollarTopics {
    /// Whether this topic or filter, which begins with `$`, is one of them.
    fn include(&self, text: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(all) => all.iter().any(|prefix| text.starts_with(&**prefix)),
        }
    }
}

/// How a broker behaves, and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Most connections at once; more are refused. Default: 100,000.
    pub max_connections: usize,
    /// Most sessions, with and without a connection. Default: 1,000,000.
    pub max_sessions: usize,
    /// How long a client may take to send CONNECT. Default: 10 s.
    pub connect_timeout: Duration,
    /// Largest CONNECT, in bytes. Default: 131,072.
    pub max_connect_size: u32,
    /// Largest packet that is taken from a client, in bytes; announced as Maximum Packet Size.
    /// Default: 1,048,576.
    pub max_packet_size: u32,
    /// Longest client identifier, in bytes. Default: 1,024.
    pub max_client_id_len: usize,
    /// Longest user name, in bytes. Default: 1,024.
    pub max_user_name_len: usize,
    /// Receive Maximum that is announced: QoS 1 and 2 messages in flight from a client. Default: 1,024.
    pub receive_maximum: NonZeroU16,
    /// Most QoS 1 and 2 messages in flight to a client, if it does not allow fewer itself.
    /// Default: 1,024.
    pub max_in_flight: u16,
    /// Topic Alias Maximum that is announced. Default: 16.
    pub topic_alias_maximum: u16,
    /// How topic aliases are chosen for what is sent to clients that allow them. Default: off.
    pub topic_aliases: TopicAliases,
    /// Maximum QoS that is announced, and granted. Default: 2.
    pub maximum_qos: QoS,
    /// Whether messages are retained. Default: true.
    pub retain_available: bool,
    /// Whether filters may contain wildcards. Default: true.
    pub wildcard_subscription_available: bool,
    /// Whether subscriptions may have identifiers. Default: true.
    pub subscription_identifier_available: bool,
    /// Whether subscriptions may be shared. Default: true.
    pub shared_subscription_available: bool,
    /// Longest Keep Alive; a client that asks for a longer one or for none is given this. Default:
    /// none.
    pub max_keep_alive: Option<NonZeroU16>,
    /// How long sessions without a connection are kept at most, in seconds; 0xFFFF_FFFF: for ever. A
    /// session of 3.1.1 with Clean Session 0 is kept that long. Default: 0xFFFF_FFFF.
    pub max_session_expiry: u32,
    /// Most messages that wait for one session. Default: 1,000,000.
    pub max_queued_messages: usize,
    /// Most bytes of messages that wait for one session; a message that waits for several counts for
    /// each. With more than that in flight to a client, further messages of QoS 1 and 2 wait. Default:
    /// 64 MiB.
    pub max_queued_bytes: usize,
    /// Most bytes of messages that wait for all sessions together, or are in flight to their clients, or
    /// are their wills. A client whose will finds no room is refused. Each client may have its share in
    /// flight all the same, which is this divided by `max_connections`: those who do not read must not
    /// silence those who do. Default: 1 GiB.
    pub max_total_queued_bytes: usize,
    /// Whether messages of QoS 0 wait for a session without a connection. Default: false.
    pub queue_qos_0: bool,
    /// What becomes of a message for a full queue.
    pub overflow: Overflow,
    /// What becomes of a message that several subscriptions of a client match.
    pub overlap: Overlap,
    /// Most subscriptions of one client that a message is matched with; it does not get the copies, or the
    /// Subscription Identifiers, of more. As many groups of Shared Subscriptions a client gets a message
    /// for. A few bytes to many filters would otherwise become as many copies. Default: 1,024.
    pub max_overlap: usize,
    /// Whether sessions, their messages, and retained messages are to survive the process: then the
    /// broker tells all [`Change`](super::Change)s of them, which must be taken with
    /// [`Broker::take_changes`](super::Broker::take_changes). Moments are stored as they are: the
    /// caller's epoch must be the same the next time, such as the Unix epoch. Default: false.
    pub durable: bool,
    /// Most retained messages. Default: 10,000,000.
    pub max_retained_messages: usize,
    /// Most bytes of retained messages. Default: 1 GiB.
    pub max_retained_bytes: usize,
    /// Most subscriptions. Default: 10,000,000.
    pub max_subscriptions: usize,
    /// Most subscriptions of one session. Default: 250,000.
    pub max_subscriptions_per_session: usize,
    /// Most Shared Subscriptions of one session, of those [`max_subscriptions_per_session`](Self::max_subscriptions_per_session).
    /// Each is looked at for each message of its topic, as one member of each group gets it. Default: 1,024.
    pub max_shared_subscriptions_per_session: usize,
    /// Most levels of all filters together, those that begin alike counted once, and as many of the
    /// topics of retained messages. Default: 50,000,000.
    pub max_filter_levels: usize,
    /// Most bytes of these levels, of each of the two. Default: 1 GiB.
    pub max_filter_bytes: usize,
    /// Most levels of the patterns of all filters with `+`, those that begin alike counted once. A pattern is
    /// where a filter has `+` and where it has other levels: `a/+/b` and `c/+/d/#` have the same. A topic
    /// leads to no more levels of filters than this and its own, whatever filters there are: a filter
    /// whose pattern finds no room is refused. Default: 8,192.
    pub max_pattern_levels: usize,
    /// Most levels of such patterns that one session is the first to need, and that still are needed. What is
    /// restored counts for nobody. Default: 1,024.
    pub max_pattern_levels_per_session: usize,
    /// Most levels of a topic name or filter. Default: 256.
    pub max_topic_levels: usize,
    /// How long a client waits for an answer of the policy about a message or a subscription, before its
    /// connection is closed. Default: 10 s.
    pub policy_timeout: Duration,
    /// Most bytes of CONNECT, PUBLISH and SUBSCRIBE packets that wait for an answer of the policy, one at
    /// most on each connection. What finds no room is refused. Default: 64 MiB.
    pub max_deferred_bytes: usize,
    /// How often the broker publishes its numbers to topics that begin with `$SYS/broker/`, which are kept
    /// for new subscribers as retained messages are. Zero: never. Default: never.
    pub sys_interval: Duration,
    /// Topics that begin with `$` to which clients may publish; of `$SYS/` at most
    /// `$SYS/broker/connection/NAME/state`, where mosquitto's bridges tell whether they are connected.
    /// Default: all.
    pub dollar_publish: DollarTopics,
    /// Filters that begin with `$` to which clients may subscribe, shared ones by what is behind the name of
    /// the group. Default: all.
    pub dollar_subscribe: DollarTopics,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections: 100_000,
            max_sessions: 1_000_000,
            connect_timeout: Duration::from_secs(10),
            max_connect_size: 131_072,
            max_packet_size: 1_048_576,
            max_client_id_len: 1024,
            max_user_name_len: 1024,
            receive_maximum: NonZeroU16::new(1024).unwrap_or(NonZeroU16::MAX),
            max_in_flight: 1024,
            topic_alias_maximum: 16,
            topic_aliases: TopicAliases::Off,
            maximum_qos: QoS::ExactlyOnce,
            retain_available: true,
            wildcard_subscription_available: true,
            subscription_identifier_available: true,
            shared_subscription_available: true,
            max_keep_alive: None,
            max_session_expiry: u32::MAX,
            max_queued_messages: 1_000_000,
            max_queued_bytes: 64 << 20,
            max_total_queued_bytes: 1 << 30,
            queue_qos_0: false,
            overflow: Overflow::DropNewest,
            overlap: Overlap::OneCopy,
            max_overlap: 1024,
            durable: false,
            max_retained_messages: 10_000_000,
            max_retained_bytes: 1 << 30,
            max_subscriptions: 10_000_000,
            max_subscriptions_per_session: 250_000,
            max_shared_subscriptions_per_session: 1024,
            max_filter_levels: 50_000_000,
            max_filter_bytes: 1 << 30,
            max_pattern_levels: 8192,
            max_pattern_levels_per_session: 1024,
            max_topic_levels: 256,
            policy_timeout: Duration::from_secs(10),
            max_deferred_bytes: 64 << 20,
            sys_interval: Duration::ZERO,
            dollar_publish: DollarTopics::All,
            dollar_subscribe: DollarTopics::All,
        }
    }
}

impl Config {
    /// Whether a client may publish to this topic, as far as the policy need not be asked.
    pub(super) fn check_topic(&self, topic: TopicName<'_>) -> Result<(), ReasonCode> {
        // Counting levels costs more than to see that there cannot be that many.
        let max = self.max_topic_levels;
        if topic.as_str().len() >= max && topic.levels().count() > max {
            return Err(ReasonCode::TopicNameInvalid);
        }
        if topic.as_bytes().first() != Some(&b'$') {
            return Ok(());
        }
        let topic = topic.as_str();
        let is_own = topic.starts_with(PREFIX) && !tells_of_a_bridge(topic);
        if is_own || !self.dollar_publish.include(topic) {
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(())
    }

    /// Whether a client may subscribe to this filter, as far as the policy need not be asked.
    pub(super) fn check_filter(&self, filter: TopicFilter<'_>) -> Result<(), ReasonCode> {
        let text = filter.as_str();
        if text.len() >= self.max_topic_levels && filter.levels().count() > self.max_topic_levels {
            return Err(ReasonCode::TopicFilterInvalid);
        }
        if text.starts_with('$') && !self.dollar_subscribe.include(text) {
            return Err(ReasonCode::NotAuthorized);
        }
        Ok(())
    }
}

/// Whether it is where a bridge of mosquitto says that it is connected, and has its will say that it is not.
fn tells_of_a_bridge(topic: &str) -> bool {
    let name = topic.strip_prefix("$SYS/broker/connection/").and_then(|t| t.strip_suffix("/state"));
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

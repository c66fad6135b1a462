//! `[[bridge]]`: messages to and from another broker.

use core::num::{NonZeroU8, NonZeroU16, NonZeroU64};
use core::time::Duration;
use std::path::{Path, PathBuf};

use mqtt_codec::{QoS, Version};
use mqtt_session::broker::{Config, QueueBounds};
use serde::Deserialize;
use toml::Spanned;

use super::limits::{MaximumQoS, OnOverflow};
use crate::broker::bridge::{BridgeSettings, Direction, TopicRule, Upstream, UpstreamTls};

/// A table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bridge {
    name: Spanned<String>,
    addresses: Spanned<Vec<String>>,
    client_id: Spanned<String>,
    #[serde(default)]
    version: SpokenVersion,
    user_name: Option<String>,
    password: Option<Spanned<String>>,
    tls: Option<Tls>,
    #[serde(default)]
    clean_start: bool,
    #[serde(default = "for_ever")]
    session_expiry: u32,
    #[serde(default = "sixty")]
    keep_alive: NonZeroU16,
    max_in_flight: Option<NonZeroU16>,
    max_qos: Option<MaximumQoS>,
    #[serde(default = "eight")]
    max_hops: NonZeroU8,
    max_queued_messages: Option<usize>,
    max_queued_bytes: Option<usize>,
    overflow: Option<OnOverflow>,
    #[serde(default = "one")]
    min_retry: NonZeroU64,
    #[serde(default = "sixty_seconds")]
    max_retry: NonZeroU64,
    topic: Vec<Spanned<Topic>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topic {
    direction: Way,
    pattern: String,
    #[serde(default)]
    qos: MaximumQoS,
    #[serde(default)]
    local_prefix: String,
    #[serde(default)]
    remote_prefix: String,
    #[serde(default = "yes")]
    retain: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    ca: PathBuf,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    server_name: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Way {
    In,
    Out,
    Both,
}

#[derive(Clone, Copy, Default, Deserialize)]
enum SpokenVersion {
    #[serde(rename = "3.1.1")]
    V311,
    #[default]
    #[serde(rename = "5")]
    V5,
}

const fn for_ever() -> u32 {
    u32::MAX
}

const fn yes() -> bool {
    true
}

fn eight() -> NonZeroU8 {
    NonZeroU8::MIN.saturating_add(7)
}

fn sixty() -> NonZeroU16 {
    NonZeroU16::MIN.saturating_add(59)
}

const fn one() -> NonZeroU64 {
    NonZeroU64::MIN
}

fn sixty_seconds() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(59)
}

impl Bridge {
    /// What it says. `at` tells of what is wrong where.
    pub(super) fn settings(
        self,
        config: &Config,
        at: impl Fn(usize, &str, &str) -> String,
    ) -> Result<BridgeSettings, String> {
        let name = self.name.get_ref();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_plain) {
            let what = "1 to 64 of A-Z, a-z, 0-9, '-', '_' and '.'";
            return Err(at(self.name.span().start, "bridge.name", what));
        }
        let addresses_at = self.addresses.span().start;
        let mut addresses = Vec::new();
        for address in self.addresses.into_inner() {
            let upstream = Upstream::parse(&address, self.tls.is_some());
            addresses.push(upstream.map_err(|what| at(addresses_at, "bridge.addresses", what))?);
        }
        if addresses.is_empty() {
            return Err(at(addresses_at, "bridge.addresses", "at least one is needed"));
        }
        let version = match self.version {
            SpokenVersion::V311 => Version::V311,
            SpokenVersion::V5 => Version::V5,
        };
        if self.client_id.get_ref().is_empty() || self.client_id.get_ref().len() > 65_535 {
            let what = "the other broker knows the bridge by it: it must be there, and its own";
            return Err(at(self.client_id.span().start, "bridge.client_id", what));
        }
        if let (Some(password), None, Version::V311) = (&self.password, &self.user_name, version) {
            let what = "3.1.1 has none without a user_name [MQTT-3.1.2-22]";
            return Err(at(password.span().start, "bridge.password", what));
        }
        let mut topics = Vec::new();
        let mut topics_at = self.name.span().start;
        for topic in self.topic {
            topics_at = topic.span().start;
            let topic = topic.into_inner();
            let rule = TopicRule {
                direction: match topic.direction {
                    Way::In => Direction::In,
                    Way::Out => Direction::Out,
                    Way::Both => Direction::Both,
                },
                pattern: topic.pattern,
                qos: QoS::from(topic.qos),
                local_prefix: topic.local_prefix,
                remote_prefix: topic.remote_prefix,
                retain: topic.retain,
            };
            rule.check().map_err(|what| at(topics_at, "bridge.topic", what))?;
            topics.push(rule);
        }
        if topics.is_empty() {
            return Err(at(topics_at, "bridge.topic", "at least one is needed"));
        }
        let usual = QueueBounds::of(config);
        Ok(BridgeSettings {
            name: self.name.into_inner(),
            addresses,
            version,
            client_id: self.client_id.into_inner(),
            user_name: self.user_name,
            password: self.password.map(Spanned::into_inner),
            tls: self.tls.map(|tls| UpstreamTls {
                ca: tls.ca,
                certificate: tls.certificate,
                key: tls.key,
                server_name: tls.server_name,
            }),
            clean_start: self.clean_start,
            session_expiry: self.session_expiry,
            keep_alive: self.keep_alive,
            // In 3.1.1 nobody says how many it takes, and mosquitto closes the connection above this.
            max_in_flight: self.max_in_flight.unwrap_or(
                NonZeroU16::MIN.saturating_add(if version.has_properties() { 99 } else { 19 }),
            ),
            max_qos: self.max_qos.map_or(QoS::ExactlyOnce, QoS::from),
            max_hops: self.max_hops,
            queue: QueueBounds {
                max_messages: self.max_queued_messages.unwrap_or(usual.max_messages),
                max_bytes: self.max_queued_bytes.unwrap_or(usual.max_bytes),
                overflow: self.overflow.map_or(usual.overflow, Into::into),
            },
            min_retry: Duration::from_secs(self.min_retry.get()),
            max_retry: Duration::from_secs(self.max_retry.get().max(self.min_retry.get())),
            topics,
        })
    }
}

/// Files that a bridge names, relative to this folder.
pub(super) fn resolve(bridge: &mut BridgeSettings, folder: &Path) {
    let Some(tls) = &mut bridge.tls else { return };
    let paths = [Some(&mut tls.ca), tls.certificate.as_mut(), tls.key.as_mut()];
    for path in paths.into_iter().flatten() {
        *path = folder.join(&*path);
    }
}

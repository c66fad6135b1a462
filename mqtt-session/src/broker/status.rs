//! The broker's numbers as messages: topics that begin with `$SYS/broker/`, named as other brokers name
//! them.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use mqtt_codec::{Publish, QoS, TopicName};

use super::message::Outgoing;
use super::statistics::Statistics;
use super::timers::Timer;
use super::{Broker, Outputs};
use crate::Instant;

/// What all of these topics begin with, which only the broker publishes to.
pub(super) const PREFIX: &str = "$SYS/";

/// What `$SYS/broker/version` says.
const VERSION: &str = concat!("motewire ", env!("CARGO_PKG_VERSION"));

/// A number, and its topic behind `$SYS/broker/`.
type Number = (&'static str, fn(&Statistics) -> u64);

const NUMBERS: &[Number] = &[
    ("clients/total", |s| s.sessions as u64),
    ("clients/connected", |s| s.sessions_connected as u64),
    ("clients/disconnected", |s| s.sessions.saturating_sub(s.sessions_connected) as u64),
    ("clients/maximum", |s| s.max_sessions_connected as u64),
    ("clients/expired", |s| s.sessions_expired),
    ("connections/count", |s| s.connections as u64),
    ("subscriptions/count", |s| s.subscriptions as u64),
    ("shared_subscriptions/count", |s| s.shared_subscriptions as u64),
    ("retained messages/count", |s| s.retained_messages as u64),
    ("retained messages/bytes", |s| s.retained_bytes as u64),
    ("store/messages/count", |s| (s.retained_messages + s.queued_messages) as u64),
    ("store/messages/bytes", |s| (s.retained_bytes + s.queued_bytes) as u64),
    ("messages/stored", |s| (s.retained_messages + s.queued_messages) as u64),
    ("messages/inflight", |s| s.in_flight_messages as u64),
    ("messages/received", |s| s.received.packets()),
    ("messages/sent", |s| s.sent.packets()),
    ("bytes/received", |s| s.received.bytes()),
    ("bytes/sent", |s| s.sent.bytes()),
    ("publish/messages/received", |s| s.messages_received),
    ("publish/messages/sent", |s| s.messages_sent),
    ("publish/messages/dropped", |s| s.dropped.total()),
    ("publish/bytes/received", |s| s.payload_bytes_received),
    ("publish/bytes/sent", |s| s.payload_bytes_sent),
];

/// What grows, told as so much per minute.
const LOADS: [Number; 9] = [
    ("messages/received", |s| s.received.packets()),
    ("messages/sent", |s| s.sent.packets()),
    ("bytes/received", |s| s.received.bytes()),
    ("bytes/sent", |s| s.sent.bytes()),
    ("publish/received", |s| s.messages_received),
    ("publish/sent", |s| s.messages_sent),
    ("publish/dropped", |s| s.dropped.total()),
    ("sockets", |s| s.connections_opened),
    ("connections", |s| s.connects_accepted),
];

/// Over how many minutes loads are averaged.
const MINUTES: [u32; 3] = [1, 5, 15];

/// What is remembered from one time to the next.
#[derive(Debug, Default)]
pub(super) struct Status {
    /// When the broker began; none before the first connection.
    began: Option<Instant>,
    last: Instant,
    numbers: Statistics,
    loads: [[f64; MINUTES.len()]; LOADS.len()],
}

impl Status {
    /// Averages what has happened since the last time.
    fn update(&mut self, now: Instant, numbers: &Statistics) {
        let minutes = now.since(self.last).as_secs_f64() / 60.0;
        if minutes <= 0.0 {
            return;
        }
        for ((_, number), averages) in LOADS.iter().zip(&mut self.loads) {
            let change = number(numbers).saturating_sub(number(&self.numbers));
            let rate = change as f64 / minutes;
            for (average, span) in averages.iter_mut().zip(MINUTES) {
                // What is left of the old average: the exponential function as far as it matters.
                let x = minutes / f64::from(span);
                *average = rate + (*average - rate) / (1.0 + x + x * x / 2.0);
            }
        }
        self.last = now;
        self.numbers = *numbers;
    }
}

impl Broker {
    /// The broker has a connection: from the first one on its numbers are published.
    pub(super) fn begin_status(&mut self, now: Instant) {
        if self.status.began.is_none() {
            self.status.began = Some(now);
            self.status.last = now;
            if !self.config.sys_interval.is_zero() {
                self.timers.set(now, Timer::Status);
            }
        }
    }

    /// Publishes all numbers, and keeps them for who subscribes later.
    pub(super) fn publish_status(&mut self, now: Instant, out: &mut dyn Outputs) {
        self.timers.set(now + self.config.sys_interval, Timer::Status);
        let numbers = self.statistics();
        self.status.update(now, &numbers);
        let uptime = now.since(self.status.began.unwrap_or(now)).as_secs();
        let loads = self.status.loads;
        let mut value = String::new();
        self.tell(now, "version", VERSION, out);
        self.tell(now, "uptime", &format!("{uptime} seconds"), out);
        for (topic, number) in NUMBERS {
            value.clear();
            // Writing to a string does not fail.
            let _ = write!(value, "{}", number(&numbers));
            self.tell(now, topic, &value, out);
        }
        for ((topic, _), averages) in LOADS.iter().zip(&loads) {
            for (average, minutes) in averages.iter().zip(MINUTES) {
                value.clear();
                let _ = write!(value, "{average:.2}");
                self.tell(now, &format!("load/{topic}/{minutes}min"), &value, out);
            }
        }
    }

    fn tell(&mut self, now: Instant, topic: &str, value: &str, out: &mut dyn Outputs) {
        let topic = format!("{PREFIX}broker/{topic}");
        let Ok(topic) = TopicName::new(&topic) else { return };
        let publish = Publish {
            qos: QoS::ExactlyOnce,
            retain: true,
            ..Publish::new(topic, value.as_bytes())
        };
        let mut message = Outgoing::new(now, publish);
        // It is not to be found again after a restart.
        let journal = self.journal.take();
        self.keep_retained(&mut message);
        self.journal = journal;
        self.fan_out(None, &mut message, out);
    }
}

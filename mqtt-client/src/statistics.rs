//! What a client counts.

use core::sync::atomic::{AtomicU64, Ordering};

/// What a client has done since it was made: see [`Client::statistics`](crate::Client::statistics).
///
/// With the feature `metrics` the same numbers are counters of the crate `metrics`, named
/// `mqtt_client_` and the field's name, and `_total`; install the recorder before the client is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Connections that a server has accepted.
    pub connections: u64,
    /// Connections that broke or could not be made.
    pub failures: u64,
    /// Messages that came, those that are dropped because their stream is full among them.
    pub received: u64,
    /// Messages that came and were passed over as they were too large (before version 5 only).
    pub oversized: u64,
    /// Messages that came, belonged to no subscription, and had to make way:
    /// [`Options::unrouted_messages`](crate::Options::unrouted_messages).
    pub unrouted: u64,
    /// Messages that were delivered as their QoS says, and of which somebody waited for the outcome.
    pub delivered: u64,
    /// Messages that were not, or where that is not known, and of which somebody waited for the outcome.
    pub undelivered: u64,
    /// Bytes read.
    pub bytes_received: u64,
    /// Bytes written.
    pub bytes_sent: u64,
}

macro_rules! counters {
    ($($name:ident $text:literal),*) => {
        /// The numbers, counted by the driver.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn new() -> Self {
                Self { $($name: Counter::new(concat!("mqtt_client_", $text, "_total")),)* }
            }

            pub(crate) fn read(&self) -> Statistics {
                Statistics { $($name: self.$name.count.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    connections "connections", failures "failures", received "received", oversized "oversized", unrouted "unrouted", delivered "delivered",
    undelivered "undelivered", bytes_received "bytes_received", bytes_sent "bytes_sent"
}

#[derive(Debug)]
pub(crate) struct Counter {
    count: AtomicU64,
    #[cfg(feature = "metrics")]
    counter: metrics::Counter,
}

impl Counter {
    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, clippy::missing_const_for_fn, reason = "no counter to name")
    )]
    fn new(name: &'static str) -> Self {
        Self {
            count: AtomicU64::new(0),
            #[cfg(feature = "metrics")]
            counter: metrics::counter!(name),
        }
    }

    pub(crate) fn add(&self, count: u64) {
        if count > 0 {
            self.count.fetch_add(count, Ordering::Relaxed);
            #[cfg(feature = "metrics")]
            self.counter.increment(count);
        }
    }
}

//! What is stored of a broker, and the broker that is built from it.

mod any;
mod crashes;
mod restored;

use alloc::collections::BTreeMap;

use mqtt_session::Instant;
use mqtt_session::broker::{Broker, Change, Config};

use crate::harness::Net;

/// Records by key, as a store keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk(BTreeMap<Vec<u8>, Vec<u8>>);

impl Disk {
    fn apply(&mut self, change: &Change<'_>) {
        match change.value {
            Some(value) => self.0.insert(change.key.to_vec(), value.to_vec()),
            None => self.0.remove(change.key),
        };
    }

    /// Stores what has changed; whether something had to be stored before anything is sent.
    pub(crate) fn store(&mut self, broker: &mut Broker) -> bool {
        let mut urgent = false;
        broker.take_changes(|change| {
            urgent |= change.urgent;
            self.apply(&change);
        });
        urgent
    }

    /// What there is to be stored of a broker.
    pub(crate) fn of(broker: &Broker) -> Self {
        let mut all = Self::default();
        broker.snapshot(|change| all.apply(&change));
        all
    }

    /// A broker as it was stored.
    pub(crate) fn restore(&self, config: &Config, now: Instant) -> Broker {
        let mut broker = Broker::new(config.clone());
        let mut restore = broker.restore(now);
        for (key, value) in &self.0 {
            assert!(restore.add(key, value), "{key:02x?}: {value:02x?}");
        }
        restore.finish();
        broker
    }

    /// How many records there are of messages.
    pub(crate) fn messages(&self) -> usize {
        self.0.keys().filter(|key| key[0] == 3).count()
    }
}

/// A configuration with which things are stored.
pub(crate) fn durable() -> Config {
    let mut config = Config::default();
    config.durable = true;
    config
}

/// The broker of this net crashes, once all is stored, and comes back.
pub(crate) fn crash(net: &mut Net, disk: &mut Disk) {
    disk.store(&mut net.broker);
    assert_eq!(*disk, Disk::of(&net.broker));
    let broker = disk.restore(net.broker.config(), net.now);
    let now = net.now;
    *net = Net::of(broker);
    net.now = now;
    disk.store(&mut net.broker);
    assert_eq!(*disk, Disk::of(&net.broker));
}

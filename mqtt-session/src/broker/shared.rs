//! Shared Subscriptions (section 4.8): who of a group gets a message, and who else once that one has
//! gone.

use alloc::boxed::Box;

use mqtt_codec::{Property, QoS};

use super::message::Entry;
use super::session::Backlog;
use super::subscriptions::{Group, Subscriber};
use super::{Broker, Outputs};
use crate::Instant;

impl Broker {
    /// The member of a group that gets a message of this QoS: of those who can take it, each in turn, but for
    /// sessions that have enough of it.
    pub(super) fn choose(
        &mut self,
        group: Group,
        qos: QoS,
        has_enough: impl Fn(u32) -> bool,
    ) -> Option<Subscriber> {
        let (sessions, connections, config) = (&self.sessions, &self.connections, &self.config);
        self.subscriptions.choose(group, |subscriber| {
            let session =
                sessions.at(subscriber.session).filter(|_| !has_enough(subscriber.session))?;
            let connection = session.connection.and_then(|key| connections.get(key));
            let backlog = session.backlog.as_ref();
            let zero = qos.min(subscriber.options.qos) == QoS::AtMostOnce;
            let waits = backlog.is_some_and(|backlog| match zero {
                true => !backlog.queue_0.is_empty(),
                false => !backlog.queue.is_empty() || backlog.outbox.is_full(config),
            });
            let is_full = backlog.is_some_and(|backlog| backlog.is_full(config));
            match connection {
                _ if is_full => Some(3),
                Some(c) if !waits && !c.blocked && (zero || c.link.quota() > 0) => Some(0),
                Some(_) => Some(1),
                // It would not be kept.
                None if zero && !config.queue_qos_0 => None,
                None => Some(2),
            }
        })
    }

    /// The session of a member of groups has ended: messages that it has not acknowledged go to others,
    /// but for those of QoS 2 that were sent to it [MQTT-4.8.2-5].
    pub(super) fn redeliver(&mut self, now: Instant, backlog: Backlog, out: &mut dyn Outputs) {
        for (entry, was_sent) in backlog.into_messages() {
            let Some(group) = entry.group else { continue };
            if entry.is_expired(now) || (was_sent && entry.qos == QoS::ExactlyOnce) {
                continue;
            }
            if let Some(chosen) = self.choose(group, entry.qos, |_| false) {
                self.hand_over(now, entry, &chosen, out);
            }
        }
    }

    /// A message that was another's waits for this subscriber, and is sent if it can be.
    fn hand_over(
        &mut self,
        now: Instant,
        entry: Entry,
        chosen: &Subscriber,
        out: &mut dyn Outputs,
    ) {
        let Some(key) = self.sessions.key(chosen.session) else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        let added: Box<[Property<'static>]> =
            chosen.options.id.map(Property::SubscriptionIdentifier).into_iter().collect();
        let entry = Entry {
            qos: entry.qos.min(chosen.options.qos),
            retain: entry.retain && chosen.options.retain_as_published,
            added,
            ..entry
        };
        let dropped = session.keep(entry, &mut self.held, &self.config, &mut self.journal);
        self.statistics.dropped.queue_full += dropped as u64;
        self.pump(now, key, out);
    }
}

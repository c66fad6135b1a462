//! How messages go from who publishes to who has subscribed.

use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashMap;
use mqtt_codec::{PacketId, Property, Publish, QoS, ReasonCode, TopicName};

use super::config::Overlap;
use super::connection::Owed;
use super::journal::Log;
use super::message::{Entry, Frame, Outgoing, Seq, Sharing, is_large, unframe};
use super::notice::Cause;
use super::policy::Admission;
use super::retained::{Retained, Walked};
use super::slab::Key;
use super::subscriptions::{Group, Subscriber, path};
use super::timers::Timer;
use super::tree::NodeId;
use super::{Broker, ConnectionId, Outputs, Statistics};
use crate::{Error, Fault, Instant, Message, Transmit, server};

/// How many levels of retained topics are looked at for one session before others have their turn:
/// about a millisecond's worth.
const MAX_STEPS: usize = 10_000;

/// How long others have their turn then.
const PAUSE: Duration = Duration::from_millis(1);

/// What one session gets of a message.
#[derive(Clone, Copy, Debug)]
struct Copy<'c> {
    session: u32,
    qos: QoS,
    retain: bool,
    group: Option<Group>,
    added: &'c [Property<'static>],
}

impl Broker {
    pub(super) fn on_message(
        &mut self,
        now: Instant,
        id: ConnectionId,
        message: &Message<'_>,
        out: &mut dyn Outputs,
    ) {
        self.statistics.messages_received += 1;
        self.statistics.payload_bytes_received += message.publish.payload.len() as u64;
        let Some(connection) = self.connections.get(id.0) else { return };
        let Some(session) = connection.session else { return };
        let version = connection.link.version();
        if message.publish.qos > self.config.maximum_qos
            || (message.publish.retain && !self.config.retain_available)
        {
            // A client of 3.1.1, which cannot be told that it asks for too much.
            let too_high = message.publish.qos > self.config.maximum_qos;
            let fault = if too_high { Fault::QoS } else { Fault::Retain };
            self.tell_end(id, Cause::Fault(fault), out);
            return self.end(now, id.0, true, out);
        }
        let resolved;
        let topic = if message.publish.topic.is_empty() {
            resolved =
                alloc::string::String::from(connection.link.topic(&message.publish).as_str());
            TopicName::new(&resolved).unwrap_or(TopicName::ALIASED)
        } else {
            message.publish.topic
        };
        let publish = Publish { topic, ..message.publish };
        let mut answer = self.may_publish(id, session, &publish);
        if self.refuses && (publish.qos != QoS::AtMostOnce || publish.retain) {
            if message.token.is_some() && !version.has_properties() {
                // To a client that cannot be told it would count as taken.
                self.tell_end(id, Cause::Broker(ReasonCode::QuotaExceeded), out);
                return self.end(now, id.0, true, out);
            }
            answer = Admission::Refuse(ReasonCode::QuotaExceeded);
        }
        if answer == Admission::Later {
            if self.defer_publish(now, id, &publish, message.token) {
                return;
            }
            answer = Admission::Refuse(ReasonCode::QuotaExceeded);
        }
        let mut outgoing = Outgoing::new(now, publish);
        let reason = self.publish_if(answer, Some(session.index), &mut outgoing, out);
        let Some(token) = message.token else { return };
        self.answer(id, Owed::Message(token, reason), out);
    }

    /// Publishes a message of the embedder's own, such as those of `$SYS`, which the policy is not asked
    /// about. Whether anybody has subscribed to it. A message without topic goes nowhere.
    pub fn publish(&mut self, now: Instant, publish: &Publish<'_>, out: &mut dyn Outputs) -> bool {
        !publish.topic.is_empty() && self.route(None, &mut Outgoing::new(now, *publish), out)
    }

    fn may_publish(&mut self, id: ConnectionId, key: Key, publish: &Publish<'_>) -> Admission {
        if let Err(reason) = self.config.check_topic(publish.topic) {
            return Admission::Refuse(reason);
        }
        let ticket = self.ticket(id);
        match self.sessions.get(key) {
            Some(session) => self.policy.publish(session.client(ticket), publish),
            None => Admission::Allow,
        }
    }

    /// Sends a message to all who have subscribed, and retains it if it says so. `from` is the session
    /// of who published it. Whether there is a subscriber.
    pub(super) fn route(
        &mut self,
        from: Option<u32>,
        message: &mut Outgoing<'_>,
        out: &mut dyn Outputs,
    ) -> bool {
        if message.publish.retain {
            self.keep_retained(message);
        }
        self.fan_out(from, message, out)
    }

    /// As [`Broker::route`], but nothing is retained.
    pub(super) fn fan_out(
        &mut self,
        from: Option<u32>,
        message: &mut Outgoing<'_>,
        out: &mut dyn Outputs,
    ) -> bool {
        let mut matching = core::mem::take(&mut self.matching);
        let mut groups = core::mem::take(&mut self.groups);
        matching.clear();
        groups.clear();
        self.subscriptions.matching(message.publish.topic, &mut matching, &mut groups);
        let found = !matching.is_empty() || !groups.is_empty();
        let is_many = matching.len() + groups.len() > 1;
        message.is_shared = is_many && is_large(&message.publish);
        message.is_repeated = is_many && !message.is_shared;
        if message.is_repeated {
            self.shapes.clear();
        }
        let is_own = |s: &Subscriber| s.options.no_local && Some(s.session) == from;
        if matching.iter().any(is_own) {
            matching.retain(|subscriber| !is_own(subscriber)); // [MQTT-3.8.3-3]
        }
        match self.config.overlap {
            Overlap::OneCopy => {
                matching.sort_by_key(|subscriber| subscriber.session);
                for one in matching.chunk_by(|a, b| a.session == b.session) {
                    let counted = one.len().min(self.config.max_overlap);
                    self.deliver(message, one.get(..counted).unwrap_or(one), None, out);
                }
            }
            Overlap::CopyEach => {
                if matching.len() > self.config.max_overlap {
                    matching.sort_by_key(|subscriber| subscriber.session);
                }
                for one in matching.chunk_by(|a, b| a.session == b.session) {
                    for copy in one.iter().take(self.config.max_overlap) {
                        self.deliver(message, core::slice::from_ref(copy), None, out);
                    }
                }
            }
        }
        // How many groups each session gets it for, where that can be too many.
        let max = self.config.max_overlap;
        let mut counts: Option<HashMap<u32, usize>> = (groups.len() > max).then(HashMap::new);
        for group in &groups {
            let Some(group) = self.subscriptions.group(*group) else { continue };
            let has_enough = |session| {
                counts.as_ref().and_then(|counts| counts.get(&session)).is_some_and(|n| *n >= max)
            };
            let Some(chosen) = self.choose(group, message.publish.qos, has_enough) else {
                self.statistics.dropped.offline += 1;
                continue;
            };
            if let Some(counts) = &mut counts {
                *counts.entry(chosen.session).or_insert(0) += 1;
            }
            self.deliver(message, &[chosen], Some(group), out);
        }
        self.matching = matching;
        self.groups = groups;
        found
    }

    /// Keeps a message for its topic, or clears that.
    pub(super) fn keep_retained(&mut self, message: &mut Outgoing<'_>) {
        let topic = message.publish.topic;
        // [MQTT-3.3.1-5], [MQTT-3.3.1-6], [MQTT-3.3.1-7]
        let earlier = self.retained.clear(topic).map(|(node, earlier)| {
            if let Some(expires) = earlier.expires {
                self.timers.cancel(expires, Timer::Retained(node));
            }
            earlier.frame
        });
        let is_set = !message.publish.payload.is_empty() && self.set_retained(message);
        if let (Some(journal), Some(earlier)) = (&mut self.journal, earlier.flatten()) {
            journal.not_retained(topic.as_str(), &earlier, is_set);
        }
    }

    /// Retains the message for a topic that has none; `false` if there is no room.
    fn set_retained(&mut self, message: &mut Outgoing<'_>) -> bool {
        let topic = message.publish.topic;
        let Some(frame) = message.frame(&mut self.scratch) else { return false };
        let (qos, expires) = (message.publish.qos, message.expires);
        let retained = Retained { frame, qos, expires };
        let Some(node) = self.retained.set(topic, retained.clone()) else {
            self.statistics.dropped.retained_full += 1;
            return false;
        };
        if let Some(expires) = expires {
            self.timers.set(expires, Timer::Retained(node));
        }
        if let Some(journal) = &mut self.journal {
            journal.retained(topic.as_str(), &retained);
        }
        true
    }

    /// A retained message may have expired.
    pub(super) fn expire_retained(&mut self, now: Instant, node: NodeId) {
        let Some(expired) = self.retained.expire(node, now) else { return };
        let (Some(journal), Some(frame)) = (&mut self.journal, expired.frame) else { return };
        if let Some(publish) = unframe(&frame) {
            journal.not_retained(publish.topic.as_str(), &frame, false);
        }
    }

    /// Sends or keeps the message for one session, of which these subscriptions match.
    fn deliver(
        &mut self,
        message: &mut Outgoing<'_>,
        matching: &[Subscriber],
        group: Option<Group>,
        out: &mut dyn Outputs,
    ) {
        let Some(first) = matching.first() else { return };
        let mut granted = QoS::AtMostOnce;
        let mut as_published = false;
        for Subscriber { options, .. } in matching {
            granted = granted.max(options.qos); // [MQTT-3.3.4-2]
            as_published |= options.retain_as_published;
        }
        let ids = matching.iter().filter_map(|subscriber| subscriber.options.id);
        // [MQTT-3.3.4-3], [MQTT-3.3.4-4], [MQTT-3.3.4-5]
        let added: Vec<Property<'static>> = ids.map(Property::SubscriptionIdentifier).collect();
        let copy = Copy {
            session: first.session,
            qos: message.publish.qos.min(granted),
            retain: message.publish.retain && as_published,
            group,
            added: &added,
        };
        self.send_or_keep(message, copy, out);
    }

    fn send_or_keep(&mut self, message: &mut Outgoing<'_>, copy: Copy<'_>, out: &mut dyn Outputs) {
        let Some(session) = self.sessions.at_mut(copy.session) else { return };
        let connected = session.connection;
        let connection = connected.and_then(|key| self.connections.get_mut(key));
        if let (Some(key), Some(connection)) = (connected, connection) {
            let in_flight = session.backlog.as_ref().map_or(0, |b| b.outbox.bytes());
            let waits = session.backlog.as_ref().is_some_and(|backlog| match copy.qos {
                QoS::AtMostOnce => !backlog.queue_0.is_empty(),
                _ => !backlog.queue.is_empty() || backlog.outbox.is_full(&self.config),
            });
            let is_full = copy.qos != QoS::AtMostOnce
                && self.held.bytes() >= self.config.max_total_queued_bytes
                && in_flight
                    > self.config.max_total_queued_bytes / self.config.max_connections.max(1);
            if !waits && !is_full && !connection.blocked {
                let tx = &mut self.statistics.sent.counting(out.transmit(ConnectionId(key)));
                let link = &mut connection.link;
                let repeated = if message.is_repeated && copy.added.is_empty() {
                    self.shapes
                        .of(&message.publish, copy.qos, copy.retain, link.version())
                        .and_then(|written| link.publish_written(written, tx))
                } else {
                    None
                };
                let sent = match repeated {
                    Some(sent) => sent,
                    None => {
                        let publish = copy.publish(&message.publish);
                        let shared =
                            message.is_shared.then(|| message.frame(&mut self.scratch)).flatten();
                        match &shared {
                            Some(frame) => link.publish(&publish, &mut Sharing { tx, frame }),
                            None => link.publish(&publish, tx),
                        }
                    }
                };
                match sent {
                    Ok(id) => {
                        self.statistics.messages_sent += 1;
                        self.statistics.payload_bytes_sent += message.publish.payload.len() as u64;
                        let Some(id) = id else { return };
                        if let Some(frame) = message.frame(&mut self.scratch) {
                            let mut entry = copy.entry(frame, message.expires);
                            let stored = session.stored;
                            let backlog = session.backlog_mut();
                            let before = backlog.held();
                            if let Some(mut log) = Log::of(&mut self.journal, stored) {
                                entry.seq = backlog.seq();
                                log.queued(&entry, Some(id));
                            }
                            backlog.outbox.push(id, entry);
                            self.held.replace(before, backlog.held());
                        }
                        return;
                    }
                    Err(Error::TransmitFull | Error::QuotaExceeded) => {}
                    // Larger than the client takes [MQTT-3.1.2-25].
                    Err(_) => {
                        self.statistics.dropped.too_large += 1;
                        return;
                    }
                }
            }
        } else if copy.qos == QoS::AtMostOnce && !self.config.queue_qos_0 {
            self.statistics.dropped.offline += 1;
            return;
        }
        if let Some(frame) = message.frame(&mut self.scratch) {
            let entry = copy.entry(frame, message.expires);
            let dropped = session.keep(entry, &mut self.held, &self.config, &mut self.journal);
            self.statistics.dropped.queue_full += dropped as u64;
        }
    }

    pub(super) fn on_acknowledged(
        &mut self,
        now: Instant,
        id: ConnectionId,
        packet: PacketId,
        is_received: bool,
        out: &mut dyn Outputs,
    ) {
        let session = self.connections.get(id.0).and_then(|connection| connection.session);
        let Some(key) = session else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(backlog) = &mut session.backlog else { return };
        let before = backlog.held();
        let entry = backlog.outbox.remove(packet);
        if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
            match entry {
                Some(entry) if is_received => {
                    log.received(packet, &entry);
                    backlog.outbox.release(packet, entry.seq);
                }
                Some(entry) => log.done(&entry),
                None if is_received => {}
                None => {
                    if let Some(seq) = backlog.outbox.complete(packet) {
                        log.released(seq);
                    }
                }
            }
        }
        self.held.replace(before, backlog.held());
        self.pump(now, key, out);
    }

    /// Sends what waits for a session, as far as its client takes it.
    pub(super) fn pump(&mut self, now: Instant, key: Key, out: &mut dyn Outputs) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let stored = session.stored;
        let (Some(id), Some(backlog)) = (session.connection, session.backlog.as_deref_mut()) else {
            return;
        };
        let mut log = Log::of(&mut self.journal, stored);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.blocked {
            return;
        }
        let link = &mut connection.link;
        let tx = out.transmit(ConnectionId(id));
        let counts = &mut self.statistics;
        if link.is_resuming()
            && link.resume(&backlog.outbox, &mut counts.sent.counting(tx)).is_err()
        {
            return;
        }
        let before = backlog.held();
        while let Some(entry) = backlog.queue.first_mut() {
            if backlog.outbox.is_full(&self.config) {
                break;
            }
            match send(link, now, entry, tx, counts) {
                Ok(id) => {
                    let Some(entry) = backlog.queue.pop() else { break };
                    match (id, &mut log) {
                        (Some(id), Some(log)) => log.moved(&entry, Some(id)),
                        (None, Some(log)) => log.done(&entry),
                        _ => {}
                    }
                    if let Some(id) = id {
                        backlog.outbox.push(id, entry);
                    }
                }
                Err(_) => break,
            }
        }
        while let Some(entry) = backlog.queue_0.first_mut() {
            if send(link, now, entry, tx, counts).is_err() {
                break;
            }
            backlog.queue_0.pop();
        }
        let mut steps = if now < backlog.replay_at { 0 } else { MAX_STEPS };
        let mut subscribed = false;
        while let Some(replay) = backlog.replays.front_mut() {
            // [MQTT-3.10.4-2]
            let filter = if subscribed { None } else { replay.cursor.filter() };
            subscribed |= filter.is_some_and(|f| self.subscriptions.contains(key.index, f));
            if !subscribed {
                self.retained.drop_cursor(&replay.cursor);
                backlog.end_replay();
                continue;
            }
            let Some(message) = self.retained.get(&replay.cursor) else {
                match self.retained.advance(&mut replay.cursor, &mut steps) {
                    Walked::Match => {}
                    Walked::End => {
                        if let (Some(log), Some(filter)) = (&mut log, replay.cursor.filter()) {
                            let subs = &mut self.subscriptions;
                            if let Some(options) = subs.options_mut(key.index, filter, None) {
                                options.replays = false;
                                log.replayed(&path(filter, None), options);
                            }
                        }
                        self.retained.drop_cursor(&replay.cursor);
                        backlog.end_replay();
                        subscribed = false;
                    }
                    Walked::Paused => {
                        if backlog.replay_at <= now {
                            backlog.replay_at = now + PAUSE;
                            self.timers.set(backlog.replay_at, Timer::Replay(key));
                        }
                        break;
                    }
                }
                continue;
            };
            let id = replay.options.id.map(Property::SubscriptionIdentifier);
            let mut entry = Entry {
                frame: message.frame,
                qos: message.qos.min(replay.options.qos),
                retain: true, // [MQTT-3.3.1-8]
                expires: message.expires,
                group: None,
                seq: Seq::default(),
                added: id.into_iter().collect(),
            };
            if entry.qos != QoS::AtMostOnce && backlog.outbox.is_full(&self.config) {
                break;
            }
            match send(link, now, &mut entry, tx, counts) {
                Ok(id) => {
                    if let Some(id) = id {
                        if let Some(log) = &mut log {
                            entry.seq = Seq::new(backlog.next_seq);
                            backlog.next_seq += 1;
                            log.queued(&entry, Some(id));
                        }
                        backlog.outbox.push(id, entry);
                    }
                }
                Err(_) => break,
            }
            replay.cursor.done();
        }
        self.held.replace(before, backlog.held());
    }
}

impl Copy<'_> {
    /// As it is sent to this session.
    fn publish<'p>(&'p self, publish: &Publish<'p>) -> Publish<'p> {
        let properties = publish.properties;
        let properties =
            if self.added.is_empty() { properties } else { properties.with(self.added) };
        Publish { qos: self.qos, retain: self.retain, packet_id: None, properties, ..*publish }
    }

    fn entry(&self, frame: Frame, expires: Option<Instant>) -> Entry {
        let Copy { qos, retain, group, added, .. } = *self;
        let seq = Seq::default();
        Entry { frame, qos, retain, expires, group, seq, added: added.into() }
    }
}

/// Sends a message that has waited. One that has expired, or that the client does not take, is done
/// with as if it were sent.
fn send(
    link: &mut server::Session<'static>,
    now: Instant,
    entry: &mut Entry,
    tx: &mut dyn Transmit,
    counts: &mut Statistics,
) -> Result<Option<PacketId>, Error> {
    if entry.is_expired(now) {
        counts.dropped.expired += 1;
        return Ok(None); // [MQTT-3.3.2-5]
    }
    entry.refresh(now);
    let Some(publish) = entry.publish() else { return Ok(None) };
    let mut tx = counts.sent.counting(tx);
    let sent = if is_large(&publish) {
        link.publish(&publish, &mut Sharing { tx: &mut tx, frame: &entry.frame })
    } else {
        link.publish(&publish, &mut tx)
    };
    match sent {
        Err(error @ (Error::TransmitFull | Error::QuotaExceeded)) => Err(error),
        Err(_) => {
            counts.dropped.too_large += 1;
            Ok(None)
        }
        Ok(id) => {
            counts.messages_sent += 1;
            counts.payload_bytes_sent += publish.payload.len() as u64;
            Ok(id)
        }
    }
}

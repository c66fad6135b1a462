//! How clients come and go: CONNECT, takeover, wills, and the end of sessions.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};
use core::num::NonZeroU32;
use core::time::Duration;

use mqtt_codec::{ConnAck, Connect, Disconnect, Property, Publish, QoS, ReasonCode, Text, Version};

use super::admission::Pending;
use super::bridge;
use super::connection::Owed;
use super::journal::{Journal, Log};
use super::message::{KeptWill, Outgoing, unframe};
use super::notice::{Cause, Notice};
use super::policy::Client;
use super::session::{Held, Session};
use super::slab::Key;
use super::subscriptions::Subscriptions;
use super::timers::Timer;
use super::{Broker, ConnectionId, Outputs};
use crate::Instant;

/// The Session Expiry Interval that means never (section 3.1.2.11.2).
pub(super) const NEVER: u32 = u32::MAX;

impl Broker {
    /// The client is let in: it gets its session, and what is left of an earlier connection ends.
    pub(super) fn let_in(
        &mut self,
        now: Instant,
        id: ConnectionId,
        connect: &Connect<'_>,
        assigned: Option<&str>,
        authenticated: &[Property<'_>],
        out: &mut dyn Outputs,
    ) {
        let client_id = assigned.unwrap_or(connect.client_id.as_str());
        let earlier = self.find_client(client_id);
        if let Some(session) = earlier.and_then(|key| self.sessions.get(key)) {
            let connection = self.connections.get(id.0);
            let is_proven = connection.is_some_and(|c| c.is_proven);
            let is_bridge = connection.is_some_and(|c| c.is_bridge);
            let ticket = self.ticket(id);
            let user_name = connect.user_name.map(Text::as_str);
            let client = Client { id: client_id, user_name, is_proven, is_bridge, ticket };
            if !self.policy.take_over(client, session.user_name.as_deref()) {
                return self.reject(now, id, client_id, ReasonCode::NotAuthorized, out);
            }
        }
        if let Some(connection) = earlier.and_then(|key| self.sessions.get(key)?.connection) {
            // [MQTT-3.1.4-3]
            self.statistics.taken_over += 1;
            self.disconnect(now, ConnectionId(connection), ReasonCode::SessionTakenOver, out);
        }
        // It may have ended with its connection.
        let mut earlier = earlier.filter(|key| self.sessions.get(*key).is_some());
        if let (Some(key), true) = (earlier, connect.clean_start) {
            // [MQTT-3.1.2-4]
            self.discard(now, key, out);
            earlier = None;
        }
        let Some(key) = earlier.or_else(|| self.add_session(client_id)) else {
            return self.reject(now, id, client_id, ReasonCode::QuotaExceeded, out);
        };
        let will = connect.will.and_then(|will| KeptWill::new(&will, &mut self.scratch));
        let will = will.map(Box::new);
        if !self.set_will(key, will) {
            let reason = ReasonCode::QuotaExceeded;
            if earlier.is_none() {
                self.discard(now, key, out);
            }
            return self.reject(now, id, client_id, reason, out);
        }
        // [MQTT-3.1.3-9]: the will of the earlier connection is not published any more.
        self.stop_timers(key);
        let ticket = self.ticket(id);
        let (Some(session), Some(connection)) =
            (self.sessions.get_mut(key), self.connections.get_mut(id.0))
        else {
            return;
        };
        let wanted = match connect.version {
            Version::V5 => connect.properties.session_expiry_interval().unwrap_or(0),
            Version::V31 | Version::V311 if connect.clean_start => 0,
            Version::V31 | Version::V311 => NEVER,
        };
        session.user_name = connect.user_name.map(|name| name.as_str().into());
        session.is_proven = connection.is_proven;
        session.is_bridge = connection.is_bridge;
        // A bridge's session is there for as long as it is set up.
        session.expiry = match connection.is_bridge {
            true => NEVER,
            false => wanted.min(self.config.max_session_expiry),
        };
        session.connection = Some(id.0);
        let connected = &mut self.statistics.sessions_connected;
        *connected += 1;
        self.statistics.max_sessions_connected =
            self.statistics.max_sessions_connected.max(*connected);
        connection.session = Some(key);
        if session.expiry == 0 {
            unstore(&mut self.journal, &self.subscriptions, session);
        } else if session.stored.is_none() {
            session.stored = self.journal.as_mut().and_then(Journal::new_session);
        }
        if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
            log.session(session);
        }
        if let Some(mut left) = session.left.take() {
            connection.link.take_over(&mut left);
            session.backlog_mut().outbox.refresh(now);
        }
        let mut properties: Vec<Property<'_>> = authenticated.to_vec();
        self.config.announce(connect, connection.is_bridge, &mut properties);
        if session.expiry != wanted && connect.version == Version::V5 {
            properties.push(Property::SessionExpiryInterval(session.expiry));
        }
        properties.extend(assigned.map(Property::AssignedClientIdentifier)); // [MQTT-3.2.2-16]
        let connack = ConnAck {
            session_present: earlier.is_some(),
            properties: properties[..].into(),
            ..ConnAck::new(ReasonCode::Success)
        };
        let mut tx = self.statistics.sent.counting(out.transmit(id));
        if connection.link.accept(now, &connack, &mut tx).is_err() {
            // A client that has no room for CONNACK, or wants it smaller than it is.
            self.statistics.connects_refused += 1;
            self.tell_end(id, Cause::Stuck, out);
            return self.end(now, id.0, false, out);
        }
        self.statistics.connects_accepted += 1;
        let notice = Notice::Connected {
            client: session.client(ticket),
            version: connect.version,
            session_present: earlier.is_some(),
        };
        out.notice(id, &notice);
        self.set_timer(id.0);
        self.pump(now, key, out);
    }

    /// The client identifier, where the broker chooses it.
    pub(super) fn client_id(
        &mut self,
        id: ConnectionId,
        connect: &Connect<'_>,
    ) -> Result<Option<String>, ReasonCode> {
        let is_bridge = self.connections.get(id.0).is_some_and(|c| c.is_bridge);
        if connect.client_id.as_bytes().starts_with(bridge::PREFIX.as_bytes()) != is_bridge {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        if connect.client_id.len() > self.config.max_client_id_len {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        // A certificate may tell a longer one than CONNECT can.
        let max = self.config.max_user_name_len.min(u16::MAX.into());
        if connect.user_name.is_some_and(|name| name.len() > max) {
            return Err(ReasonCode::BadUserNameOrPassword);
        }
        if !connect.client_id.is_empty() {
            return Ok(None);
        }
        // [MQTT-3.1.3-6]; 3.1.1 [MQTT-3.1.3-8]: not for a session that its client could not find again.
        let may_be_empty = match connect.version {
            Version::V5 => true,
            Version::V311 => connect.clean_start,
            Version::V31 => false,
        };
        if !may_be_empty {
            return Err(ReasonCode::ClientIdentifierNotValid);
        }
        loop {
            let id = format!("auto-{:016x}{:016x}", self.random(0), self.random(1));
            self.assigned = self.assigned.wrapping_add(1);
            if self.find_client(&id).is_none() {
                return Ok(Some(id));
            }
        }
    }

    /// One of the numbers for a client identifier, which tell nothing about those to come: that is what
    /// SipHash is for.
    #[expect(deprecated, reason = "others have it for tables; this is all there is without `std`")]
    fn random(&self, part: u8) -> u64 {
        let mut hasher = core::hash::SipHasher::new_with_keys(self.seed[0], self.seed[1]);
        (self.assigned, part).hash(&mut hasher);
        hasher.finish()
    }

    pub(super) fn on_disconnect(
        &mut self,
        now: Instant,
        id: ConnectionId,
        disconnect: &Disconnect<'_>,
        out: &mut dyn Outputs,
    ) {
        let expiry = disconnect.properties.session_expiry_interval();
        let session = self.connections.get(id.0).and_then(|connection| connection.session);
        if let Some(session) = session.and_then(|key| self.sessions.get_mut(key)) {
            if let Some(expiry) = expiry.filter(|_| !session.is_bridge) {
                session.expiry = expiry.min(self.config.max_session_expiry);
            }
        }
        // [MQTT-3.14.4-3]
        let with_will = disconnect.reason != ReasonCode::NORMAL_DISCONNECTION;
        self.tell_end(id, Cause::Client(disconnect.reason), out);
        self.end(now, id.0, with_will, out);
    }

    /// The connection is to be closed.
    pub(super) fn end(&mut self, now: Instant, key: Key, with_will: bool, out: &mut dyn Outputs) {
        if self.forget(now, key, with_will, out) {
            out.close(ConnectionId(key));
        }
    }

    /// The connection is no more: its session waits for another, or ends. Whether there was one.
    pub(super) fn forget(
        &mut self,
        now: Instant,
        key: Key,
        with_will: bool,
        out: &mut dyn Outputs,
    ) -> bool {
        let Some(mut connection) = self.connections.remove(key) else { return false };
        if let Some(timer) = connection.timer {
            self.timers.cancel(timer, Timer::Connection(key));
        }
        if let Some(deferred) = connection.deferred() {
            self.forget_deferred(key, deferred);
        }
        if connection.deferred().is_some()
            || connection.pending().is_some_and(Pending::is_undecided)
        {
            self.policy.abandoned(ConnectionId(key));
        }
        if let Some(pending) = connection.pending() {
            self.deferred_bytes = self.deferred_bytes.saturating_sub(pending.bytes());
        }
        let Some(session_key) = connection.session else { return true };
        let Some(session) = self.sessions.get_mut(session_key) else { return true };
        session.connection = None;
        self.statistics.sessions_connected = self.statistics.sessions_connected.saturating_sub(1);
        if !with_will {
            self.held.will_bytes -= session.will.take().map_or(0, |will| will.size());
        }
        connection.link.closed();
        if let Some(&Owed::Message(token, reason)) = connection.owed() {
            // It has been routed: when it comes again it is a duplicate.
            if let Some(delta) = token.delta(reason) {
                connection.link.restore(delta);
            }
        }
        let in_flight = connection.link.in_flight().next().is_some()
            || connection.link.received().next().is_some();
        if in_flight && (session.expiry > 0 || session.stored.is_some()) {
            session.left = Some(Box::new(connection.link));
        }
        session.shrink();
        if session.expiry == 0 {
            // [MQTT-3.1.2-23], and the will is not delayed any more.
            self.discard(now, session_key, out);
            return true;
        }
        if session.expiry != NEVER {
            let expires = now + Duration::from_secs(session.expiry.into());
            session.expires = Some(expires);
            self.timers.set(expires, Timer::Session(session_key));
        }
        match &mut session.will {
            None => {}
            Some(will) if will.delay == 0 => self.publish_will(now, session_key, out),
            // The end of the session comes first if it is earlier [MQTT-3.1.3-9].
            Some(will) => {
                let due = now + Duration::from_secs(will.delay.into());
                will.due = Some(due);
                self.timers.set(due, Timer::Will(session_key));
            }
        }
        self.store_session(session_key);
        true
    }

    /// Keeps the will in place of an earlier one; `false`, and nothing has changed, if there is no room for
    /// it.
    fn set_will(&mut self, key: Key, will: Option<Box<KeptWill>>) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let earlier = session.will.as_ref().map_or(0, |will| will.size());
        let size = will.as_ref().map_or(0, |will| will.size());
        let others = self.held.bytes() - earlier;
        if size > 0 && others.saturating_add(size) > self.config.max_total_queued_bytes {
            return false;
        }
        self.held.will_bytes = self.held.will_bytes - earlier + size;
        if let Some(due) = session.will_due() {
            self.timers.cancel(due, Timer::Will(key));
        }
        session.will = will;
        true
    }

    /// A session that is stored has changed.
    pub(super) fn store_session(&mut self, key: Key) {
        let Some(session) = self.sessions.get(key) else { return };
        if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
            log.session(session);
        }
    }

    /// Publishes the will of this session, if it has one [MQTT-3.1.2-8], [MQTT-3.1.2-10].
    pub(super) fn publish_will(&mut self, now: Instant, key: Key, out: &mut dyn Outputs) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(will) = session.will.take() else { return };
        self.held.will_bytes -= will.size();
        if let Some(publish) = unframe(&will.frame) {
            let publish = Publish { qos: will.qos, retain: will.retain, ..publish };
            let mut message = Outgoing::kept(now, publish, &will.frame);
            self.route(Some(key.index), &mut message, out);
        }
    }

    /// The session neither ends nor publishes its will for now.
    fn stop_timers(&mut self, key: Key) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(at) = session.expires.take() {
            self.timers.cancel(at, Timer::Session(key));
        }
        if let Some(at) = session.will.as_mut().and_then(|will| will.due.take()) {
            self.timers.cancel(at, Timer::Will(key));
        }
    }

    /// The session ends.
    pub(super) fn discard(&mut self, now: Instant, key: Key, out: &mut dyn Outputs) {
        self.stop_timers(key);
        self.publish_will(now, key, out);
        let Some(mut session) = self.sessions.remove(key) else { return };
        unstore(&mut self.journal, &self.subscriptions, &mut session);
        self.subscriptions.unsubscribe_all(key.index, &mut session.subscriptions);
        let hash = self.hasher.hash_one(&*session.client_id);
        if let Ok(entry) = self.clients.find_entry(hash, |index| *index == key.index) {
            entry.remove();
        }
        if let Some(backlog) = session.backlog {
            self.held.replace(backlog.held(), Held::default());
            for replay in &backlog.replays {
                self.retained.drop_cursor(&replay.cursor);
            }
            self.redeliver(now, *backlog, out);
        }
    }

    pub(super) fn find_client(&self, client_id: &str) -> Option<Key> {
        let is_it = |index: &u32| {
            self.sessions.at(*index).is_some_and(|session| *session.client_id == *client_id)
        };
        let index = *self.clients.find(self.hasher.hash_one(client_id), is_it)?;
        self.sessions.key(index)
    }

    pub(super) fn add_session(&mut self, client_id: &str) -> Option<Key> {
        if self.sessions.len() >= self.config.max_sessions {
            return None;
        }
        let key = self.sessions.insert(Session::new(client_id))?;
        let (sessions, hasher) = (&self.sessions, &self.hasher);
        let hash = |index: &u32| {
            hasher.hash_one(sessions.at(*index).map_or("", |session| &session.client_id))
        };
        self.clients.insert_unique(hash(&key.index), key.index, hash);
        Some(key)
    }
}

/// Nothing of this session is to be stored any more.
fn unstore(journal: &mut Option<Journal>, subscriptions: &Subscriptions, session: &mut Session) {
    let Some(mut log) = Log::of(journal, session.stored.take()) else { return };
    for sub in session.subscriptions.iter() {
        if let Some((path, _)) = subscriptions.get(*sub) {
            log.unsubscribed(&path);
        }
    }
    if let Some(backlog) = &session.backlog {
        backlog.entries().for_each(|(entry, _)| log.done(entry));
        backlog.outbox.released().iter().for_each(|(_, seq)| log.released(*seq));
    }
    if let Some(left) = &session.left {
        left.received().for_each(|id| log.forgotten(id));
    }
    log.end();
}

impl super::Config {
    /// What CONNACK announces: all that is not as the protocol has it by default.
    fn announce(&self, connect: &Connect<'_>, is_bridge: bool, list: &mut Vec<Property<'_>>) {
        if connect.version != Version::V5 {
            return;
        }
        if self.maximum_qos < QoS::ExactlyOnce {
            list.push(Property::MaximumQoS(self.maximum_qos));
        }
        if !self.retain_available {
            list.push(Property::RetainAvailable(false));
        }
        if self.receive_maximum.get() != u16::MAX && !is_bridge {
            list.push(Property::ReceiveMaximum(self.receive_maximum));
        }
        list.extend(NonZeroU32::new(self.max_packet_size).map(Property::MaximumPacketSize));
        if self.topic_alias_maximum > 0 {
            list.push(Property::TopicAliasMaximum(self.topic_alias_maximum));
        }
        if !self.wildcard_subscription_available {
            list.push(Property::WildcardSubscriptionAvailable(false));
        }
        if !self.subscription_identifier_available {
            list.push(Property::SubscriptionIdentifierAvailable(false));
        }
        if !self.shared_subscription_available {
            list.push(Property::SharedSubscriptionAvailable(false));
        }
        if let Some(max) = self.max_keep_alive.filter(|_| !is_bridge) {
            if connect.keep_alive == 0 || connect.keep_alive > max.get() {
                list.push(Property::ServerKeepAlive(max.get()));
            }
        }
    }
}

//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 to 3.11).

use alloc::vec::Vec;

use mqtt_codec::{
    PacketType, QoS, ReasonCode, RetainHandling, SharedFilter, Subscribe, Subscription,
    SubscriptionId, TopicFilter, Unsubscribe, Version,
};

use super::admission::or_unspecified;
use super::asks_as_bridge;
use super::connection::Owed;
use super::deferred::Subscribing;
use super::journal::Log;
use super::policy::Admission;
use super::session::Replay;
use super::slab::Key;
use super::subscriptions::{Options, Subscribed, path};
use super::{Broker, ConnectionId, Outputs};
use crate::Instant;

impl Broker {
    /// Subscribes to the filters behind those that `reasons` is for, and answers. `answer` is what the
    /// policy says to the first of them, where that was waited for.
    pub(super) fn subscribe_all(
        &mut self,
        now: Instant,
        id: ConnectionId,
        subscribe: &Subscribe<'_>,
        mut reasons: Vec<ReasonCode>,
        mut answer: Option<Admission>,
        out: &mut dyn Outputs,
    ) {
        let Some((session, version)) = self.session_of(id) else { return };
        let sub_id = subscribe.properties.subscription_identifier();
        let asks_as_bridge = self.connections.get(id.0).is_some_and(|c| c.asks_as_bridge);
        let mut is_full = false;
        for subscription in subscribe.subscriptions.iter().skip(reasons.len()) {
            let subscription = match asks_as_bridge {
                true => asks_as_bridge::subscription(subscription),
                false => subscription,
            };
            let allowed = match answer.take() {
                Some(answer) => answer,
                None => self.may_subscribe(id, session, version, &subscription),
            };
            let granted = match allowed {
                Admission::Allow => Ok(subscription.qos),
                Admission::AllowUpTo(qos) => Ok(qos),
                Admission::Refuse(reason) => Err(reason),
                Admission::Later if is_full => Err(ReasonCode::QuotaExceeded),
                Admission::Later => {
                    let so_far = reasons.clone();
                    let kept = Subscribing::new(subscribe, version, so_far);
                    if kept.is_some_and(|kept| self.defer_subscribe(now, id, kept)) {
                        return;
                    }
                    is_full = true;
                    Err(ReasonCode::QuotaExceeded)
                }
            };
            let reason = granted
                .and_then(|qos| self.subscribe(session, version, &subscription, sub_id, qos))
                .unwrap_or_else(|reason| or_unspecified(reason, PacketType::SubAck));
            self.statistics.subscriptions_refused += u64::from(reason.is_failure());
            reasons.push(match version {
                // [MQTT-3.9.3-2] of 3.1.1: a failure is 0x80.
                Version::V31 | Version::V311 if reason.is_failure() => ReasonCode::UnspecifiedError,
                _ => reason,
            });
        }
        self.answer(id, Owed::Subscribe(subscribe.packet_id, reasons), out);
        self.pump(now, session, out);
    }

    fn may_subscribe(
        &mut self,
        id: ConnectionId,
        key: Key,
        version: Version,
        subscription: &Subscription<'_>,
    ) -> Admission {
        let (filter, _) = parts(subscription.filter, version);
        if let Err(reason) = self.config.check_filter(filter) {
            return Admission::Refuse(reason);
        }
        // A session of 3.1.1 lets them pass, as it cannot have announced this.
        if filter.has_wildcard() && !self.config.wildcard_subscription_available {
            return Admission::Refuse(ReasonCode::WildcardSubscriptionsNotSupported);
        }
        let ticket = self.ticket(id);
        match self.sessions.get(key) {
            Some(session) => self.policy.subscribe(session.client(ticket), subscription),
            None => Admission::Refuse(ReasonCode::UnspecifiedError),
        }
    }

    pub(super) fn subscribe(
        &mut self,
        key: Key,
        version: Version,
        subscription: &Subscription<'_>,
        id: Option<SubscriptionId>,
        granted: QoS,
    ) -> Result<ReasonCode, ReasonCode> {
        let Some(session) = self.sessions.get_mut(key) else {
            return Err(ReasonCode::UnspecifiedError);
        };
        if self.refuses && session.stored.is_some() {
            return Err(ReasonCode::QuotaExceeded);
        }
        let (filter, group) = parts(subscription.filter, version);
        let granted = granted.min(subscription.qos).min(self.config.maximum_qos);
        if let Some(backlog) = session.backlog.as_ref().filter(|b| !b.replays.is_empty()) {
            // Retained messages wait for it already: more than that is kept in bounds as messages are.
            let size = Replay::largest(filter);
            let others = self.held.bytes().saturating_sub(backlog.queued_bytes());
            let room = self.config.max_total_queued_bytes.saturating_sub(others);
            if backlog.replays.len() >= self.config.max_subscriptions_per_session
                || !backlog.has_room(size, room.min(self.config.max_queued_bytes))
            {
                return Err(ReasonCode::QuotaExceeded);
            }
        }
        let options = Options::new(subscription, granted, id);
        let own = &mut session.subscriptions;
        let payer = Some(key.index);
        let subscribed =
            self.subscriptions.subscribe(key.index, payer, own, filter, group, options);
        let replay = match (subscribed, subscription.retain_handling) {
            (Subscribed::Refused, _) => return Err(ReasonCode::QuotaExceeded),
            // Not for a Shared Subscription (section 4.8.2).
            _ if group.is_some() => false,
            (_, RetainHandling::Send) => true, // [MQTT-3.3.1-9]
            (Subscribed::New, RetainHandling::SendIfNew) => true, // [MQTT-3.3.1-10]
            _ => false,                        // [MQTT-3.3.1-11]
        };
        if replay && self.retained.len() > 0 {
            let cursor = self.retained.cursor(filter);
            let backlog = session.backlog_mut();
            let before = backlog.held();
            backlog.add_replay(Replay { cursor, options });
            self.held.replace(before, backlog.held());
        }
        if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
            if let Some(options) = self.subscriptions.options_mut(key.index, filter, group) {
                options.replays |= replay && self.retained.len() > 0;
                log.subscribed(&path(filter, group), options);
            }
        }
        Ok(match granted {
            QoS::AtMostOnce => ReasonCode::GRANTED_QOS_0,
            QoS::AtLeastOnce => ReasonCode::GrantedQoS1,
            QoS::ExactlyOnce => ReasonCode::GrantedQoS2,
        })
    }

    pub(super) fn on_unsubscribe(
        &mut self,
        id: ConnectionId,
        unsubscribe: &Unsubscribe<'_>,
        out: &mut dyn Outputs,
    ) {
        let Some((key, version)) = self.session_of(id) else { return };
        let ticket = self.ticket(id);
        let mut reasons = Vec::new();
        for filter in unsubscribe.filters {
            let Some(session) = self.sessions.get_mut(key) else { return };
            reasons.push(match self.policy.unsubscribe(session.client(ticket), filter) {
                Err(reason) => or_unspecified(reason, PacketType::UnsubAck),
                Ok(()) => {
                    let (filter, group) = parts(filter, version);
                    let own = &mut session.subscriptions;
                    if self.subscriptions.unsubscribe(key.index, own, filter, group) {
                        if let Some(mut log) = Log::of(&mut self.journal, session.stored) {
                            log.unsubscribed(&path(filter, group));
                        }
                        ReasonCode::Success
                    } else {
                        ReasonCode::NoSubscriptionExisted
                    }
                }
            });
        }
        self.answer(id, Owed::Unsubscribe(unsubscribe.packet_id, reasons), out);
    }

    fn session_of(&self, id: ConnectionId) -> Option<(Key, Version)> {
        let connection = self.connections.get(id.0)?;
        Some((connection.session?, connection.link.version()))
    }
}

/// The filter to match, and in version 5 the group that shares it.
fn parts(filter: TopicFilter<'_>, version: Version) -> (TopicFilter<'_>, Option<&str>) {
    match filter.shared() {
        Some(SharedFilter { name, filter }) if version.has_properties() => (filter, Some(name)),
        _ => (filter, None),
    }
}

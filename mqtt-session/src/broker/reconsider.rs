//! A policy that has changed its mind.

use alloc::format;
use alloc::vec::Vec;

use mqtt_codec::{ReasonCode, Subscription, TopicFilter};

use super::deferred::Ticket;
use super::journal::Log;
use super::policy::Admission;
use super::slab::Key;
use super::subscriptions::{SubIndex, from_path};
use super::{Broker, ConnectionId, Outputs};
use crate::Instant;

/// Of a client that has no connection.
const NOBODY: Ticket =
    Ticket { connection: ConnectionId(Key { index: u32::MAX, generation: 0 }), number: 0 };

/// What [`Broker::reconsider`] has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconsidered {
    /// Connections.
    pub connections: usize,
    /// Subscriptions.
    pub subscriptions: usize,
}

impl Broker {
    /// Asks the policy anew about what it has let pass and what goes on. A client that
    /// [may not stay](super::Policy::may_stay) is told 0x87 (Not authorized) and disconnected. A subscription that is
    /// refused now ends, also that of a client that is not connected, and one that may have a lower QoS has it from
    /// now on; [`Admission::Later`] leaves it as it is. What waits for a client already still goes to it. Takes
    /// as long as there are sessions and subscriptions; those of bridges are left alone.
    pub fn reconsider(&mut self, now: Instant, out: &mut dyn Outputs) -> Reconsidered {
        let mut ended = Reconsidered::default();
        let all: Vec<Key> = self.sessions.keys().collect();
        for key in all {
            let Some(session) = self.sessions.get(key).filter(|s| !s.is_bridge) else { continue };
            let id = session.connection.map(ConnectionId);
            let ticket = id.map_or(NOBODY, |id| self.ticket(id));
            if let Some(id) = id.filter(|_| !self.policy.may_stay(session.client(ticket))) {
                ended.connections += 1;
                self.disconnect(now, id, ReasonCode::NotAuthorized, out);
            }
            let Some(session) = self.sessions.get(key) else { continue };
            let all: Vec<SubIndex> = session.subscriptions.iter().copied().collect();
            for sub in all {
                ended.subscriptions += usize::from(self.reconsider_one(key, ticket, sub));
            }
        }
        ended
    }

    /// Whether this subscription ends.
    fn reconsider_one(&mut self, key: Key, ticket: Ticket, sub: SubIndex) -> bool {
        let Some((path, options)) = self.subscriptions.get(sub) else { return false };
        let Some((filter, group)) = from_path(&path) else { return false };
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let shared = group.map(|name| format!("$share/{name}/{}", filter.as_str()));
        let asked = match shared.as_deref().map(TopicFilter::new) {
            None => filter,
            Some(Ok(shared)) => shared,
            Some(Err(_)) => return false,
        };
        let asked = Subscription {
            no_local: options.no_local,
            retain_as_published: options.retain_as_published,
            ..Subscription::new(asked, options.qos)
        };
        let mut log = Log::of(&mut self.journal, session.stored);
        match self.policy.subscribe(session.client(ticket), &asked) {
            Admission::Allow | Admission::Later => false,
            Admission::AllowUpTo(qos) => {
                if let Some(kept) = self.subscriptions.options_mut(key.index, filter, group) {
                    if qos < kept.qos {
                        kept.qos = qos;
                        if let Some(log) = &mut log {
                            log.subscribed(&path, kept);
                        }
                    }
                }
                false
            }
            Admission::Refuse(_) => {
                let own = &mut session.subscriptions;
                self.subscriptions.unsubscribe(key.index, own, filter, group);
                if let Some(log) = &mut log {
                    log.unsubscribed(&path);
                }
                true
            }
        }
    }
}

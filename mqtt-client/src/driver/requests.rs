//! What the handles want, and what they are told.

use core::task::Context;

use mqtt_codec::ReasonCode;
use mqtt_session::{AckToken, Instant};

use super::Driver;
use crate::outbox::{tell, tell_written};
use crate::shared::Request;

impl Driver {
    /// Takes what the handles want, and tells them what room there is.
    pub(super) fn take_requests(&mut self, cx: &Context<'_>, now: Instant) {
        let mut state = self.shared.lock();
        state.now = now;
        state.set_driver(cx.waker());
        state.outbox.on_events(&mut self.events);
        state.outbox.expire(now);
        state.outbox.take_outcomes(&mut self.finished, &mut self.written);
        let room = state.outbox.next_waiting();
        let due = state.take_due(now);
        let requests = core::mem::take(&mut state.requests);
        let mut answers = core::mem::take(&mut state.answers);
        drop(state);
        room.into_iter().chain(due).for_each(core::task::Waker::wake);
        self.tell_outcomes();
        for request in requests {
            match request {
                Request::Subscribe { key, filter, sink, done } => {
                    self.routes.add(key, filter, sink, done);
                }
                Request::Unsubscribe { key, tell, done } => self.routes.remove(key, tell, done),
                Request::Store { done } => self.storing.push(done),
                Request::Reauthenticate { done } => self.reauthenticating.push(done),
            }
        }
        self.routes.wake();
        for answer in answers.drain(..) {
            self.acknowledge(now, answer.token, answer.reason);
        }
    }

    /// Tells what became of messages.
    pub(super) fn tell_outcomes(&mut self) {
        let delivered = self.finished.iter().filter(|(_, told)| told.is_ok()).count() as u64;
        let undelivered = self.finished.len() as u64 - delivered;
        self.shared.counters.delivered.add(delivered);
        self.shared.counters.undelivered.add(undelivered);
        tell(&mut self.finished);
    }

    /// Tells those who wait for messages of QoS 0 whether they were sent.
    pub(super) fn tell_written(&mut self, sent: bool) {
        let counters = &self.shared.counters;
        let counter = if sent { &counters.delivered } else { &counters.undelivered };
        counter.add(self.written.len() as u64);
        tell_written(&mut self.written, sent);
    }

    /// Acknowledges a message. It fails only for one of an earlier connection, which comes again.
    pub(super) fn acknowledge(&mut self, now: Instant, token: AckToken, reason: ReasonCode) {
        // Before version 5 nothing can be refused.
        let refuses = self.session.version().has_properties();
        let told = if refuses { reason } else { ReasonCode::Success };
        if self.session.acknowledge(now, token, told, self.tx.packets()).is_ok()
            && self.options.store.is_some()
        {
            self.deltas.extend(token.delta(told));
        }
    }
}

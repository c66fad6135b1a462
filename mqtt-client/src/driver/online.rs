//! The driver while there is a connection.

use alloc::sync::Arc;
use core::task::{Context, Poll};
use std::io;

use mqtt_codec::{ConnAck, Disconnect, ReasonCode};
use mqtt_session::{Event, Instant, Stage};

use super::{Driver, Phase, Step, earliest};
use crate::outbox::Outgoing;
use crate::queue::Hold;
use crate::{ConnectionEvent, Delivered, Error, Message, PublishError, Receipt, Transport};

/// With this many bytes to send no messages are added, and with that many nothing is read, which
/// might have to be answered.
const ENOUGH_TO_SEND: usize = 64 * 1024;
const TOO_MUCH_TO_SEND: usize = 1024 * 1024;

impl Driver {
    pub(super) fn online(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        mut transport: Transport,
    ) -> Step {
        let progress = match self.exchange(cx, now, &mut transport) {
            Ok(progress) => progress,
            Err(error) => {
                // What tells the server why, if it fits.
                let _ = self.tx.poll_flush(cx, &mut transport);
                return self.lost(now, error);
            }
        };
        if self.closing_ends(now) {
            let reason = self.shared.lock().closing.as_ref().and_then(|closing| closing.reason);
            return match reason {
                Some(reason) => self.say_goodbye(now, transport, reason),
                None => self.finish(&Error::Closed),
            };
        }
        self.phase = Phase::Online(transport);
        if progress {
            return Step::Again;
        }
        self.rx.rest();
        Step::Wait(earliest(self.session.next_timeout(), None))
    }

    /// Reads, acts, writes; returns whether there was anything to do.
    fn exchange(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        transport: &mut Transport,
    ) -> Result<bool, Error> {
        self.session.handle_timeout(now, self.tx.packets()).map_err(Error::Protocol)?;
        let mut progress = false;
        if self.tx.len() < TOO_MUCH_TO_SEND {
            match self.rx.poll_fill(cx, transport) {
                Poll::Ready(Ok(0)) => {
                    return Err(self.io_error(io::ErrorKind::UnexpectedEof.into()));
                }
                Poll::Ready(Ok(_)) => {
                    self.receive(now)?;
                    progress = true;
                }
                Poll::Ready(Err(error)) => return Err(self.io_error(error)),
                Poll::Pending => {}
            }
        }
        if self.session.is_connected() {
            self.send(now)?;
        }
        match self.tx.poll_flush(cx, transport) {
            Poll::Ready(Ok(any)) => {
                self.sent();
                Ok(progress || any)
            }
            Poll::Ready(Err(error)) => Err(self.io_error(error)),
            Poll::Pending => Ok(progress),
        }
    }

    /// All that was written is sent.
    pub(super) fn sent(&mut self) {
        for done in self.written.drain(..) {
            // Nobody may want to know.
            let _ = done.send(Ok(Delivered::new(ReasonCode::Success)));
        }
    }

    fn receive(&mut self, now: Instant) -> Result<(), Error> {
        let mut rx = core::mem::take(&mut self.rx);
        let mut bytes = rx.filled();
        let result = loop {
            match self.session.receive(now, &mut bytes, self.tx.packets()) {
                Ok(Some(event)) => {
                    if let Err(error) = self.on_event(now, &event) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(Error::Protocol(error)),
            }
        };
        let rest = bytes.len();
        rx.keep(rest);
        self.rx = rx;
        result
    }

    fn on_event(&mut self, now: Instant, event: &Event<'_>) -> Result<(), Error> {
        match event {
            Event::Message(message) => self.on_message(now, message),
            Event::Acknowledged { id, reason } => {
                if let Some(outgoing) = self.in_flight.remove(*id) {
                    let rejected = reason.is_failure();
                    let outcome = if rejected {
                        Err(PublishError::Rejected(*reason))
                    } else {
                        Ok(Delivered::new(*reason))
                    };
                    self.finished(outgoing, outcome);
                }
            }
            Event::Lost { id, stage } => {
                if let Some(outgoing) = self.in_flight.remove(*id) {
                    self.on_lost(outgoing, *stage);
                }
            }
            Event::Connected(connack) => self.on_connected(now, connack),
            Event::Refused(connack) => {
                let text = connack.properties.reason_string().map(Into::into);
                return Err(Error::Refused { reason: connack.reason, text });
            }
            Event::Disconnected(Disconnect { reason, properties }) => {
                let text = properties.reason_string().map(Into::into);
                return Err(Error::Disconnected { reason: *reason, text });
            }
            Event::Subscribed(suback) => {
                let reason = suback.reasons.iter().next().unwrap_or(ReasonCode::UnspecifiedError);
                self.routes.subscribed(suback.packet_id, reason);
            }
            Event::Unsubscribed(unsuback) => {
                self.routes.unsubscribed(unsuback.packet_id, unsuback.reasons.iter().next());
            }
            _ => {}
        }
        Ok(())
    }

    fn on_connected(&mut self, now: Instant, connack: &ConnAck<'_>) {
        if let Some(assigned) = connack.properties.assigned_client_identifier() {
            self.client_id = assigned.into();
        }
        self.accepted = Some(now);
        self.ever_accepted = true;
        self.routes.connected(connack.session_present, self.epoch);
        if let Some(server) = self.target().cloned() {
            let session_present = connack.session_present;
            self.shared.tell(&ConnectionEvent::Connected { server, session_present });
        }
        if let Some(first) = self.first.take() {
            // Nobody may wait any more.
            let _ = first.send(Ok(()));
        }
    }

    fn on_message(&mut self, now: Instant, message: &mqtt_session::Message<'_>) {
        let topic = self.session.topic(&message.publish);
        if *self.topic != *topic.as_str() {
            self.topic = Arc::from(topic.as_str());
        }
        let mut own = Message::received(Arc::clone(&self.topic), &message.publish);
        let hold = |automatic| {
            let token = message.token?;
            Some(Arc::new(Hold::new(Arc::clone(&self.shared), token, self.epoch, automatic)))
        };
        if self.options.manual_acknowledge {
            own.receipt = hold(false).map(Receipt);
        }
        let done = self.routes.deliver(own, topic, &message.publish.properties, || hold(true));
        if let (true, Some(token)) = (done, message.token) {
            // It fails only for a message that is acknowledged already.
            let _ = self.session.acknowledge(now, token, ReasonCode::Success, self.tx.packets());
        }
    }

    /// The server has lost the session in which this message was sent.
    fn on_lost(&mut self, outgoing: Outgoing, stage: Stage) {
        match stage {
            Stage::PubComp => self.finished(outgoing, Ok(Delivered::new(ReasonCode::Success))),
            Stage::PubRec if !self.options.repeat_exactly_once => {
                self.finished(outgoing, Err(PublishError::InDoubt));
            }
            _ => self.repeat.push_back(outgoing),
        }
    }

    fn finished(&mut self, outgoing: Outgoing, outcome: Result<Delivered, PublishError>) {
        self.freed.add(&outgoing);
        outgoing.finish(outcome);
    }

    /// Hands to the session what it can take.
    fn send(&mut self, now: Instant) -> Result<(), Error> {
        if self.session.is_resuming() {
            let tx = self.tx.packets();
            self.session.resume(now, &self.in_flight, tx).map_err(Error::Protocol)?;
        }
        self.routes.ask(now, &mut self.session, self.tx.packets()).map_err(Error::Protocol)?;
        // What the server has lost goes first; it is put in front before the next round.
        if !self.repeat.is_empty() {
            return Ok(());
        }
        let room = ENOUGH_TO_SEND.saturating_sub(self.tx.len());
        let max = usize::from(self.options.in_flight_limit());
        let quota = if self.session.is_resuming() {
            0
        } else {
            self.session.quota().min(max.saturating_sub(self.in_flight.len()))
        };
        self.shared.lock().outbox.take(now, quota, room, &mut self.batch);
        while let Some(outgoing) = self.batch.pop_front() {
            let (session, tx) = (&mut self.session, self.tx.packets());
            let sent = outgoing.with_publish(now, |publish| session.publish(now, publish, tx));
            match sent {
                Some(Ok(Some(id))) => self.in_flight.push(id, outgoing),
                Some(Ok(None)) => {
                    self.freed.add(&outgoing);
                    self.written.push(outgoing.into_done());
                }
                Some(Err(mqtt_session::Error::QuotaExceeded)) => {
                    self.batch.push_front(outgoing);
                    self.shared.lock().outbox.put_back(&mut self.batch);
                }
                Some(Err(error)) => self.finished(outgoing, Err(PublishError::Invalid(error))),
                None => self.finished(outgoing, Err(PublishError::Closed)),
            }
        }
        Ok(())
    }
}

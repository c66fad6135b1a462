//! The driver while there is a connection.

use core::task::{Context, Poll};
use std::io;

use bytes::Bytes;
use mqtt_codec::{ConnAck, Disconnect, PacketId, PacketType, Properties, ReasonCode};
use mqtt_session::Error::Peer;
use mqtt_session::{Delta, Event, Fault, Instant};

use super::oversized::Passed;
use super::{Driver, Pause, Phase, Step, earliest};
use crate::message_ref::Duty;
use crate::{ConnectionEvent, Error, Transport};

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
        let exchanged = self.exchange(cx, now, &mut transport);
        let awaited = exchanged.and_then(|any| Ok((any, self.await_answers(now, any)?)));
        let (progress, due) = match awaited {
            Ok(told) => told,
            Err(error) => {
                // What tells the server why, if it fits.
                let _ = self.tx.poll_flush(cx, &mut transport);
                return match error {
                    Error::Store(_) => self.finish(&error),
                    error => self.lost(now, error),
                };
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
        if let Some(pause) = self.pause.as_mut().filter(|pause| !pause.yielded) {
            pause.yielded = true;
            return Step::Yield;
        }
        if progress {
            return Step::Again;
        }
        let until = self.pause.as_ref().map(|pause| pause.until);
        let until = earliest(earliest(until, due), self.routes.patience());
        Step::Wait(earliest(self.session.next_timeout(), until))
    }

    /// Reads, acts, writes; returns whether there was anything to do.
    fn exchange(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        transport: &mut Transport,
    ) -> Result<bool, Error> {
        if self.session.next_timeout().is_some_and(|due| due <= now) {
            // Nothing was sent for the Keep Alive: an idle client takes little.
            self.tx.rest();
            self.rx.rest();
            self.payloads.rest();
            self.routes.rest();
        }
        self.session.handle_timeout(now, self.tx.packets()).map_err(Error::Protocol)?;
        let mut progress = false;
        self.routes.end_patience(now);
        self.end_pause(cx, now);
        if self.pause.is_some() || self.tx.len() >= TOO_MUCH_TO_SEND {
            // Nothing is read.
        } else if self.rx.has_packets() {
            self.receive(now)?;
            progress = true;
        } else {
            match self.rx.poll_fill(cx, transport) {
                Poll::Ready(Ok(0)) => return Err(self.hung_up()),
                Poll::Ready(Ok(read)) => {
                    self.shared.counters.bytes_received.add(read as u64);
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
        self.begin_pause(cx, now);
        if self.options.store.is_some() {
            self.persist(cx)?;
        }
        let unsent = self.tx.len();
        let flushed = self.tx.poll_flush(cx, transport);
        self.shared.counters.bytes_sent.add((unsent - self.tx.len()) as u64);
        match flushed {
            Poll::Ready(Ok(any)) => {
                if self.tx.len() == 0 {
                    self.tell_written(true);
                }
                Ok(progress || any)
            }
            Poll::Ready(Err(error)) => Err(self.io_error(error)),
            Poll::Pending => Ok(progress),
        }
    }

    /// What it means that the server has closed.
    fn hung_up(&self) -> Error {
        match (self.accepted, self.target()) {
            (None, Some(server)) if self.rx.is_empty() => Error::NotAccepted {
                server: alloc::boxed::Box::new(server.clone()),
                version: self.options.version,
            },
            _ => self.io_error(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Gives the application its turn to take messages, where a stream was filled up.
    fn begin_pause(&mut self, cx: &Context<'_>, now: Instant) {
        let Some(queue) = self.routes.take_filled() else { return };
        if queue.poll_room(cx).is_pending() {
            self.pause = Some(Pause { until: now + queue.patience(), queue, yielded: false });
        }
    }

    /// Goes on reading once messages were taken, or it was waited for that long enough.
    fn end_pause(&mut self, cx: &Context<'_>, now: Instant) {
        let Some(pause) = &self.pause else { return };
        if pause.queue.poll_room(cx).is_pending() {
            if now < pause.until || !pause.yielded {
                return;
            }
            pause.queue.give_up_waiting();
        }
        self.pause = None;
    }

    fn receive(&mut self, now: Instant) -> Result<(), Error> {
        let mut rx = core::mem::take(&mut self.rx);
        let packets = rx.lend();
        let mut bytes = packets.get(rx.filled()).unwrap_or_default();
        self.routes.begin();
        let mut missing = 0;
        let knows_no_limit = !self.session.version().has_properties();
        let result = loop {
            if self.routes.is_filled() || self.tx.len() >= TOO_MUCH_TO_SEND {
                break Ok(true);
            }
            // With a Remaining Length of one byte it is small.
            if knows_no_limit && bytes.get(1).is_some_and(|len| len & 0x80 != 0) {
                match self.pass_over(now, &mut bytes, &packets) {
                    Ok(Passed::Not) => {}
                    Ok(Passed::Unknown) => break Ok(false),
                    Ok(Passed::Over(rest)) => {
                        missing = rest;
                        continue;
                    }
                    Err(error) => break Err(error),
                }
            }
            // Looked at where it is: an event is long.
            match &self.session.receive(now, &mut bytes, self.tx.packets()) {
                Ok(Some(event)) => {
                    if let Err(error) = self.on_event(now, event, &packets) {
                        break Err(error);
                    }
                }
                Ok(None) => break Ok(false),
                Err(error) => {
                    let error = *error;
                    if let Peer(Fault::Misanswered { packet, id }) = error {
                        self.misanswered(packet, id);
                    }
                    let limit = self.options.max_packet_size;
                    let server = self.target().filter(|_| self.accepted.is_none());
                    let other = server.and_then(|server| Error::not_mqtt(server, bytes));
                    break Err(other.unwrap_or_else(|| Error::protocol(error, bytes, limit)));
                }
            }
        };
        self.routes.wake();
        self.shared.counters.received.add(core::mem::take(&mut self.messages));
        self.shared.counters.unrouted.add(self.routes.take_given_up());
        let rest = bytes.len();
        rx.keep(packets, rest, matches!(result, Ok(true)));
        rx.pass_over(missing);
        self.rx = rx;
        result.map(|_| ())
    }

    /// The answer to a message is that of another QoS, which ends the connection. To send it again on the
    /// next one would bring the same answer, and so on for ever: who published it is told.
    #[cold]
    fn misanswered(&mut self, packet: PacketType, id: PacketId) {
        if let Some(stage) = self.session.give_up(id) {
            let mut state = self.shared.lock();
            state.outbox.on_events(&mut self.events);
            state.outbox.misanswered(id, stage, packet);
        }
    }

    pub(super) fn on_event(
        &mut self,
        now: Instant,
        event: &Event<'_>,
        packets: &Bytes,
    ) -> Result<(), Error> {
        if self.options.store.is_some() {
            // Of what is sent the outbox knows.
            let inbound = |delta: &_| matches!(delta, Delta::InboundDone(_) | Delta::InboundReset);
            self.deltas.extend(event.delta().filter(inbound));
        }
        match event {
            Event::Message(message) => self.on_message(now, message, packets),
            Event::Acknowledged { id, reason } => {
                self.events.push(Event::Acknowledged { id: *id, reason: *reason });
            }
            Event::Received { id } => self.events.push(Event::Received { id: *id }),
            Event::Lost { id, stage } => self.events.push(Event::Lost { id: *id, stage: *stage }),
            Event::Connected(connack) => {
                self.authenticated(connack.properties.authentication_data())?;
                self.on_connected(now, connack);
            }
            Event::Auth(auth) => self.on_auth(now, auth)?,
            Event::Refused(connack) => {
                let text = connack.properties.reason_string().map(Into::into);
                self.follow(connack.reason, &connack.properties);
                return Err(Error::Refused { reason: connack.reason, text });
            }
            Event::Disconnected(Disconnect { reason, properties }) => {
                let text = properties.reason_string().map(Into::into);
                self.follow(*reason, properties);
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

    /// Takes note of which server is to be used instead (section 4.11).
    fn follow(&mut self, reason: ReasonCode, properties: &Properties<'_>) {
        let moved = matches!(reason, ReasonCode::UseAnotherServer | ReasonCode::ServerMoved);
        if let (true, true, Some(server)) =
            (moved, self.options.follow_server_reference, self.target())
        {
            let reference = properties.server_reference();
            self.server_reference = reference.and_then(|reference| server.referred_to(reference));
        }
    }

    fn on_connected(&mut self, now: Instant, connack: &ConnAck<'_>) {
        if let Some(assigned) = connack.properties.assigned_client_identifier() {
            self.client_id = assigned.into();
        }
        if self.options.store.is_some() {
            if let Some(journal) = self.shared.lock().outbox.journal() {
                journal.client_id(&self.client_id);
            }
        }
        self.accepted = Some(now);
        self.ever_accepted = true;
        let patience = now + self.options.unrouted_patience;
        self.routes.connected(connack.session_present, self.epoch, patience);
        if let Some(server) = self.target().cloned() {
            let session_present = connack.session_present;
            self.shared.tell(&ConnectionEvent::Connected { server, session_present });
        }
        if let Some(first) = self.first.take() {
            // Nobody may wait any more.
            let _ = first.send(Ok(()));
        }
    }

    fn on_message(&mut self, now: Instant, message: &mqtt_session::Message<'_>, packets: &Bytes) {
        let topic = self.session.topic(&message.publish);
        self.messages += 1;
        let manual = self.options.manual_acknowledge;
        let duty = Duty::new(&self.shared, message.token, self.epoch, manual);
        let (publish, payloads) = (&message.publish, &mut self.payloads);
        let payload = || payloads.take(packets, publish.payload);
        let answer = self.routes.deliver(publish, topic, &duty, payload);
        if let (Some(reason), Some(token)) = (answer, message.token) {
            self.acknowledge(now, token, reason);
        }
    }

    /// Hands to the session what it can take.
    fn send(&mut self, now: Instant) -> Result<(), Error> {
        self.reauthenticate(now)?;
        self.routes.ask(now, &mut self.session, self.tx.packets()).map_err(Error::Protocol)?;
        let mut state = self.shared.lock();
        state.outbox.on_events(&mut self.events);
        let (session, tx) = (&mut self.session, self.tx.packets());
        let sent = state.outbox.send(now, session, tx, ENOUGH_TO_SEND);
        state.outbox.take_outcomes(&mut self.finished, &mut self.written);
        drop(state);
        self.tell_outcomes();
        sent.map_err(Error::Protocol)
    }
}

//! Answers that have to come while there is a connection.

use core::time::Duration;

use mqtt_codec::{Disconnect, PacketId, PacketType, ReasonCode};
use mqtt_session::{Instant, Stage};

use super::{Driver, earliest};
use crate::Error;

/// What is waited for, and until when.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    /// The answer to what was sent before all else that is not answered, and which place in what is sent
    /// is behind that packet.
    first: Option<(PacketId, Stage, Instant, u64)>,
    /// The next AUTH of a re-authentication.
    auth: Option<Instant>,
}

impl Driver {
    /// Until when an answer must have come. `heard`: something has come just now, perhaps one of many
    /// packets before that answer.
    ///
    /// # Errors
    /// It has not.
    pub(super) fn await_answers(
        &mut self,
        now: Instant,
        heard: bool,
    ) -> Result<Option<Instant>, Error> {
        let within = self.options.acknowledgement_timeout;
        if within == Duration::MAX {
            return Ok(None);
        }
        let until = now + within;
        let (end, sent) = (self.tx.end(), self.tx.sent());
        let connected = self.session.is_connected();
        let Awaited { first, auth } = &mut self.awaited;
        // While nothing is read or sent, no answer can come.
        let can_come = self.pause.is_none() && self.commit.is_none();
        let same = first.take().filter(|_| can_come);
        // What an earlier connection has left is sent once the server has accepted this one.
        let in_flight = self.session.in_flight().next().filter(|_| connected);
        *first = in_flight.map(|(id, stage)| match same {
            Some((same, at, due, behind)) if (same, at) == (id, stage) => {
                // A long packet takes its time.
                (id, stage, if sent < behind { until } else { due }, behind)
            }
            _ => (id, stage, until, end),
        });
        let exchanges = self.exchange.is_some() && connected;
        *auth = exchanges.then(|| auth.filter(|_| can_come).unwrap_or(until));
        let due = earliest(first.map(|(_, _, until, _)| until), *auth);
        if heard || due.is_none_or(|due| now < due) {
            return Ok(due);
        }
        let packet = match first {
            Some((_, stage, until, _)) if *until <= now => match stage {
                Stage::PubAck => PacketType::PubAck,
                Stage::PubRec => PacketType::PubRec,
                Stage::PubComp => PacketType::PubComp,
                Stage::SubAck => PacketType::SubAck,
                Stage::UnsubAck => PacketType::UnsubAck,
            },
            _ => PacketType::Auth,
        };
        // The server may want to know why, but need not.
        let goodbye = Disconnect::new(ReasonCode::UnspecifiedError);
        let _ = self.session.disconnect(&goodbye, self.tx.packets());
        Err(Error::NotAcknowledged { packet, within })
    }

    /// An AUTH was sent on: the next one has as much time again.
    pub(super) const fn await_auth(&mut self) {
        self.awaited.auth = None;
    }
}

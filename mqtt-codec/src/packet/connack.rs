//! CONNACK (section 3.2).

use super::{PacketType, check_reason, read_reason};
use crate::wire::{Mode, Reader, Sink};
use crate::{DecodeError, Properties, ReasonCode, Scope, Version, Violation};

/// CONNACK: the server's answer to CONNECT (section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnAck<'a> {
    /// Session Present: whether the server goes on with an earlier session. Not in 3.1.
    pub session_present: bool,
    /// Connect Reason Code. In 3.1.1 the return code that says the same: see
    /// [`ReasonCode::return_code`].
    pub reason: ReasonCode,
    /// Properties (section 3.2.2.3).
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    /// An answer with this code, without session and properties.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self { session_present: false, reason, properties: Properties::EMPTY }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let flags_at = reader.position();
        let flags = reader.u8()?;
        // In 3.1 the whole byte is reserved and says nothing.
        if flags > 1 && reader.version() != Version::V31 {
            return Err(reader.fail_at(flags_at, Violation::ConnAckFlags));
        }
        let session_present = flags == 1 && reader.version() != Version::V31;
        let reason_at = reader.position();
        let reason = if reader.version().has_properties() {
            read_reason(PacketType::ConnAck, reader)?
        } else {
            ReasonCode::from_return_code(reader.u8()?)
                .ok_or_else(|| reader.fail_at(reason_at, Violation::ConnAckReason))?
        };
        if session_present && reason != ReasonCode::Success {
            return Err(reader.fail_at(flags_at, Violation::SessionPresentOnFailure));
        }
        let properties_at = reader.position();
        let properties = Properties::read(reader, Scope::ConnAck)?;
        if properties.assigned_client_identifier() == Some("") {
            return Err(reader.fail_at(properties_at, Violation::AssignedClientIdEmpty));
        }
        Ok(Self { session_present, reason, properties })
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        self.properties.guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.check(
            !self.session_present || self.reason == ReasonCode::Success,
            Violation::SessionPresentOnFailure,
        )?;
        sink.u8(u8::from(self.session_present && sink.version != Version::V31))?;
        if sink.version.has_properties() {
            sink.demand(|rules| check_reason(self.reason, PacketType::ConnAck, rules.sender))?;
            sink.demand(|_| match self.properties.assigned_client_identifier() {
                Some("") => Err(Violation::AssignedClientIdEmpty),
                _ => Ok(()),
            })?;
            sink.u8(self.reason.value())?;
        } else {
            // A code without an equivalent was refused before.
            sink.u8(self.reason.return_code().unwrap_or(3))?;
        }
        self.properties.emit(sink, Scope::ConnAck)
    }
}

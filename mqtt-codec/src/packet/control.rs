//! DISCONNECT and AUTH (sections 3.14 and 3.15).

use super::{PacketType, check_reason, read_reason};
use crate::wire::{Mode, Reader, Sink};
use crate::{DecodeError, Properties, PropertyId, ReasonCode, Scope, Violation};

/// DISCONNECT: the last packet on a connection (section 3.14). In 3.1.1 only a client sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnect<'a> {
    /// Why. Not in 3.1.1.
    pub reason: ReasonCode,
    /// Properties (section 3.14.2.2).
    pub properties: Properties<'a>,
}

/// AUTH: a step of the enhanced authentication (sections 3.15 and 4.12). Version 5 only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Auth<'a> {
    /// Success from a server, Continue authentication, or Re-authenticate from a client.
    pub reason: ReasonCode,
    /// Properties (section 3.15.2.2), among them the Authentication Method.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    /// A DISCONNECT with this reason and no properties.
    #[must_use]
    pub const fn new(reason: ReasonCode) -> Self {
        Self { reason, properties: Properties::EMPTY }
    }

    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut disconnect = Self::new(ReasonCode::NORMAL_DISCONNECTION);
        // Reason code and properties may be left out (section 3.14.2.1).
        if reader.version().has_properties() && !reader.is_empty() {
            disconnect.reason = read_reason(PacketType::Disconnect, reader)?;
            if !reader.is_empty() {
                disconnect.properties = Properties::read(reader, Scope::Disconnect)?;
            }
        }
        Ok(disconnect)
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        self.properties.guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        if !sink.version.has_properties() {
            return Ok(());
        }
        sink.demand(|rules| check_reason(self.reason, PacketType::Disconnect, rules.sender))?;
        let bare = self.properties.is_empty_without(sink.omitted);
        if self.reason != ReasonCode::NORMAL_DISCONNECTION || !bare {
            sink.u8(self.reason.value())?;
        }
        if bare { Ok(()) } else { self.properties.emit(sink, Scope::Disconnect) }
    }
}

impl<'a> Auth<'a> {
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let start = reader.position();
        if reader.is_empty() && !reader.rules.policy.refuse_empty_auth {
            check_reason(ReasonCode::Success, PacketType::Auth, reader.rules.sender)
                .map_err(|violation| reader.fail_at(start, violation))?;
            return Ok(Self { reason: ReasonCode::Success, properties: Properties::EMPTY });
        }
        if reader.is_empty() {
            return Err(reader.fail(Violation::AuthMethodMissing));
        }
        let reason = read_reason(PacketType::Auth, reader)?;
        let properties_at = reader.position();
        if reader.is_empty() {
            return Err(reader.fail(Violation::AuthMethodMissing));
        }
        let properties = Properties::read(reader, Scope::Auth)?;
        if !properties.contains(PropertyId::AuthenticationMethod) {
            return Err(reader.fail_at(properties_at, Violation::AuthMethodMissing));
        }
        Ok(Self { reason, properties })
    }

    /// About how long it is behind the fixed header, in bytes.
    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) const fn guess(&self) -> usize {
        self.properties.guess()
    }

    #[cfg_attr(target_pointer_width = "64", inline(always))]
    pub(super) fn emit(&self, sink: &mut Sink<'_, impl Mode>) -> Result<(), Violation> {
        sink.demand(|rules| check_reason(self.reason, PacketType::Auth, rules.sender))?;
        let empty = self.reason == ReasonCode::Success && self.properties.is_empty();
        if empty && !sink.rules.policy.refuse_empty_auth {
            return Ok(());
        }
        sink.demand(|_| match self.properties.contains(PropertyId::AuthenticationMethod) {
            true => Ok(()),
            false => Err(Violation::AuthMethodMissing),
        })?;
        sink.u8(self.reason.value())?;
        self.properties.emit(sink, Scope::Auth)
    }
}

//! Enhanced authentication (section 4.12): one exchange for both roles, and mechanisms as a trait.

use mqtt_codec::{PacketType, Properties, Property, ReasonCode};

use crate::Fault;

/// What a connection knows about its enhanced authentication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    /// Stands for the Authentication Method of CONNECT, which would take memory; 0: there is none. In
    /// bytes, beside which there is no gap.
    method: [u8; 8],
    /// Whether an exchange is going on: from CONNECT to CONNACK, and in a re-authentication.
    pub(crate) open: bool,
}

impl Exchange {
    pub(crate) const NONE: Self = Self { method: [0; 8], open: false };

    /// The exchange that a CONNECT with these properties begins.
    pub(crate) fn begin(connect: &Properties<'_>) -> Self {
        match connect.authentication_method() {
            None => Self::NONE,
            Some(method) => Self { method: digest(method).to_ne_bytes(), open: true },
        }
    }

    /// Whether there is an Authentication Method.
    pub(crate) const fn has_method(&self) -> bool {
        u64::from_ne_bytes(self.method) != 0
    }

    /// Whether a successful CONNACK or an AUTH with these properties carries the method of CONNECT
    /// [MQTT-4.12.0-5], or like that none [MQTT-4.12.0-6].
    pub(crate) fn agrees(&self, properties: &Properties<'_>) -> bool {
        properties.authentication_method().map_or(0, digest) == u64::from_ne_bytes(self.method)
    }

    /// AUTH came from the peer, which may send it with one of these codes.
    pub(crate) fn receive(
        &self,
        reason: ReasonCode,
        properties: &Properties<'_>,
        allowed: &[ReasonCode],
    ) -> Result<(), Fault> {
        // An AUTH of Remaining Length 0 has no room for a method (section 3.15.2.1).
        let agrees = self.agrees(properties) || properties.is_empty();
        if !self.has_method() || !agrees {
            Err(Fault::AuthenticationMethod)
        } else if !allowed.contains(&reason) {
            Err(Fault::Unexpected(PacketType::Auth))
        } else {
            Ok(())
        }
    }
}

/// FNV-1a, never 0.
fn digest(text: &str) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    text.as_bytes().iter().fold(0xCBF2_9CE4_8422_2325, step).max(1)
}

/// What a [`Mechanism`] wants to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthStep {
    /// Send this many bytes of the buffer as Authentication Data, and wait for the peer's.
    Continue(usize),
    /// It succeeded; this many bytes of the buffer are the last Authentication Data.
    Done(usize),
    /// It failed.
    Failed(ReasonCode),
}

/// One side of a mechanism of enhanced authentication, such as SCRAM (section 4.12). It knows no
/// connection: what it answers goes into CONNECT, AUTH and CONNACK by the session's calls.
///
/// ```
/// use mqtt_codec::{Auth, ReasonCode, Property};
/// use mqtt_session::{AuthStep, Mechanism};
///
/// /// Says its number, and believes the other side.
/// struct Number(u8);
///
/// impl Mechanism for Number {
///     fn method(&self) -> &str {
///         "NUMBER"
///     }
///
///     fn step(&mut self, received: Option<&[u8]>, buffer: &mut [u8]) -> AuthStep {
///         buffer[0] = self.0;
///         if received.is_some() { AuthStep::Done(1) } else { AuthStep::Continue(1) }
///     }
/// }
///
/// let mut number = Number(7);
/// let mut buffer = [0; 64];
/// let (done, properties) = number.answer(None, &mut buffer)?;
/// assert!(!done);
/// assert_eq!(
///     properties,
///     [Property::AuthenticationMethod("NUMBER"), Property::AuthenticationData(&[7])]
/// );
/// // For CONNECT these; later for Auth { reason: ReasonCode::ContinueAuthentication, .. }.
/// # Ok::<(), ReasonCode>(())
/// ```
pub trait Mechanism {
    /// Authentication Method: its name.
    fn method(&self) -> &str;

    /// Takes the peer's Authentication Data, `None` where this side begins, and puts its own at the
    /// front of `buffer`.
    fn step(&mut self, received: Option<&[u8]>, buffer: &mut [u8]) -> AuthStep;

    /// Takes a step and puts it into properties: for CONNECT where nothing was received yet, for AUTH
    /// with Continue authentication, and where a server is done (`true`) for CONNACK, or for AUTH with
    /// Success that ends a re-authentication.
    ///
    /// # Errors
    /// The reason code for CONNACK or DISCONNECT where it failed \[MQTT-4.12.0-4], \[MQTT-4.12.1-2].
    fn answer<'b>(
        &'b mut self,
        received: Option<&[u8]>,
        buffer: &'b mut [u8],
    ) -> Result<(bool, [Property<'b>; 2]), ReasonCode> {
        let (done, len) = match self.step(received, buffer) {
            AuthStep::Continue(len) => (false, len),
            AuthStep::Done(len) => (true, len),
            AuthStep::Failed(reason) => return Err(reason),
        };
        let data = buffer.get(..len).ok_or(ReasonCode::UnspecifiedError)?;
        let properties =
            [Property::AuthenticationMethod(self.method()), Property::AuthenticationData(data)];
        Ok((done, properties))
    }
}

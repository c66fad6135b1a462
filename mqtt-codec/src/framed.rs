//! Packets on a stream of `tokio`: `tokio_util::codec::Framed` with the rules of both directions.

use core::fmt;
use std::io;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use crate::{DecodeError, EncodeError, Frame, Packet, Rules};

/// Reads [`Frame`]s and writes [`Packet`]s, for `tokio_util::codec::Framed`.
///
/// ```
/// use mqtt_codec::{Codec, Packet, Rules, Sender, Version};
/// use tokio_util::bytes::BytesMut;
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut client = Codec {
///     incoming: Rules::new(Version::V5, Sender::Server),
///     outgoing: Rules::new(Version::V5, Sender::Client),
/// };
/// let mut sent = BytesMut::new();
/// client.encode(Packet::PingReq, &mut sent)?;
/// assert_eq!(sent, b"\xC0\0"[..]);
///
/// let mut received = BytesMut::from(&b"\xD0"[..]);
/// assert!(client.decode(&mut received)?.is_none());
/// received.extend_from_slice(b"\0");
/// assert_eq!(client.decode(&mut received)?.unwrap().packet(), Packet::PingResp);
/// # Ok::<(), mqtt_codec::CodecError>(())
/// ```
///
/// On a server, set the version of both once CONNECT has named it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-util")))]
pub struct Codec {
    /// By what the other side's packets are read.
    pub incoming: Rules,
    /// By what our packets are written.
    pub outgoing: Rules,
}

/// Why [`Codec`] fails.
#[derive(Debug)]
#[non_exhaustive]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-util")))]
pub enum CodecError {
    /// The other side sent what it must not: close, in version 5 with its reason code.
    Decode(DecodeError),
    /// A packet of ours is refused; nothing of it was sent.
    Encode(EncodeError),
    /// The connection failed.
    Io(io::Error),
}

/// Most bytes asked for at once for a packet that is not all there: a peer that announces much and
/// sends little gets no more memory than that ahead.
const RESERVE: usize = 64 * 1024;

impl Decoder for Codec {
    type Item = Frame;
    type Error = CodecError;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        let frame = self.incoming.decode_frame(buffer)?;
        if frame.is_none() {
            if let Some(header) = self.incoming.fixed_header(buffer)? {
                buffer.reserve(header.packet_len().saturating_sub(buffer.len()).min(RESERVE));
            }
        }
        Ok(frame)
    }
}

impl Encoder<&Packet<'_>> for Codec {
    type Error = CodecError;

    fn encode(&mut self, packet: &Packet<'_>, buffer: &mut BytesMut) -> Result<(), CodecError> {
        self.outgoing.encode_to_bytes(packet, buffer)?;
        Ok(())
    }
}

impl Encoder<Packet<'_>> for Codec {
    type Error = CodecError;

    fn encode(&mut self, packet: Packet<'_>, buffer: &mut BytesMut) -> Result<(), CodecError> {
        self.encode(&packet, buffer)
    }
}

impl From<DecodeError> for CodecError {
    fn from(error: DecodeError) -> Self {
        Self::Decode(error)
    }
}

impl From<EncodeError> for CodecError {
    fn from(error: EncodeError) -> Self {
        Self::Encode(error)
    }
}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(error) => write!(f, "received a bad packet: {error}"),
            Self::Encode(error) => write!(f, "packet cannot be sent: {error}"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CodecError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Decode(error) => Some(error),
            Self::Encode(error) => Some(error),
            Self::Io(error) => Some(error),
        }
    }
}

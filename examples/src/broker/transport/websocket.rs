//! WebSocket (RFC 6455) as section 6 of MQTT has it: packets in binary frames, however they are cut.
//!
//! Frames are not gathered: what has come of one is unmasked where it lies and handed on. So a frame
//! may be of any size, and none needs memory. What is sent has a frame for each packet: a receiver must
//! not count on it \[MQTT-6.0.0-2], and Paho's C library 1.3 does. What a bridge sends to a server is in
//! frames as it was gathered.

use alloc::sync::Arc;
use std::io::Cursor;

use ring::rand::{SecureRandom, SystemRandom};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use super::Ended;
use super::asking::{self, Asked};
use super::upgrade::{self, Answer};

/// Longest frame header.
const MAX_HEADER: usize = 14;

/// Longest payload of a control frame (RFC 6455, section 5.5).
const MAX_CONTROL: usize = 125;

/// Largest HTTP request, and answer to one.
const MAX_REQUEST: usize = 8 * 1024;

/// Longest frame to a server.
const MAX_FRAME: usize = 64 * 1024;

/// One connection's frames.
#[derive(Debug, Default)]
pub(super) struct WebSocket {
    state: State,
    /// Of which origins pages may ask for it, if not all.
    pub(super) origins: Option<Arc<[String]>>,
    /// What was asked, if this is the end that has.
    asked: Option<Box<Asked>>,
    /// The beginning of the HTTP request or of a frame header, or the payload of a control frame.
    partial: Vec<u8>,
    /// The frame that is being read.
    frame: Option<Frame>,
    /// Whether a message goes on in the next data frame.
    is_fragmented: bool,
    /// The answer to the HTTP request, until it is sent; or the request.
    response: Vec<u8>,
    /// The last PING that is not answered (RFC 6455, section 5.5.3).
    ping: Option<Vec<u8>>,
    /// The code to close with, once.
    close: Option<u16>,
}

/// How far the connection is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// The HTTP request is not there yet.
    #[default]
    Upgrade,
    Open,
    /// No more is read: why, if it is not that the peer has closed.
    Ended(Option<End>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Refused(u16),
    Wrong(&'static str),
}

/// A frame of which the header has been read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// `None`: data.
    control: Option<Control>,
    mask: [u8; 4],
    left: u64,
}

impl WebSocket {
    /// The end of who asks: for this path of this host.
    pub(super) fn to(host: &str, path: &str) -> Self {
        let (asked, response) = asking::request(host, path, &random());
        Self { asked: Some(Box::new(asked)), response, ..Self::default() }
    }

    /// Decodes in place: how many bytes of MQTT the buffer begins with then, and whether the end is
    /// behind them.
    pub(super) fn decode(&mut self, buffer: &mut [u8]) -> Result<(usize, bool), Ended> {
        let mut from = 0;
        if self.state == State::Upgrade {
            from = self.upgrade(buffer);
        }
        let len = match self.state {
            State::Open => self.frames(buffer, from),
            _ => 0,
        };
        match self.state {
            State::Ended(_) if len > 0 => Ok((len, true)),
            State::Ended(None) => Err(Ended::Closed),
            State::Ended(Some(End::Refused(status))) => Err(Ended::Refused(status)),
            State::Ended(Some(End::Wrong(what))) => Err(Ended::WebSocket(what)),
            State::Upgrade | State::Open => Ok((len, false)),
        }
    }

    /// Takes what belongs to the HTTP request, and answers once it is whole; or what answers it. How much it
    /// was.
    fn upgrade(&mut self, buffer: &[u8]) -> usize {
        let earlier = self.partial.len();
        let room = MAX_REQUEST - earlier;
        self.partial.extend_from_slice(buffer.get(..room).unwrap_or(buffer));
        // Only what is new is looked through, so that a request in single bytes costs no more.
        let fresh = self.partial.get(earlier.saturating_sub(3)..).unwrap_or_default();
        let end = fresh.windows(4).position(|window| window == b"\r\n\r\n");
        let head = end.map_or(0, |at| earlier.saturating_sub(3) + at + 4);
        let is_full = self.partial.len() >= MAX_REQUEST;
        let beginning: &[u8] = if self.asked.is_some() { b"HTTP" } else { b"GET " };
        let is_http = beginning.starts_with(self.partial.get(..4).unwrap_or(&self.partial));
        if end.is_none() && !is_full && is_http {
            return buffer.len();
        }
        self.state = match &self.asked {
            Some(asked) if end.is_some() => asked
                .check(&self.partial)
                .map_or_else(|end| State::Ended(Some(end)), |()| State::Open),
            Some(_) => State::Ended(Some(End::Wrong("what answers the request is not HTTP"))),
            None => {
                let answer = match end {
                    Some(_) => upgrade::answer(&self.partial, self.origins.as_deref()),
                    None => Answer::Refuse(if is_http { 431 } else { 400 }, ""),
                };
                match answer {
                    Answer::Accept(response) => {
                        self.response = response;
                        State::Open
                    }
                    Answer::Refuse(status, more) => {
                        self.response = upgrade::refusal(status, more);
                        State::Ended(Some(End::Refused(status)))
                    }
                }
            }
        };
        self.partial = Vec::new();
        head - earlier.min(head)
    }

    /// Takes the frames in this buffer from there on. How many bytes of MQTT it begins with then.
    fn frames(&mut self, buffer: &mut [u8], mut from: usize) -> usize {
        let mut len = 0;
        while from < buffer.len() && self.state == State::Open {
            let Some(mut frame) = self.frame.take() else {
                from += self.header(buffer.get(from..).unwrap_or_default());
                continue;
            };
            let here = usize::try_from(frame.left).unwrap_or(usize::MAX).min(buffer.len() - from);
            let payload = buffer.get_mut(from..from + here).unwrap_or_default();
            unmask(payload, &mut frame.mask);
            frame.left -= here as u64;
            match frame.control {
                None => {
                    buffer.copy_within(from..from + here, len);
                    len += here;
                }
                Some(control) => {
                    self.partial.extend_from_slice(payload);
                    if frame.left == 0 {
                        self.control(control);
                    }
                }
            }
            from += here;
            self.frame = Some(frame).filter(|frame| frame.left > 0);
        }
        len
    }

    /// Reads a frame header, or the next part of one. How many bytes it was.
    fn header(&mut self, bytes: &[u8]) -> usize {
        let earlier = self.partial.len();
        let more = bytes.len().min(MAX_HEADER - earlier.min(MAX_HEADER));
        self.partial.extend_from_slice(bytes.get(..more).unwrap_or_default());
        let mut cursor = Cursor::new(&self.partial);
        let header = match FrameHeader::parse(&mut cursor) {
            Ok(None) => return more,
            Ok(Some(header)) => Ok(header),
            Err(_) => Err("a frame of an unknown kind"),
        };
        let len = usize::try_from(cursor.position()).unwrap_or(more).saturating_sub(earlier);
        self.partial.clear();
        match header.and_then(|(header, payload)| self.begin_frame(&header, payload)) {
            Ok(frame) => self.frame = frame,
            Err(what) => self.wrong(CloseCode::Protocol, what),
        }
        len
    }

    /// Checks what a header says. `None`: there is nothing behind it.
    fn begin_frame(
        &mut self,
        header: &FrameHeader,
        left: u64,
    ) -> Result<Option<Frame>, &'static str> {
        // RFC 6455, section 5.1: who asked masks, and nobody else.
        let mask = match (header.mask, self.asked.is_some()) {
            (Some(mask), false) => mask,
            (None, true) => [0; 4],
            (None, false) => return Err("a frame without mask"),
            (Some(_), true) => return Err("a frame with a mask"),
        };
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err("a frame with reserved bits");
        }
        if left >> 63 != 0 {
            return Err("a frame that is too long");
        }
        let control = match header.opcode {
            OpCode::Control(control) => {
                if !header.is_final || left > MAX_CONTROL as u64 {
                    return Err("a control frame that is too long");
                }
                Some(control)
            }
            OpCode::Data(Data::Continue) if self.is_fragmented => None,
            OpCode::Data(Data::Binary) if !self.is_fragmented => None,
            OpCode::Data(Data::Text) => {
                // [MQTT-6.0.0-1]
                self.wrong(CloseCode::Unsupported, "a frame that is not binary [MQTT-6.0.0-1]");
                return Ok(None);
            }
            OpCode::Data(_) => return Err("a frame out of its message"),
        };
        if control.is_none() {
            self.is_fragmented = !header.is_final;
        }
        if left > 0 {
            return Ok(Some(Frame { control, mask, left }));
        }
        if let Some(control) = control {
            self.control(control);
        }
        Ok(None)
    }

    /// A control frame is whole, its payload in `partial`.
    fn control(&mut self, control: Control) {
        let payload = core::mem::take(&mut self.partial);
        match control {
            Control::Ping => self.ping = Some(payload),
            Control::Close => {
                // RFC 6455, section 5.5.1: nothing, or a code and then text.
                let code = match &payload[..] {
                    [] => CloseCode::Normal,
                    [_, _, text @ ..] if core::str::from_utf8(text).is_err() => CloseCode::Invalid,
                    [a, b, ..] => CloseCode::from(u16::from_be_bytes([*a, *b])),
                    [_] => CloseCode::Protocol,
                };
                let code = if code.is_allowed() { code } else { CloseCode::Protocol };
                self.close.get_or_insert(code.into());
                self.state = State::Ended(None);
            }
            _ => {}
        }
    }

    /// Reads no more.
    fn wrong(&mut self, code: CloseCode, what: &'static str) {
        self.close.get_or_insert(code.into());
        self.state = State::Ended(Some(End::Wrong(what)));
    }

    /// Whether there is something to say besides packets.
    pub(super) fn has_words(&self) -> bool {
        !self.response.is_empty() || self.ping.is_some() || self.close.is_some_and(|code| code != 0)
    }

    /// Says it, between two packets. Of those who ask faster than they read, the last is answered.
    pub(super) fn say(&mut self, tx: &mut Vec<u8>) {
        tx.append(&mut self.response);
        if let Some(ping) = self.ping.take() {
            self.put(OpCode::Control(Control::Pong), &ping, tx);
        }
        // Once; 0 stands for a code that was sent.
        if let Some(code) = self.close.filter(|code| *code != 0) {
            self.close = Some(0);
            self.put(OpCode::Control(Control::Close), &code.to_be_bytes(), tx);
        }
    }

    /// Whether frames may be sent.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Appends packets in frames, as a whole.
    pub(super) fn put_packets(&self, packets: &[u8], tx: &mut Vec<u8>) {
        for part in packets.chunks(MAX_FRAME) {
            self.put(OpCode::Data(Data::Binary), part, tx);
        }
    }

    /// Appends a frame with all that is in it.
    fn put(&self, opcode: OpCode, payload: &[u8], tx: &mut Vec<u8>) {
        // RFC 6455, section 5.3: not to be foreseen by who chooses the payload.
        let mask = self.asked.is_some().then(random);
        header(opcode, payload.len(), mask, tx);
        let start = tx.len();
        tx.extend_from_slice(payload);
        if let Some(mut mask) = mask {
            unmask(tx.get_mut(start..).unwrap_or_default(), &mut mask);
        }
    }

    /// What goes before a packet of so many bytes.
    pub(super) fn frame(len: usize, tx: &mut Vec<u8>) {
        header(OpCode::Data(Data::Binary), len, None, tx);
    }

    /// The server closes. Whether that is still to be said.
    pub(super) fn close(&mut self) -> bool {
        if self.state == State::Open {
            self.close.get_or_insert(CloseCode::Normal.into());
            self.state = State::Ended(None);
        }
        self.has_words()
    }
}

fn header(opcode: OpCode, len: usize, mask: Option<[u8; 4]>, tx: &mut Vec<u8>) {
    let header = FrameHeader { opcode, mask, ..FrameHeader::default() };
    // Into memory, which does not fail.
    let _ = header.format(len as u64, tx);
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // Where the system has none, the broker has not begun.
    let _ = SystemRandom::new().fill(&mut bytes);
    bytes
}

/// Applies the mask, and turns it for what follows.
fn unmask(payload: &mut [u8], mask: &mut [u8; 4]) {
    for chunk in payload.chunks_mut(4) {
        for (byte, mask) in chunk.iter_mut().zip(*mask) {
            *byte ^= mask;
        }
    }
    mask.rotate_left(payload.len() % 4);
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::coding::{Control, OpCode};

    use super::{State, WebSocket};

    const REQUEST: &[u8] = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: other, mqtt\r\n\r\n";

    fn open() -> WebSocket {
        WebSocket { state: State::Open, ..WebSocket::default() }
    }

    /// A frame with the mask that does the least to hide a mistake.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        const MASK: [u8; 4] = [1, 2, 3, 4];
        let mut bytes = vec![first];
        match u16::try_from(payload.len()) {
            Ok(len @ 0..=125) => bytes.push(0x80 | len as u8),
            Ok(len) => {
                bytes.push(0x80 | 126);
                bytes.extend(len.to_be_bytes());
            }
            Err(_) => {
                bytes.push(0x80 | 127);
                bytes.extend((payload.len() as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// What comes out when the bytes arrive in pieces of this size, and the error at the end.
    fn decoded(websocket: &mut WebSocket, bytes: &[u8], size: usize) -> (Vec<u8>, Option<String>) {
        let mut all = Vec::new();
        for piece in bytes.chunks(size) {
            let mut buffer = piece.to_vec();
            match websocket.decode(&mut buffer) {
                Ok((len, _)) => all.extend_from_slice(&buffer[..len]),
                Err(ended) => return (all, Some(ended.to_string())),
            }
        }
        (all, websocket.decode(&mut []).err().map(|ended| ended.to_string()))
    }

    /// What there is to say besides packets.
    fn said(websocket: &mut WebSocket) -> Vec<u8> {
        let mut tx = Vec::new();
        websocket.say(&mut tx);
        assert!(!websocket.has_words());
        tx
    }

    // [MQTT-6.0.0-2], [MQTT-6.0.0-4]
    #[test]
    fn packets_may_span_frames_and_share_them_however_the_bytes_arrive() {
        let long: Vec<u8> = (0..70_000_u32).map(|n| n as u8).collect();
        let mut bytes = REQUEST.to_vec();
        bytes.extend(frame(0x82, b"one"));
        bytes.extend(frame(0x02, b"tw"));
        bytes.extend(frame(0x89, b"ping"));
        bytes.extend(frame(0x00, b""));
        bytes.extend(frame(0x80, b"o"));
        bytes.extend(frame(0x82, &long));
        bytes.extend(frame(0x82, &long[..300]));
        let expected = [b"onetwo", &long[..], &long[..300]].concat();
        for size in [1, 2, 3, 5, 7, 14, 200, 1000, bytes.len()] {
            let mut websocket = WebSocket::default();
            let (all, error) = decoded(&mut websocket, &bytes, size);
            assert!(all == expected && error.is_none(), "in pieces of {size}: {error:?}");
            let out = said(&mut websocket);
            let (head, pong) = out.split_at(out.len() - 6);
            assert_eq!(pong, b"\x8A\x04ping");
            let out = String::from_utf8_lossy(head);
            assert!(out.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{out}");
            assert!(out.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "RFC 6455, section 1.3: {out}");
            assert!(out.to_lowercase().contains("sec-websocket-protocol: mqtt\r\n"), "{out}");
            assert!(out.ends_with("\r\n\r\n"), "{out}");
        }
    }

    // [MQTT-6.0.0-1]
    #[test]
    fn what_is_no_binary_frame_closes_the_connection_behind_what_came_before() {
        let wrong: [(&[u8], u16); 8] = [
            (&frame(0x81, b"text"), 1003),
            (&frame(0x83, b"?"), 1002),
            (&frame(0x80, b"no message goes on"), 1002),
            (&frame(0xC2, b"reserved bit"), 1002),
            (&frame(0x09, b"a ping in parts"), 1002),
            (&[0x82, 1, 0], 1002),
            (&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], 1002),
            (&frame(0x89, &[0; 126]), 1002),
        ];
        for (bytes, code) in wrong {
            for size in [1, 3, 1000] {
                let mut websocket = open();
                let all = [&frame(0x82, b"before"), bytes, &frame(0x82, b"behind")].concat();
                let (decoded, error) = decoded(&mut websocket, &all, size);
                assert_eq!(decoded, b"before", "{bytes:02x?}");
                assert!(error.is_some(), "{bytes:02x?}");
                let [a, b] = code.to_be_bytes();
                assert_eq!(said(&mut websocket), [0x88, 2, a, b], "{bytes:02x?}");
            }
        }
    }

    /// RFC 6455, section 5.1.
    #[test]
    fn who_asked_masks_its_frames_and_takes_those_of_the_server_without() {
        let long: Vec<u8> = (0..200_000_u32).map(|n| n as u8).collect();
        let (mut asking, mut server) = (WebSocket::to("h:1", "/mqtt"), WebSocket::default());
        assert!(!asking.is_open());
        let (all, error) = decoded(&mut server, &said(&mut asking), 7);
        assert!(all.is_empty() && error.is_none(), "{error:?}");
        let mut tx = said(&mut server);
        server.put_packets(b"one", &mut tx);
        server.put(OpCode::Control(Control::Ping), b"ping", &mut tx);
        server.put_packets(b"two", &mut tx);
        let (all, error) = decoded(&mut asking, &tx, 5);
        assert!(all == b"onetwo" && error.is_none() && asking.is_open(), "{error:?}");
        let mut back = said(&mut asking);
        assert_eq!(back[..2], [0x8A, 0x84], "a masked PONG");
        asking.put_packets(&long, &mut back);
        let (all, error) = decoded(&mut server, &back, 10_000);
        assert!(all == long && error.is_none(), "{error:?}");
        let (_, error) = decoded(&mut asking, &frame(0x82, b"masked"), 1000);
        assert!(error.is_some());
    }

    #[test]
    fn a_close_is_answered_once() {
        let closes: [(&[u8], u16); 6] = [
            (b"\x03\xE9bye", 1001),
            (b"", 1000),
            (b"\x03\xE8", 1000),
            (b"\x03", 1002),
            (b"\x03\xED", 1002),
            (b"\x03\xE9\xFF", 1007),
        ];
        for (close, code) in closes {
            let mut websocket = open();
            let (_, error) = decoded(&mut websocket, &frame(0x88, close), 1000);
            assert_eq!(error.as_deref(), Some("closed by the peer"));
            websocket.close();
            let [a, b] = code.to_be_bytes();
            assert_eq!(said(&mut websocket), [0x88, 2, a, b], "{close:02x?}");
            websocket.close();
            assert!(said(&mut websocket).is_empty());
        }
    }

    #[test]
    fn of_many_pings_the_last_is_answered() {
        let mut websocket = open();
        for n in 0..100 {
            let (_, error) = decoded(&mut websocket, &frame(0x89, &[n]), 1000);
            assert_eq!(error, None);
        }
        assert_eq!(said(&mut websocket), [0x8A, 1, 99]);
    }

    #[test]
    fn a_request_is_bounded() {
        let mut websocket = WebSocket::default();
        let mut bytes = b"GET /mqtt HTTP/1.1\r\nA: ".to_vec();
        bytes.resize(1_000_000, b'a');
        let (_, error) = decoded(&mut websocket, &bytes, 1000);
        assert_eq!(error.as_deref(), Some("HTTP request refused with 431"));
        assert_eq!(websocket.partial.capacity(), 0);
    }
}

//! A packet's bytes, field by field, as a protocol analyser shows them.
//!
//! What is shown is the bytes; whether they are a good packet is what [`Rules::decode`] says, and
//! the tree marks the byte that it refuses. So a bad packet can be looked at too, as far as its
//! fields can be told from each other.
//!
//! ```
//! use mqtt_codec::{Rules, Sender, Version};
//!
//! let rules = Rules::new(Version::V311, Sender::Client);
//! let tree = rules.tree(b"\x32\x05\0\x01a\0\0").to_string();
//! assert!(tree.contains("Topic Name: \"a\""));
//! assert!(tree.contains("byte 5: Packet Identifier is 0 [MQTT-2.3.1-1]"));
//! ```

use core::fmt;

use crate::{DecodeError, PacketType, Rules, sn};

mod mqtt;
mod sn_walk;

/// A field, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Where it begins, in bytes from the start of the packet.
    pub offset: usize,
    /// Its bytes, the length in front of a string included.
    pub bytes: &'a [u8],
    /// The bits that it is about, when it is a part of a byte; else 0xFF.
    pub mask: u8,
    /// How deep it stands in the tree: 0 for the packet itself.
    pub depth: usize,
    /// Its name in the specification.
    pub name: &'static str,
    /// What it says.
    pub value: Value<'a>,
    /// The section of the specification that describes it.
    pub section: &'static str,
}

/// What a [`Field`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Nothing by itself; its parts do.
    None,
    /// A flag.
    Flag(bool),
    /// A number.
    Number(u32),
    /// A number, and what it stands for.
    Named(u32, &'static str),
    /// A number of seconds.
    Seconds(u32),
    /// Text.
    Text(&'a str),
    /// Bytes, or text that is not UTF-8.
    Bytes(&'a [u8]),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => Ok(()),
            Self::Flag(set) => f.write_str(if set { "1" } else { "0" }),
            Self::Number(value) => value.fmt(f),
            Self::Named(value, name) => write!(f, "{name} ({value})"),
            Self::Seconds(value) => write!(f, "{value} s"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes([]) => f.write_str("empty"),
            Self::Bytes(bytes) => match core::str::from_utf8(bytes) {
                Ok(text) if !text.contains(char::is_control) => {
                    write!(f, "{}, {text:?}", Count(bytes.len()))
                }
                _ => Count(bytes.len()).fmt(f),
            },
        }
    }
}

/// A number of bytes in words.
struct Count(usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "byte" } else { "bytes" })
    }
}

/// The bytes of one packet as a tree of fields; `Display` draws it. Made by [`Rules::tree`] and
/// [`sn::Rules::tree`].
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    bytes: &'a [u8],
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Mqtt(Rules),
    Sn(sn::Rules),
}

/// What the library says of the bytes of a tree.
enum Verdict {
    Good,
    Incomplete,
    Bad(DecodeError),
    BadSn(sn::DecodeError),
}

impl Rules {
    /// The first packet in these bytes as a tree of fields, be it good, bad or not all there.
    #[must_use]
    pub fn tree<'a>(&self, bytes: &'a [u8]) -> Tree<'a> {
        let end = mqtt::packet_len(bytes).min(bytes.len());
        Tree { bytes: bytes.get(..end).unwrap_or(bytes), kind: Kind::Mqtt(*self) }
    }
}

impl sn::Rules {
    /// A datagram as a tree of fields, be it good or bad.
    #[must_use]
    pub const fn tree<'a>(&self, datagram: &'a [u8]) -> Tree<'a> {
        Tree { bytes: datagram, kind: Kind::Sn(*self) }
    }
}

impl<'a> Tree<'a> {
    /// The bytes that belong to the packet, as far as its length can be read.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Calls `visit` with each field in the order of the bytes, parts after the whole.
    pub fn fields(&self, mut visit: impl FnMut(Field<'a>)) {
        let mut walk = Walk { all: self.bytes, at: 0, depth: 1, visit: &mut visit };
        match &self.kind {
            Kind::Mqtt(rules) => mqtt::walk(&mut walk, rules.version),
            Kind::Sn(_) => sn_walk::datagram(&mut walk),
        };
        walk.depth = 1;
        let rest = walk.rest();
        if !rest.is_empty() {
            walk.show(rest, "Bytes of no field", Value::Bytes(rest), "");
        }
    }

    fn verdict(&self) -> Verdict {
        match self.kind {
            Kind::Mqtt(rules) => match rules.decode(&mut &*self.bytes) {
                Ok(Some(_)) => Verdict::Good,
                Ok(None) => Verdict::Incomplete,
                Err(error) => Verdict::Bad(error),
            },
            Kind::Sn(rules) => match rules.decode(self.bytes) {
                Ok(_) => Verdict::Good,
                Err(error) => Verdict::BadSn(error),
            },
        }
    }
}

/// Number of bytes shown in front of each field.
const SHOWN: usize = 8;

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = self.verdict();
        let error_at = match &verdict {
            Verdict::Good | Verdict::Incomplete => None,
            Verdict::Bad(error) => Some(error.offset as usize),
            Verdict::BadSn(error) => Some(usize::from(error.offset)),
        };
        let name = match self.kind {
            Kind::Mqtt(_) => self.bytes.first().and_then(|b| PacketType::from_value(b >> 4)),
            Kind::Sn(_) => None,
        };
        let name = match self.kind {
            Kind::Mqtt(_) => name.map_or("packet of reserved type", PacketType::name),
            Kind::Sn(_) => sn_walk::name(self.bytes),
        };
        writeln!(f, "{name}, {}", Count(self.bytes.len()))?;

        // The mark goes below the last whole field that has the byte.
        let mut marked = None;
        let mut count = 0;
        self.fields(|field| {
            let has = |at: usize| at >= field.offset && at - field.offset < field.bytes.len();
            if field.mask == 0xFF && error_at.is_some_and(has) {
                marked = Some(count);
            }
            count += 1;
        });
        let mut result = Ok(());
        let mut index = 0;
        self.fields(|field| {
            if result.is_ok() {
                let mark = (marked == Some(index)).then_some(&verdict);
                result = line(f, &field, mark.and(error_at))
                    .and_then(|()| mark.map_or(Ok(()), |verdict| verdict_line(f, verdict)));
            }
            index += 1;
        });
        result?;
        if marked.is_none() { verdict_line(f, &verdict) } else { Ok(()) }
    }
}

/// Offset, bytes, name, value, section. The byte at `error_at` is put in brackets.
fn line(f: &mut fmt::Formatter<'_>, field: &Field<'_>, error_at: Option<usize>) -> fmt::Result {
    let mut width = 0;
    if field.mask == 0xFF {
        write!(f, "  {:04x} ", field.offset)?;
        for (i, byte) in field.bytes.iter().take(SHOWN).enumerate() {
            match error_at {
                Some(at) if at == field.offset + i => write!(f, "[{byte:02x}]")?,
                Some(at) if at + 1 == field.offset + i => write!(f, "{byte:02x}")?,
                _ => write!(f, " {byte:02x}")?,
            }
            width += 3;
        }
        if error_at.is_some_and(|at| {
            at >= field.offset && at + 1 >= field.offset + field.bytes.len().min(SHOWN)
        }) {
            width += 1;
        }
        if field.bytes.len() > SHOWN {
            f.write_str("…")?;
            width += 1;
        }
    } else {
        f.write_str("        ")?;
        let byte = field.bytes.first().copied().unwrap_or_default();
        for bit in (0..8).rev() {
            if bit == 3 {
                f.write_str(" ")?;
            }
            f.write_str(match (field.mask >> bit & 1, byte >> bit & 1) {
                (0, _) => ".",
                (_, 0) => "0",
                _ => "1",
            })?;
        }
        width = 10;
    }
    write!(f, "{:1$}", "", (SHOWN * 3 + 3usize).saturating_sub(width) + 2 * field.depth)?;
    f.write_str(field.name)?;
    if field.value != Value::None {
        write!(f, ": {}", field.value)?;
    }
    if !field.section.is_empty() {
        write!(f, "  [{}]", field.section)?;
    }
    writeln!(f)
}

fn verdict_line(f: &mut fmt::Formatter<'_>, verdict: &Verdict) -> fmt::Result {
    match verdict {
        Verdict::Good => Ok(()),
        Verdict::Incomplete => writeln!(f, "  ---- more bytes are needed"),
        Verdict::Bad(error) => writeln!(f, "  ^^^^ {error}"),
        Verdict::BadSn(error) => writeln!(f, "  ^^^^ {error}"),
    }
}

/// Goes over the bytes and shows what it finds. Everything gives `None` where the bytes end.
struct Walk<'a, 'v> {
    all: &'a [u8],
    at: usize,
    depth: usize,
    visit: &'v mut dyn FnMut(Field<'a>),
}

impl<'a> Walk<'a, '_> {
    fn rest(&self) -> &'a [u8] {
        self.all.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.rest().get(ahead).copied()
    }

    /// Shows these bytes, which are those that come next, and goes past them.
    fn show(
        &mut self,
        bytes: &'a [u8],
        name: &'static str,
        value: Value<'a>,
        section: &'static str,
    ) {
        let field =
            Field { offset: self.at, bytes, mask: 0xFF, depth: self.depth, name, value, section };
        (self.visit)(field);
        self.at += bytes.len();
    }

    /// Shows the next `len` bytes, or if there are fewer, those, and then gives `None`.
    fn fixed(
        &mut self,
        len: usize,
        name: &'static str,
        section: &'static str,
        value: impl FnOnce(u32) -> Value<'a>,
    ) -> Option<u32> {
        let rest = self.rest();
        let Some(bytes) = rest.get(..len) else {
            if !rest.is_empty() {
                self.show(rest, name, Value::Bytes(rest), section);
            }
            return None;
        };
        let number = bytes.iter().fold(0, |sum, &b| sum << 8 | u32::from(b));
        self.show(bytes, name, value(number), section);
        Some(number)
    }

    /// One byte.
    fn u8(
        &mut self,
        name: &'static str,
        section: &'static str,
        value: impl FnOnce(u8) -> Value<'a>,
    ) -> Option<u8> {
        self.fixed(1, name, section, |number| value(number as u8)).map(|number| number as u8)
    }

    fn u16(&mut self, name: &'static str, section: &'static str) -> Option<u32> {
        self.fixed(2, name, section, Value::Number)
    }

    /// A part of the byte that was shown last.
    fn bits(&mut self, mask: u8, name: &'static str, section: &'static str, value: Value<'a>) {
        let offset = self.at.saturating_sub(1);
        let bytes = self.all.get(offset..self.at).unwrap_or_default();
        let depth = self.depth + 1;
        (self.visit)(Field { offset, bytes, mask, depth, name, value, section });
    }

    fn flag(&mut self, byte: u8, mask: u8, name: &'static str, section: &'static str) {
        self.bits(mask, name, section, Value::Flag(byte & mask != 0));
    }

    /// All that is left, as text if it is that.
    fn text_to_end(&mut self, name: &'static str, section: &'static str) {
        let rest = self.rest();
        self.show(rest, name, text(rest), section);
    }

    fn bytes_to_end(&mut self, name: &'static str, section: &'static str) {
        let rest = self.rest();
        self.show(rest, name, Value::Bytes(rest), section);
    }
}

fn text(bytes: &[u8]) -> Value<'_> {
    core::str::from_utf8(bytes).map_or(Value::Bytes(bytes), Value::Text)
}

//! Bytes as people and tools write them: digits with what stands between them, and the dumps of
//! `xxd`, `hexdump -C` and Wireshark.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while_m_n};
use nom::character::complete::{line_ending, not_line_ending, one_of, space0};
use nom::combinator::{eof, map_res, opt, recognize, verify};
use nom::multi::{many_m_n, many0_count, many1};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

/// The most bytes that a line of a dump has.
const LINE: usize = 16;

/// The bytes of a text.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, String> {
    if let Ok((_, bytes)) = dump(text) {
        return Ok(bytes);
    }
    // Between digits alone, white space may stand anywhere, even inside a byte.
    let bare = text.chars().all(|c| c.is_ascii_hexdigit() || c.is_ascii_whitespace());
    let joined: String = text.chars().filter(|c| !(bare && c.is_ascii_whitespace())).collect();
    let text = joined.as_str();
    let (rest, bytes) = digits(text).map_err(|error| error.to_string())?;
    match rest.chars().next() {
        None => Ok(bytes),
        Some(c) if c.is_ascii_hexdigit() => Err(format!(
            "the digit {c:?} at character {} has no second one",
            text.len() - rest.len() + 1
        )),
        Some(c) => Err(format!("{c:?} is no hexadecimal digit")),
    }
}

/// Whether the text is meant to be read by [`bytes`].
pub(crate) fn is_text(text: &str) -> bool {
    bytes(text).is_ok()
}

fn byte(input: &str) -> IResult<&str, u8> {
    let pair = take_while_m_n(2, 2, |c: char| c.is_ascii_hexdigit());
    map_res(pair, |pair: &str| u8::from_str_radix(pair, 16)).parse(input)
}

/// What may stand between bytes: white space, commas, `0x`, `\x`, the brackets of an array.
fn between(input: &str) -> IResult<&str, &str> {
    let mark = recognize(one_of(" \t\r\n,:;-_\"'(){}[]"));
    recognize(many0_count(alt((tag("0x"), tag("\\x"), mark)))).parse(input)
}

fn digits(input: &str) -> IResult<&str, Vec<u8>> {
    let (rest, bytes) = nom::multi::many0(preceded(between, byte)).parse(input)?;
    let (rest, _) = between(rest)?;
    Ok((rest, bytes))
}

/// A dump: lines that begin with the offset of their first byte.
fn dump(input: &str) -> IResult<&str, Vec<u8>> {
    let (mut rest, _) = opt(line_ending).parse(input)?;
    let mut all = Vec::new();
    while !rest.trim().is_empty() {
        let (after, bytes) = dump_line(rest, all.len())?;
        all.extend(bytes);
        rest = after;
        // hexdump ends with the length, alone.
        if let Ok((end, _)) = last_offset(rest, all.len()) {
            rest = end;
        }
    }
    verify(eof, |_: &str| !all.is_empty()).parse(rest.trim_start())?;
    Ok(("", all))
}

fn offset(input: &str, expected: usize) -> IResult<&str, usize> {
    let number = take_while_m_n(4, 8, |c: char| c.is_ascii_hexdigit());
    let number = map_res(number, |number: &str| usize::from_str_radix(number, 16));
    verify(number, |number| *number == expected).parse(input)
}

fn last_offset(input: &str, expected: usize) -> IResult<&str, usize> {
    let (rest, _) = space0(input)?;
    let (rest, number) = offset(rest, expected)?;
    let (rest, _) = (space0, alt((line_ending, eof))).parse(rest)?;
    Ok((rest, number))
}

fn dump_line(input: &str, at: usize) -> IResult<&str, Vec<u8>> {
    let (rest, _) = space0(input)?;
    let (rest, _) = offset(rest, at)?;
    let (rest, colon) = opt(tag(":")).parse(rest)?;
    // Behind the bytes come three spaces or more, and then what they are as text.
    let (rest, bytes) = if colon.is_some() {
        preceded(space0, many_m_n(1, LINE, terminated(byte, opt(tag(" "))))).parse(rest)?
    } else {
        let gap = alt((tag("  "), tag(" ")));
        preceded(tag("  "), preceded(space0, many_m_n(1, LINE, terminated(byte, opt(gap)))))
            .parse(rest)?
    };
    let (rest, _) = not_line_ending(rest)?;
    let (rest, _) = alt((recognize(many1(line_ending)), eof)).parse(rest)?;
    Ok((rest, bytes))
}

#[cfg(test)]
mod tests {
    use super::bytes;

    const PACKET: [u8; 7] = [0x30, 0x05, 0x00, 0x01, 0x61, 0x68, 0x69];

    #[test]
    fn digits_may_be_written_in_many_ways() {
        for text in [
            "30050001616869",
            "30 05 00 01\n61 68 69\n",
            "30:05:00:01:61:68:69",
            "{ 0x30, 0x05, 0x00, 0x01, 0x61, 0x68, 0x69 }",
            r#""\x30\x05\x00\x01\x61\x68\x69""#,
        ] {
            assert_eq!(bytes(text).unwrap(), PACKET, "{text}");
        }
    }

    #[test]
    fn dumps_of_other_tools_are_read() {
        for text in [
            "00000000: 3005 0001 6168 69                        0...ahi\n",
            "00000000  30 05 00 01 61 68 69                              |0...ahi|\n00000007\n",
            "0000   30 05 00 01 61 68 69                              0...ahi\n",
        ] {
            assert_eq!(bytes(text).unwrap(), PACKET, "{text}");
        }
        let long = "00000000: 3011 0001 6130 3132 3334 3536 3738 3961  0...a0123456789a\n\
                    00000010: 6263 64                                  bcd\n";
        assert_eq!(bytes(long).unwrap().len(), 19);
    }

    #[test]
    fn what_is_no_byte_is_named() {
        assert!(bytes("30 0").unwrap_err().contains("'0' at character 3"));
        assert!(bytes("zz").unwrap_err().contains("'z'"));
    }
}

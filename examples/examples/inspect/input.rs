//! Getting bytes from what was named on the command line.

use std::io::Read;
use std::path::Path;

/// The bytes of one file, of standard input, or of hexadecimal digits in one or many words.
pub(crate) fn bytes(words: &[String]) -> Result<Vec<u8>, String> {
    match source(words)? {
        Some(content) => match core::str::from_utf8(&content) {
            Ok(text) if is_hex(text) => hex(text),
            _ => Ok(content),
        },
        None => hex(&words.concat()),
    }
}

/// The text of one file or of standard input.
pub(crate) fn text(words: &[String]) -> Result<String, String> {
    let content = source(words)?.ok_or_else(|| format!("no file {}", words.join(" ")))?;
    String::from_utf8(content).map_err(|_| "the input is not UTF-8 text".into())
}

/// What is in the file or standard input; `None` when the words name neither.
fn source(words: &[String]) -> Result<Option<Vec<u8>>, String> {
    let [word] = words else { return Ok(None) };
    let mut content = Vec::new();
    if word == "-" {
        std::io::stdin().read_to_end(&mut content).map_err(|error| error.to_string())?;
    } else if Path::new(word).is_file() {
        content = std::fs::read(word).map_err(|error| format!("{word}: {error}"))?;
    } else {
        return Ok(None);
    }
    Ok(Some(content))
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit() || c.is_ascii_whitespace())
}

/// The bytes of these digits; spaces and line breaks between them are stepped over.
pub(crate) fn hex(text: &str) -> Result<Vec<u8>, String> {
    let mut digits = Vec::new();
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let digit = c.to_digit(16).ok_or_else(|| {
            format!("{c:?} is no hexadecimal digit, and there is no file of that name")
        })?;
        digits.push(digit as u8);
    }
    if digits.len() % 2 != 0 {
        return Err("an odd number of hexadecimal digits".into());
    }
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

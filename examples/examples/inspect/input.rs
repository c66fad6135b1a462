//! Getting bytes from what was named on the command line.

use std::io::Read;
use std::path::Path;

use crate::dump;
pub(crate) use crate::dump::bytes as hex;

/// The bytes of one file, of standard input, or of hexadecimal digits in one or many words.
pub(crate) fn bytes(words: &[String]) -> Result<Vec<u8>, String> {
    match source(words)? {
        Some(content) => match core::str::from_utf8(&content) {
            Ok(text) if dump::is_text(text) => hex(text),
            _ => Ok(content),
        },
        None => {
            hex(&words.join(" ")).map_err(|why| format!("{why}, and there is no file of that name"))
        }
    }
}

/// The content of one file or of standard input.
pub(crate) fn content(words: &[String]) -> Result<Vec<u8>, String> {
    source(words)?.ok_or_else(|| format!("no file {}", words.join(" ")))
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

//! Users and their passwords, in the format of `mosquitto_passwd`.

use core::fmt;
use core::num::NonZeroU32;
use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use ring::pbkdf2::{self, PBKDF2_HMAC_SHA512};
use ring::rand::{SecureRandom, SystemRandom};

/// Most iterations of a hash: a few seconds' worth.
const MAX_ITERATIONS: u32 = 10_000_000;

/// Iterations of new hashes.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(210_000).unwrap();

/// Names and salted hashes of passwords. Each line of the file is `NAME:$7$ITERATIONS$SALT$HASH`, with
/// PBKDF2-HMAC-SHA512 over the password, and salt and hash in Base64; those that begin with `#` are
/// comments.
#[derive(Clone, Default)]
pub struct Users(HashMap<String, Hash>);

#[derive(Clone, PartialEq, Eq)]
struct Hash {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// A line of a password file that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsersError {
    /// Its number, from 1.
    pub line: usize,
}

impl fmt::Display for UsersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: not NAME:$7$ITERATIONS$SALT$HASH with a name of its own", self.line)
    }
}

impl core::error::Error for UsersError {}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Users {
    /// Reads a password file.
    ///
    /// # Errors
    /// The first line that is none.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let mut users = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let parsed = line.rsplit_once(':').and_then(|(name, hash)| {
                let hash = Hash::parse(hash.trim_end())?;
                (!name.is_empty() && users.insert(name.to_owned(), hash).is_none()).then_some(())
            });
            parsed.ok_or(UsersError { line: index + 1 })?;
        }
        Ok(Self(users))
    }

    /// Whether this is the password of this user. Takes as long for a user that there is not, and as
    /// long for a wrong password as for the right one.
    #[must_use]
    pub fn verify(&self, name: &str, password: &[u8]) -> bool {
        match self.0.get(name) {
            Some(hash) => hash.verify(password),
            None => {
                let any = self.0.values().next().cloned();
                let _ = any.unwrap_or_else(Hash::of_nobody).verify(password);
                false
            }
        }
    }

    /// Whether this user has the same password here as there, as far as the files tell; without another file,
    /// whether there is such a user.
    #[must_use]
    pub fn has_same(&self, name: &str, other: Option<&Self>) -> bool {
        let here = self.0.get(name);
        here.is_some() && other.is_none_or(|other| other.0.get(name) == here)
    }

    /// A line of a password file for this user, with a new salt. `None` if the name cannot stand there,
    /// or the system has no random numbers.
    #[must_use]
    pub fn line(name: &str, password: &[u8]) -> Option<String> {
        if name.is_empty() || name.starts_with('#') || name.contains(['\n', '\r', ':']) {
            return None;
        }
        let (mut salt, mut hash) = ([0; 16], [0; 64]);
        SystemRandom::new().fill(&mut salt).ok()?;
        pbkdf2::derive(PBKDF2_HMAC_SHA512, ITERATIONS, &salt, password, &mut hash);
        Some(format!("{name}:$7${ITERATIONS}${}${}", BASE64.encode(salt), BASE64.encode(hash)))
    }
}

impl Hash {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("$7$")?.split('$');
        let (iterations, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
        let iterations: NonZeroU32 = iterations.parse().ok()?;
        let this =
            Self { iterations, salt: BASE64.decode(salt).ok()?, hash: BASE64.decode(hash).ok()? };
        let whole = parts.next().is_none() && iterations.get() <= MAX_ITERATIONS;
        (whole && !this.salt.is_empty() && this.hash.len() == 64).then_some(this)
    }

    /// What costs as much as any other and fits no password.
    fn of_nobody() -> Self {
        Self { iterations: ITERATIONS, salt: vec![0; 16], hash: vec![0; 64] }
    }

    fn verify(&self, password: &[u8]) -> bool {
        let Self { iterations, salt, hash } = self;
        pbkdf2::verify(PBKDF2_HMAC_SHA512, *iterations, salt, password, hash).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Users;

    /// Python 3: `hashlib.pbkdf2_hmac("sha512", b"secret", b"0123456789ab", 101)`.
    const FILE: &str = "# users\n\nann:$7$101$MDEyMzQ1Njc4OWFi$HASH==\n";

    #[test]
    fn a_password_is_right_for_its_user_alone() {
        let text = FILE.replace("HASH==", HASH);
        let users = Users::parse(&text).unwrap();
        assert!(users.verify("ann", b"secret"));
        for (name, password) in [("ann", &b"Secret"[..]), ("ann", b""), ("bob", b"secret")] {
            assert!(!users.verify(name, password));
        }
    }

    const HASH: &str =
        "EO/lLlkeUgIiBaS8G8UK0ZMP1u508TA7Tl+AdJ1cEsmlbGyEPAERErpfq84j1kepISs0UzmcdL4ucgZ2uodxfQ==";

    #[test]
    fn a_line_that_is_written_is_read_again() {
        let line = Users::line("ann", b"secret").unwrap();
        assert_ne!(Some(&line), Users::line("ann", b"secret").as_ref(), "each has its salt");
        let users = Users::parse(&line).unwrap();
        assert!(users.verify("ann", b"secret") && !users.verify("ann", b"other"));
        for name in ["", "#", "a:b", "a\nb"] {
            assert_eq!(Users::line(name, b"x"), None);
        }
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let good = FILE.replace("HASH==", HASH);
        for (text, line) in [
            ("ann:secret".to_owned(), 1),
            ("ann".to_owned(), 1),
            (good.replace("$7$", "$6$"), 3),
            (good.replace("101", "0"), 3),
            (good.replace("101", "4000000000"), 3),
            (good.replace("ann", ""), 3),
            (good.clone() + good.lines().last().unwrap(), 4),
            (good.replace("==", ""), 3),
        ] {
            assert_eq!(Users::parse(&text).err().map(|error| error.line), Some(line), "{text}");
        }
    }
}

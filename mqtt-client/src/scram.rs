//! SCRAM-SHA-256 (RFC 5802, RFC 7677): user and password, without the password ever being sent, and with
//! a proof that the server knows it too.
//!
//! ```
//! use mqtt_client::scram::ScramSha256;
//! use mqtt_client::{Authentication, Options};
//!
//! let mut options = Options::from_url("mqtt://broker.example")?;
//! let user = || ScramSha256::new("kitchen", "open sesame");
//! options.authentication = Some(Authentication::new(user));
//! # Ok::<(), mqtt_client::Error>(())
//! ```

use alloc::string::String;
use core::fmt;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use mqtt_codec::ReasonCode;
use mqtt_session::{AuthStep, Mechanism};
use sha2::{Digest, Sha256};

/// RFC 7677, section 4: a server that asks for less is not what it seems.
const MIN_ITERATIONS: u32 = 4096;

/// How many bytes a server's nonce and salt may have, as they are written.
const MAX_FIELD: usize = 1024;

type HmacSha256 = Hmac<Sha256>;
type Hash = [u8; 32];

/// The client's side of an exchange, without channel binding.
pub struct ScramSha256 {
    /// User, as it is sent, and password; `None` if SASLprep does not allow them.
    credentials: Option<(String, String)>,
    nonce: String,
    /// How many rounds a server may ask for, at least 4,096: each is work for this client. 4,096 take
    /// milliseconds. Default: 100,000.
    pub max_iterations: u32,
    state: State,
}

enum State {
    Begin,
    /// What was sent, as far as it is signed.
    First(String),
    /// What the server has to show.
    Final(Hash),
    End,
}

/// Without the secrets.
impl fmt::Debug for ScramSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.credentials.as_ref().map(|(user, _)| user);
        f.debug_struct("ScramSha256").field("user", &user).finish_non_exhaustive()
    }
}

impl ScramSha256 {
    /// With a nonce from the system; should that have none, the exchange fails. User and password are
    /// prepared by SASLprep (RFC 4013), so that it is the same however they were typed; with what that
    /// prohibits, such as control characters, the exchange fails.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        let mut random = [0; 18];
        let nonce = getrandom::fill(&mut random).map(|()| BASE64.encode(&random));
        Self::with_nonce(user, password, &nonce.unwrap_or_default())
    }

    /// With this nonce: printable ASCII without comma, never used before. An exchange with another one
    /// fails.
    #[must_use]
    pub fn with_nonce(user: &str, password: &str, nonce: &str) -> Self {
        let prepared = stringprep::saslprep(user).ok().zip(stringprep::saslprep(password).ok());
        Self {
            credentials: prepared.map(|(user, password)| {
                // RFC 5802, section 5.1.
                (user.replace('=', "=3D").replace(',', "=2C"), password.into())
            }),
            nonce: nonce.into(),
            max_iterations: 100_000,
            state: State::Begin,
        }
    }

    fn next(&mut self, received: Option<&[u8]>) -> Option<(bool, String)> {
        match (core::mem::replace(&mut self.state, State::End), received) {
            (State::Begin, None) => {
                if !is_printable(&self.nonce) {
                    return None;
                }
                let (user, _) = self.credentials.as_ref()?;
                let first = alloc::format!("n={user},r={}", self.nonce);
                let message = alloc::format!("n,,{first}");
                self.state = State::First(first);
                Some((false, message))
            }
            (State::First(first), Some(received)) => {
                let (message, signature) =
                    self.prove(&first, core::str::from_utf8(received).ok()?)?;
                self.state = State::Final(signature);
                Some((false, message))
            }
            (State::Final(signature), Some(received)) => {
                let shown = received.strip_prefix(b"v=")?;
                // Extensions may follow; "e=" instead is an error of the server's.
                let shown = shown.split(|byte| *byte == b',').next()?;
                let shown = BASE64.decode(shown).ok()?;
                equal(&shown, &signature).then(|| (true, String::new()))
            }
            _ => None,
        }
    }

    /// The client's last message, and the signature that the server has to answer with.
    fn prove(&self, first: &str, received: &str) -> Option<(String, Hash)> {
        let mut fields = received.split(',');
        // An "m=" in front is an extension that must be understood (section 5.1).
        let nonce = fields.next()?.strip_prefix("r=")?;
        let salt = fields.next()?.strip_prefix("s=")?;
        let iterations: u32 = fields.next()?.strip_prefix("i=")?.parse().ok()?;
        let is_ours = nonce.strip_prefix(&*self.nonce).is_some_and(|more| !more.is_empty());
        let limit = self.max_iterations.max(MIN_ITERATIONS);
        if !is_ours
            || !is_printable(nonce)
            || nonce.len() > MAX_FIELD
            || salt.len() > MAX_FIELD
            || !(MIN_ITERATIONS..=limit).contains(&iterations)
        {
            return None;
        }
        let salt = BASE64.decode(salt.as_bytes()).ok()?;
        let (_, password) = self.credentials.as_ref()?;
        let mut salted = Hash::default();
        pbkdf2::pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut salted);

        let without_proof = alloc::format!("c=biws,r={nonce}");
        let signed = alloc::format!("{first},{received},{without_proof}");
        let client_key = mac(&salted, b"Client Key")?;
        let stored_key: Hash = Sha256::digest(client_key).into();
        let mut proof = mac(&stored_key, signed.as_bytes())?;
        for (byte, key) in proof.iter_mut().zip(client_key) {
            *byte ^= key;
        }
        let server_key = mac(&salted, b"Server Key")?;
        let signature = mac(&server_key, signed.as_bytes())?;
        Some((alloc::format!("{without_proof},p={}", BASE64.encode(&proof)), signature))
    }
}

impl Mechanism for ScramSha256 {
    fn method(&self) -> &str {
        "SCRAM-SHA-256"
    }

    fn step(&mut self, received: Option<&[u8]>, buffer: &mut [u8]) -> AuthStep {
        let failed = AuthStep::Failed(ReasonCode::NotAuthorized);
        let Some((done, message)) = self.next(received) else { return failed };
        let Some(room) = buffer.get_mut(..message.len()) else { return failed };
        room.copy_from_slice(message.as_bytes());
        if done { AuthStep::Done(message.len()) } else { AuthStep::Continue(message.len()) }
    }
}

/// `printable` of RFC 5802, at least one.
fn is_printable(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',')
}

/// In a time that says nothing of where they differ.
fn equal(one: &[u8], other: &Hash) -> bool {
    let differing = one.iter().zip(other).fold(0, |differing, (a, b)| differing | (a ^ b));
    one.len() == other.len() && core::hint::black_box(differing) == 0
}

fn mac(key: &[u8], text: &[u8]) -> Option<Hash> {
    // A key may have any length: this never is `None`.
    let mac = <HmacSha256 as KeyInit>::new_from_slice(key).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    /// RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const SERVER_FINAL: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn pencil() -> ScramSha256 {
        ScramSha256::with_nonce("user", "pencil", NONCE)
    }

    fn step(scram: &mut ScramSha256, received: Option<&str>) -> Result<(bool, String), ReasonCode> {
        let mut buffer = [0; 4096];
        let (done, len) = match scram.step(received.map(str::as_bytes), &mut buffer) {
            AuthStep::Continue(len) => (false, len),
            AuthStep::Done(len) => (true, len),
            AuthStep::Failed(reason) => return Err(reason),
        };
        Ok((done, String::from_utf8(buffer[..len].to_vec()).unwrap()))
    }

    /// What the client says to this first message of a server.
    fn answer(server_first: &str) -> Result<(bool, String), ReasonCode> {
        let mut scram = pencil();
        step(&mut scram, None)?;
        step(&mut scram, Some(server_first))
    }

    #[test]
    fn the_exchange_of_rfc_7677_section_3() {
        let mut scram = pencil();
        let first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
        assert_eq!(step(&mut scram, None), Ok((false, first.into())));
        let last = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!(step(&mut scram, Some(SERVER_FIRST)), Ok((false, last.into())));
        assert_eq!(step(&mut scram, Some(SERVER_FINAL)), Ok((true, String::new())));
        assert!(step(&mut scram, Some(SERVER_FINAL)).is_err(), "it is over");
    }

    #[test]
    fn a_server_that_does_not_know_the_password_is_not_believed() {
        let short = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl9";
        for wrong in
            ["v=", "v=AAAA", short, "e=other-error", "", &SERVER_FINAL.replace("6rri", "6rrj")]
        {
            let mut scram = pencil();
            assert!(step(&mut scram, None).is_ok() && step(&mut scram, Some(SERVER_FIRST)).is_ok());
            assert!(step(&mut scram, Some(wrong)).is_err(), "{wrong}");
        }
        let mut scram = pencil();
        assert!(step(&mut scram, None).is_ok() && step(&mut scram, Some(SERVER_FIRST)).is_ok());
        assert!(step(&mut scram, Some(&alloc::format!("{SERVER_FINAL},x=y"))).is_ok());
    }

    /// RFC 5802, section 5.1; RFC 7677, section 4.
    #[test]
    fn what_a_server_must_not_ask_for_ends_the_exchange() {
        for (from, to) in [
            ("r=rOpr", "r=sOpr"),                   // not our nonce
            ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""), // nothing of its own
            ("$k0", "\u{7f}"),                      // not printable
            ("i=4096", "i=4095"),                   // too easy
            ("i=4096", "i=100001"),                 // too much work
            ("i=4096", "i=99999999999999999999"),
            ("i=4096", "i=-1"),
            ("i=4096", ""),
            ("W22Z", "W2 Z"),
            ("r=rO", "m=x,r=rO"), // a mandatory extension
        ] {
            let wrong = SERVER_FIRST.replace(from, to);
            assert_ne!(wrong, SERVER_FIRST);
            assert!(answer(&wrong).is_err(), "{wrong}");
        }
        let long = SERVER_FIRST.replace("$k0", &"x".repeat(2000));
        assert!(answer(&long).is_err());
        assert!(answer(&alloc::format!("{SERVER_FIRST},x=y")).is_ok(), "others are passed over");
    }

    /// The examples of RFC 4013, section 3, as user and as password.
    #[test]
    fn user_and_password_are_prepared_by_saslprep_or_there_is_no_exchange() {
        let last = |user: &str, password: &str| {
            let mut scram = ScramSha256::with_nonce(user, password, NONCE);
            let (_, first) = step(&mut scram, None)?;
            Ok((first, step(&mut scram, Some(SERVER_FIRST))?))
        };
        for (typed, prepared) in [
            ("I\u{AD}X", "IX"),
            ("\u{AA}", "a"),
            ("\u{2168}", "IX"),
            ("USER", "USER"),
            ("e\u{301}", "é"),
        ] {
            assert_eq!(last(typed, typed), last(prepared, prepared), "{typed}");
        }
        assert_ne!(last("user", "USER"), last("user", "user"));
        for prohibited in ["\u{7}", "\u{627}1", "\u{E000}"] {
            let refused = Err(ReasonCode::NotAuthorized);
            assert_eq!(last(prohibited, "pencil"), refused);
            assert_eq!(last("user", prohibited), refused);
        }
    }

    #[test]
    fn a_name_is_escaped_and_a_nonce_used_once() {
        let mut scram = ScramSha256::with_nonce("a=b,c", "", "n");
        assert_eq!(step(&mut scram, None), Ok((false, "n,,n=a=3Db=2Cc,r=n".into())));
        assert!(step(&mut ScramSha256::with_nonce("a", "", "x,y"), None).is_err());
        assert!(step(&mut ScramSha256::with_nonce("a", "", ""), None).is_err());
        let nonces: Vec<_> = (0..2).map(|_| step(&mut ScramSha256::new("a", ""), None)).collect();
        assert_ne!(nonces[0], nonces[1]);
    }
}

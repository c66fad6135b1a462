//! SCRAM-SHA-256 with the broker of this repository, whose side of it is here.

use core::net::Ipv4Addr;

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use motewire_examples::broker::{BrokerServer, Endpoint, Running};
use mqtt_client::scram::ScramSha256;
use mqtt_client::{Authentication, Error, Options, QoS, ReasonCode};
use mqtt_session::broker::{Broker, Client, Config, Policy};
use mqtt_session::{AuthStep, Mechanism};
use sha2::{Digest, Sha256};

use super::in_time;

const SALT: &[u8] = b"never do this";
const ITERATIONS: u32 = 4096;

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("of any length");
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// The server's side (RFC 5802, section 3), for one user.
#[derive(Default)]
struct Server {
    /// Whether it claims to know the password without doing so.
    is_false: bool,
    first: Option<(String, String)>,
}

impl Server {
    fn answer(&mut self, received: &str) -> Option<(bool, String)> {
        let Some((first, own)) = self.first.take() else {
            let first = received.strip_prefix("n,,")?;
            let nonce = first.strip_prefix("n=kitchen,r=")?;
            let own = format!("r={nonce}server,s={},i={ITERATIONS}", BASE64.encode(SALT));
            self.first = Some((first.to_owned(), own.clone()));
            return Some((false, own));
        };
        let (without_proof, proof) = received.split_once(",p=")?;
        let signed = format!("{first},{own},{without_proof}");
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(b"open sesame", SALT, ITERATIONS, &mut salted);
        let stored_key = Sha256::digest(mac(&salted, "Client Key"));
        let mut key = BASE64.decode(proof.as_bytes()).ok()?;
        key.iter_mut().zip(mac(&stored_key, &signed)).for_each(|(byte, mac)| *byte ^= mac);
        if Sha256::digest(&key) != stored_key {
            return None;
        }
        let server_key = mac(&salted, if self.is_false { "No Key" } else { "Server Key" });
        Some((true, format!("v={}", BASE64.encode(&mac(&server_key, &signed)))))
    }
}

impl Mechanism for Server {
    fn method(&self) -> &str {
        "SCRAM-SHA-256"
    }

    fn step(&mut self, received: Option<&[u8]>, buffer: &mut [u8]) -> AuthStep {
        let received = received.and_then(|bytes| core::str::from_utf8(bytes).ok());
        match received.and_then(|text| self.answer(text)) {
            None => AuthStep::Failed(ReasonCode::NotAuthorized),
            Some((done, text)) => {
                buffer[..text.len()].copy_from_slice(text.as_bytes());
                if done { AuthStep::Done(text.len()) } else { AuthStep::Continue(text.len()) }
            }
        }
    }
}

/// Lets in who knows the password.
struct Scram {
    is_false: bool,
}

impl Policy for Scram {
    fn mechanism(&mut self, _: Client<'_>, method: &str) -> Option<Box<dyn Mechanism + Send>> {
        let server = Server { is_false: self.is_false, first: None };
        (method == "SCRAM-SHA-256").then(|| Box::new(server) as _)
    }
}

/// A broker, and the options for a client that gives this password.
fn broker(is_false: bool, password: &'static str) -> (Running, Options) {
    let broker = Broker::with_policy(Config::default(), Box::new(Scram { is_false }));
    let mut server = BrokerServer::new(broker).expect("a broker");
    let endpoint = Endpoint::tcp((Ipv4Addr::LOCALHOST, 0).into());
    let address = server.listen(&endpoint).expect("a free port").to_string();
    let mut options = Options::from_url(&format!("mqtt://{address}")).expect("a URL");
    let scram = move || ScramSha256::new("kitchen", password);
    options.authentication = Some(Authentication::new(scram));
    (server.spawn().expect("a thread"), options)
}

#[tokio::test]
async fn who_knows_the_password_is_let_in_and_may_prove_it_again_mqtt_4_12_0_1_mqtt_4_12_1_1() {
    let (_running, options) = broker(false, "open sesame");
    let client = in_time(mqtt_client::tokio::connect(options)).await.expect("accepted");
    for _ in 0..3 {
        in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
        let (one, other) = tokio::join!(client.reauthenticate(), client.reauthenticate());
        assert!(one.is_ok() && other.is_ok());
    }
    in_time(client.publish("a", "x", QoS::AtLeastOnce)).await.expect("delivered");
    client.disconnect().await;
    assert!(matches!(client.reauthenticate().await, Err(Error::Closed)));
}

#[tokio::test]
async fn who_does_not_know_the_password_is_refused_and_gives_up() {
    let (_running, options) = broker(false, "sesame");
    let error = in_time(mqtt_client::tokio::connect(options)).await.expect_err("refused");
    assert!(matches!(error, Error::Refused { reason: ReasonCode::NotAuthorized, .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_know_the_password_is_left() {
    let (_running, options) = broker(true, "open sesame");
    let error = in_time(mqtt_client::tokio::connect(options)).await.expect_err("not believed");
    assert!(matches!(error, Error::Authentication(_)), "{error}");
}

/// One that lets the client in without the exchange that it asked for.
#[tokio::test]
async fn version_3_has_no_such_thing_and_a_client_without_mechanism_neither() {
    let (_running, mut options) = broker(false, "open sesame");
    options.version = mqtt_client::Version::V311;
    let error = in_time(mqtt_client::tokio::connect(options.clone())).await.expect_err("refused");
    assert!(matches!(error, Error::Authentication(_)), "{error}");
    options.authentication = None;
    let client = in_time(mqtt_client::tokio::connect(options)).await.expect("accepted");
    assert!(matches!(client.reauthenticate().await, Err(Error::Authentication(_))));
}

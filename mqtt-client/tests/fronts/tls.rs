//! TLS: who trusts whom, and who is told what.

use alloc::sync::Arc;
use std::net::{TcpListener, TcpStream};
use std::thread;

use mqtt_client::tls::{ClientConfig, RootCertStore, ring, rustls};
use mqtt_client::{Error, Options, blocking};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::{options, serve};

/// A certificate that vouches for itself, and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Identity {
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(made.key_pair.serialize_der());
        Self { certificate: made.cert.into(), key: key.into() }
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).expect("a root");
        Arc::new(roots)
    }

    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (vec![self.certificate.clone()], self.key.clone_key())
    }
}

/// What a server needs that has this certificate and asks for that of its clients.
fn server_config(own: &Identity, client: &Identity) -> rustls::ServerConfig {
    let (chain, key) = own.parts();
    let verifier = WebPkiClientVerifier::builder_with_provider(client.roots(), ring());
    rustls::ServerConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(chain, key)
        .expect("a certificate")
}

type TlsStream = rustls::StreamOwned<rustls::ServerConnection, TcpStream>;

/// The URL of a server that does this with each connection, which is told its number.
fn listen(config: rustls::ServerConfig, run: fn(usize, TlsStream)) -> String {
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for (n, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream else { continue };
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection");
            thread::spawn(move || run(n, rustls::StreamOwned::new(tls, stream)));
        }
    });
    format!("mqtts://localhost:{port}")
}

/// The URL of a server with this certificate, which asks for that of its clients.
fn server(own: &Identity, client: &Identity) -> String {
    listen(server_config(own, client), |n, stream| serve(stream, n == 0))
}

/// What trusts `server` and shows `client`.
fn client_config(server: &Identity, client: Option<&Identity>) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(server.roots());
    match client.map(Identity::parts) {
        Some((chain, key)) => config.with_client_auth_cert(chain, key).expect("a certificate"),
        None => config.with_no_client_auth(),
    }
}

fn with_config(url: &str, config: ClientConfig) -> Options {
    let mut options = options(url);
    options.tls = Some(Arc::new(config));
    options
}

/// Options that trust `server` and show `client`.
fn with_tls(url: &str, server: &Identity, client: Option<&Identity>) -> Options {
    with_config(url, client_config(server, client))
}

#[test]
fn threads_with_a_client_certificate() {
    let (own, client) = (Identity::new("localhost"), Identity::new("client"));
    super::talk_blocking(with_tls(&server(&own, &client), &own, Some(&client)));
}

#[cfg(feature = "tokio")]
#[tokio::test]
async fn tokio_with_a_client_certificate() {
    let (own, client) = (Identity::new("localhost"), Identity::new("client"));
    let options = with_tls(&server(&own, &client), &own, Some(&client));
    super::talk(mqtt_client::tokio::connect(options).await.expect("accepted")).await;
}

/// By default a client gives up where only somebody's doing could help.
#[test]
fn who_is_not_trusted_is_told_so() {
    use rustls::{AlertDescription, CertificateError, Error as E};

    let (own, client) = (Identity::new("localhost"), Identity::new("client"));
    let url = server(&own, &client);
    let stranger = Identity::new("localhost");
    let complaint = |options| match blocking::Client::connect_with(options).expect_err("no trust") {
        Error::Tls { source, .. } => E::clone(&source),
        error => panic!("{error}"),
    };
    let error = complaint(with_tls(&url, &stranger, Some(&client)));
    assert!(matches!(error, E::InvalidCertificate(_)), "{error}");
    let error = complaint(with_tls(&url, &own, Some(&stranger)));
    assert!(matches!(error, E::AlertReceived(_)), "{error}");
    let error = complaint(with_tls(&url, &own, None));
    assert_eq!(error, E::AlertReceived(AlertDescription::CertificateRequired));
    let url = url.replace("localhost", "127.0.0.1");
    let error = complaint(with_tls(&url, &own, Some(&client)));
    let of_another = CertificateError::NotValidForNameContext {
        expected: ServerName::try_from("127.0.0.1").expect("an address"),
        presented: vec!["DnsName(\"localhost\")".into()],
    };
    assert_eq!(error, E::InvalidCertificate(of_another));
}

#[test]
fn what_time_heals_is_tried_again() {
    use rustls::{CertificateError, Error as E};

    let certificate = |error| Error::Tls {
        server: Box::new("mqtts://h".parse().expect("a URL")),
        source: Arc::new(E::InvalidCertificate(error)),
    };
    assert!(!certificate(CertificateError::Expired).is_permanent());
    assert!(!certificate(CertificateError::NotValidYet).is_permanent());
    assert!(certificate(CertificateError::UnknownIssuer).is_permanent());
    assert!(certificate(CertificateError::Revoked).is_permanent());
}

/// One of several servers shows a wrong certificate: the client goes to the next.
#[test]
fn a_server_that_is_not_trusted_makes_way_for_another() {
    let (own, client) = (Identity::new("localhost"), Identity::new("client"));
    let stranger = Identity::new("localhost");
    let (wrong, right) = (server(&stranger, &client), server(&own, &client));
    let mut options = with_tls(&wrong, &own, Some(&client));
    options.servers.push(right.parse().expect("a URL"));
    super::talk_blocking(options);

    let mut options = with_tls(&wrong, &own, Some(&client));
    options.servers.push(wrong.parse().expect("a URL"));
    let error = blocking::Client::connect_with(options).expect_err("no trust");
    assert!(matches!(error, Error::Tls { .. }), "{error}");
}

#[test]
fn a_protocol_is_agreed_on_by_alpn() {
    let (own, client) = (Identity::new("localhost"), Identity::new("client"));
    let mut config = server_config(&own, &client);
    config.alpn_protocols = vec![b"other".to_vec(), b"mqtt".to_vec()];
    let url = listen(config, |n, mut stream| {
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                return;
            }
        }
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"mqtt"[..]));
        serve(stream, n == 0);
    });
    let with_alpn = |protocol: &[u8]| {
        let mut config = client_config(&own, Some(&client));
        config.alpn_protocols = vec![protocol.to_vec()];
        with_config(&url, config)
    };
    super::talk_blocking(with_alpn(b"mqtt"));
    let error = blocking::Client::connect_with(with_alpn(b"h2")).expect_err("nothing in common");
    let Error::Tls { source, .. } = error else { panic!("{error}") };
    let refused = rustls::AlertDescription::NoApplicationProtocol;
    assert_eq!(*source, rustls::Error::AlertReceived(refused));
}

/// Trusts one certificate, whatever it says.
#[derive(Debug)]
struct Pinned(CertificateDer<'static>);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let unknown = rustls::CertificateError::ApplicationVerificationFailure;
        (*certificate == self.0).then(ServerCertVerified::assertion).ok_or(unknown.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = ring().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring().signature_verification_algorithms.supported_schemes()
    }
}

#[test]
fn a_verifier_of_ones_own_has_the_last_word() {
    let (own, client) = (Identity::new("elsewhere"), Identity::new("client"));
    let url = server(&own, &client);
    let pinning = |pinned: &Identity| {
        let (chain, key) = client.parts();
        let config = ClientConfig::builder_with_provider(ring())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(pinned.certificate.clone())))
            .with_client_auth_cert(chain, key);
        with_config(&url, config.expect("a certificate"))
    };
    super::talk_blocking(pinning(&own));
    let error = blocking::Client::connect_with(pinning(&client)).expect_err("another one");
    let Error::Tls { source, .. } = error else { panic!("{error}") };
    let refused = rustls::CertificateError::ApplicationVerificationFailure;
    assert_eq!(*source, rustls::Error::InvalidCertificate(refused));
}

#[cfg(feature = "websocket")]
#[test]
fn a_websocket_over_tls() {
    let (own, client) = (Identity::new("localhost"), Identity::new("client"));
    let url = listen(server_config(&own, &client), |n, stream| {
        super::websocket::accept(stream, |request| request.uri() == "/mqtt", n == 0);
    });
    let url = format!("{}/mqtt", url.replace("mqtts", "wss"));
    super::talk_blocking(with_tls(&url, &own, Some(&client)));
}

/// From the bottom to the top: proxy, TLS, WebSocket. The proxy looks up the name, and TLS asks for it.
#[cfg(all(feature = "websocket", feature = "proxy"))]
#[test]
fn a_websocket_over_tls_through_proxies() {
    let (own, client) = (Identity::new("broker.internal"), Identity::new("client"));
    for proxy in super::proxy::proxies() {
        let url = listen(server_config(&own, &client), |n, stream| {
            super::websocket::accept(stream, |request| request.uri() == "/mqtt", n == 0);
        });
        let url = format!("{}/mqtt", url.replace("mqtts://localhost", "wss://broker.internal"));
        let mut options = with_tls(&url, &own, Some(&client));
        options.proxy = Some(proxy.parse().expect("a proxy"));
        super::talk_blocking(options);
    }
}

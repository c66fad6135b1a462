//! Connects by TLS: with the system's roots, or with those of a file, and perhaps with a client
//! certificate.
//!
//! ```text
//! cargo run --example tls mqtts://broker.example
//! cargo run --example tls mqtts://localhost ca.pem client.pem client.key
//! ```
//!
//! A server of one's own to try it with has a certificate that only this client trusts:
//!
//! ```text
//! openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost -keyout key.pem -out cert.pem \
//!     -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE
//! cargo run --example broker -- --tls-listen 127.0.0.1:8883 --tls-cert cert.pem --tls-key key.pem
//! cargo run --example tls mqtts://localhost cert.pem
//! ```

extern crate alloc;

use alloc::sync::Arc;

use mqtt_client::tls::rustls::pki_types::pem::{Error, PemObject};
use mqtt_client::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use mqtt_client::tls::{ClientConfig, RootCertStore, ring};
use mqtt_client::{Options, QoS};

type Result<T = ()> = core::result::Result<T, Box<dyn core::error::Error>>;

const USAGE: &str = "tls [URL [ROOTS [CERTIFICATE KEY]]]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    motewire_examples::help(USAGE);
    // Says on standard error what happens to the connection, such as that it waits for the server.
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if matches!(arguments.len(), 3 | 5..) {
        eprintln!("Usage: {USAGE}");
        std::process::exit(2);
    }
    let mut options = match arguments.first() {
        Some(url) => Options::from_url(url)?,
        None => Options::from_url("mqtts://localhost")?,
    };
    if let Some(roots) = arguments.get(1) {
        let client = arguments.get(2).zip(arguments.get(3));
        options.tls = Some(Arc::new(config(roots, client)?));
    }
    let client = mqtt_client::tokio::connect(options).await?;
    client.publish("residence/kitchen/temperature", "21.5", QoS::AtLeastOnce).await?;
    println!("delivered");
    client.disconnect().await;
    Ok(())
}

/// What trusts the certificates in this file, and shows that of the client, if there is one.
fn config(roots: &str, client: Option<(&String, &String)>) -> Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in pem(roots, CertificateDer::pem_file_iter(roots))? {
        store.add(pem(roots, root)?)?;
    }
    if store.is_empty() {
        return Err(format!("{roots}: there is no certificate in it").into());
    }
    let config = ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store);
    let Some((chain, key)) = client else { return Ok(config.with_no_client_auth()) };
    let certificates = pem(chain, CertificateDer::pem_file_iter(chain))?;
    let certificates = pem(chain, certificates.collect::<core::result::Result<_, _>>())?;
    let key = pem(key, PrivateKeyDer::from_pem_file(key))?;
    Ok(config.with_client_auth_cert(certificates, key)?)
}

/// What was read from this file, which the error names.
fn pem<T>(file: &str, read: core::result::Result<T, Error>) -> Result<T> {
    read.map_err(|error| format!("{file}: {error}").into())
}

//! TLS by rustls, on whatever the runtime connects.
//!
//! ```
//! use std::sync::Arc;
//! use mqtt_client::tls::{ClientConfig, RootCertStore, ring};
//! use mqtt_client::{Error, Options};
//!
//! // Roots of one's own, and no client certificate; [`Options::tls`] left alone means the system's.
//! let config = ClientConfig::builder_with_provider(ring())
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(RootCertStore::empty())
//!     .with_no_client_auth();
//! let mut options = Options::from_url("mqtts://broker.example")?;
//! options.tls = Some(Arc::new(config));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Options::tls`]: crate::Options::tls

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use std::io;

use futures_rustls::TlsConnector;
use futures_rustls::rustls::crypto::CryptoProvider;
pub use futures_rustls::rustls::{self, ClientConfig, RootCertStore};

use crate::Transport;

/// The cryptography of ring.
#[must_use]
pub fn ring() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The system's roots and nothing else.
fn system() -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // Some of them may be of a kind that rustls does not know.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the system has no root certificates"));
    }
    let config = ClientConfig::builder_with_provider(ring())
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Whether it will fail again as long as nobody changes something but the time.
pub(crate) fn is_permanent(error: &rustls::Error) -> bool {
    use rustls::{AlertDescription as A, CertificateError as C, Error as E};
    match error {
        E::InvalidCertificate(error) => !matches!(
            error,
            C::Expired
                | C::ExpiredContext { .. }
                | C::NotValidYet
                | C::NotValidYetContext { .. }
                | C::ExpiredRevocationList
                | C::ExpiredRevocationListContext { .. }
        ),
        E::AlertReceived(alert) => matches!(
            alert,
            A::HandshakeFailure
                | A::BadCertificate
                | A::UnsupportedCertificate
                | A::CertificateRevoked
                | A::CertificateUnknown
                | A::UnknownCA
                | A::AccessDenied
                | A::DecryptError
                | A::ProtocolVersion
                | A::UnrecognisedName
                | A::CertificateRequired
                | A::NoApplicationProtocol
        ),
        E::PeerIncompatible(_)
        | E::NoCertificatesPresented
        | E::UnsupportedNameType
        | E::NoApplicationProtocol => true,
        _ => false,
    }
}

/// Shakes hands with the server of this name.
pub(crate) async fn connect(
    transport: Transport,
    host: String,
    config: Option<Arc<ClientConfig>>,
) -> io::Result<Transport> {
    let config = config.map_or_else(system, Ok)?;
    let name = rustls::pki_types::ServerName::try_from(host)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let stream = TlsConnector::from(config).connect(name, transport).await?;
    Ok(Box::new(stream))
}

//! TLS by rustls, with ring, and what a client's certificate says of its name.

use alloc::sync::Arc;
use std::io::{self, IoSlice, Read, Write};
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
};

use super::{Ended, Input, Socket};

/// How often one call reads from the socket: whoever sends records without content gets its turn like
/// all others.
const MAX_READS: usize = 32;

/// Which files make a TLS server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate and those up to the root, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// Roots that clients' certificates are checked against, PEM. Without it clients are not asked for
    /// one.
    pub client_ca: Option<PathBuf>,
    /// Whether a client without a certificate is turned away.
    pub require_client_certificate: bool,
}

impl TlsFiles {
    /// Reads them.
    ///
    /// # Errors
    /// Says which file is wrong, and how.
    pub fn load(&self) -> Result<Arc<ServerConfig>, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| in_file(file, &error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if self.require_client_certificate {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                builder.with_client_cert_verifier(
                    verifier.build().map_err(|error| in_file(file, &error))?,
                )
            }
        };
        let chain = certificates(&self.certificate)?;
        let key =
            PrivateKeyDer::from_pem_file(&self.key).map_err(|error| in_file(&self.key, &error))?;
        let config =
            builder.with_single_cert(chain, key).map_err(|error| in_file(&self.key, &error))?;
        Ok(Arc::new(config))
    }
}

pub(in crate::broker) fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_file_iter(file).map_err(|error| in_file(file, &error))?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(|error| in_file(file, &error))?;
    if all.is_empty() { Err(in_file(file, &"no certificate in it")) } else { Ok(all) }
}

pub(in crate::broker) fn in_file(file: &Path, error: &dyn core::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}

/// One connection's TLS.
#[derive(Debug)]
pub(in crate::broker) struct Tls {
    connection: Connection,
    /// Whether the client's name was asked for.
    is_identified: bool,
}

impl Tls {
    pub(in crate::broker) fn new(config: &Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let connection = ServerConnection::new(Arc::clone(config))?;
        Ok(Self { connection: connection.into(), is_identified: false })
    }

    /// The end of who connects, to a server of this name.
    pub(in crate::broker) fn to(
        config: &Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, rustls::Error> {
        let connection = ClientConnection::new(Arc::clone(config), name)?;
        Ok(Self { connection: connection.into(), is_identified: true })
    }

    pub(in crate::broker) fn read(
        &mut self,
        socket: &mut Socket,
        buffer: &mut [u8],
    ) -> Result<Input, Ended> {
        let mut len = 0;
        // What was read before an end is told before it: the end is found again.
        let end = |len, ended| if len > 0 { Ok(Input { len, more: true }) } else { Err(ended) };
        for _ in 0..MAX_READS {
            loop {
                let rest = buffer.get_mut(len..).unwrap_or_default();
                if rest.is_empty() {
                    return Ok(Input { len, more: true });
                }
                match self.connection.reader().read(rest) {
                    Ok(0) => return end(len, Ended::Closed),
                    Ok(read) => len += read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return end(len, Ended::Io(error)),
                }
            }
            if !self.is_identified && !self.connection.is_handshaking() {
                // One without a name would prove nothing, and any could be claimed.
                let first = self.connection.peer_certificates().and_then(|all| all.first());
                if first.is_some_and(|certificate| name_in(certificate).is_none()) {
                    let what = "the client's certificate has neither a common name nor a DNS name";
                    return Err(Ended::Tls(rustls::Error::General(what.into())));
                }
            }
            match self.connection.read_tls(socket) {
                // The reader tells of the end.
                Ok(_) => {
                    if let Err(error) = self.connection.process_new_packets() {
                        return Err(Ended::Tls(error));
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(Input { len, more: false }),
                    io::ErrorKind::Interrupted => {}
                    _ => return end(len, Ended::Io(error)),
                },
            }
        }
        Ok(Input { len, more: true })
    }

    /// Takes what it can, encrypted until the socket takes it.
    pub(in crate::broker) fn write(
        &mut self,
        socket: &mut Socket,
        parts: &[IoSlice<'_>],
    ) -> io::Result<usize> {
        // Not more than one buffer full, so that a slow client does not gather two of them.
        let len =
            if self.has_pending() { 0 } else { self.connection.writer().write_vectored(parts)? };
        while self.has_pending() {
            match self.connection.write_tls(socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // What is taken will be written; the next call says that the socket is full.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && len > 0 => break,
                Err(error) => return Err(error),
            }
        }
        if len == 0 && !parts.is_empty() && self.connection.is_handshaking() {
            if matches!(self.connection, Connection::Client(_)) {
                // Once the server has answered.
                return Err(io::ErrorKind::WouldBlock.into());
            }
            // Nobody has anything to say to a client that has said nothing yet.
            return Err(io::ErrorKind::NotConnected.into());
        }
        Ok(len)
    }

    pub(in crate::broker) fn has_pending(&self) -> bool {
        self.connection.wants_write()
    }

    /// Says that nothing follows. Whether that is still to be sent.
    pub(in crate::broker) fn close(&mut self) -> bool {
        self.connection.send_close_notify();
        self.has_pending()
    }

    /// The name in the client's certificate, once, when there is one.
    pub(in crate::broker) fn identity(&mut self) -> Option<String> {
        if self.is_identified || self.connection.is_handshaking() {
            return None;
        }
        self.is_identified = true;
        name_in(self.connection.peer_certificates()?.first()?)
    }
}

/// The common name of the subject of a certificate that was verified, or else its first DNS name.
fn name_in(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    common_name(certificate.subject())
        .or_else(|| certificate.valid_dns_names().next().map(str::to_owned))
        .filter(|name| !name.is_empty())
}

/// The common name in a sequence of relative distinguished names (RFC 5280, section 4.1.2.4), each a
/// set of pairs of type and value.
fn common_name(mut names: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    const UTF8_STRING: u8 = 0x0C;
    const PRINTABLE_STRING: u8 = 0x13;
    const IA5_STRING: u8 = 0x16;
    while let Some((0x31, mut set)) = element(&mut names) {
        while let Some((0x30, mut pair)) = element(&mut set) {
            let (_, kind) = element(&mut pair)?;
            let (tag, value) = element(&mut pair)?;
            if kind == COMMON_NAME && matches!(tag, UTF8_STRING | PRINTABLE_STRING | IA5_STRING) {
                return core::str::from_utf8(value).ok().map(str::to_owned);
            }
        }
    }
    None
}

/// Takes one element of DER off the front: its tag and its content.
fn element<'a>(der: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut len = usize::from(first);
    if first >= 0x80 {
        let (bytes, behind) = rest.split_at_checked(usize::from(first & 0x7F))?;
        if bytes.len() > 4 {
            return None;
        }
        len = bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        rest = behind;
    }
    let (content, behind) = rest.split_at_checked(len)?;
    *der = behind;
    Some((tag, content))
}

#[cfg(test)]
mod tests {
    use super::common_name;

    #[test]
    fn the_common_name_is_found_behind_other_names() {
        let name = b"\x31\x0B\x30\x09\x06\x03\x55\x04\x06\x13\x02DE\x31\x0C\x30\x0A\x06\x03\x55\x04\x03\x0C\x03dev";
        assert_eq!(common_name(name).as_deref(), Some("dev"));
        assert_eq!(common_name(&name[..13]), None, "only a country");
        for len in 0..name.len() {
            let _ = common_name(&name[..len]);
        }
    }
}

//! Certificates of an authority that lives as long as a test.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};

/// Writes `ca.pem`, and `NAME.pem` with `NAME.key` for each name, into this folder. Servers and clients
/// are told apart by nothing; the name is the common name of the subject.
pub(crate) fn write(folder: &Path, names: &[&str]) {
    let authority_key = KeyPair::generate().expect("randomness");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name = name("a test's authority");
    let authority = authority.self_signed(&authority_key).expect("a good description");
    let put = |file: String, text: String| {
        fs::write(folder.join(file), text).expect("the temporary folder can be written");
    };
    put("ca.pem".into(), authority.pem());
    for common_name in names {
        let key = KeyPair::generate().expect("randomness");
        let hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(hosts).expect("good names");
        params.distinguished_name = name(common_name);
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate =
            params.signed_by(&key, &authority, &authority_key).expect("a good description");
        put(format!("{common_name}.pem"), certificate.pem());
        put(format!("{common_name}.key"), key.serialize_pem());
    }
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, "motewire");
    name.push(DnType::CommonName, common_name);
    name
}

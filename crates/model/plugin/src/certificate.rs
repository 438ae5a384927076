//! Who a client's certificate says it is. The certificate was verified by then; here its subject is read.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use x509_cert::{
    Certificate,
    der::{Decode as _, oid::db::rfc4519::CN},
};

/// Gives the common name of a certificate's subject.
#[must_use]
pub fn common_name(der: &[u8]) -> Option<String> {
    let certificate = Certificate::from_der(der).ok()?;
    let mut attributes = certificate
        .tbs_certificate
        .subject
        .0
        .iter()
        .flat_map(|names| names.0.iter());
    let name = attributes.find(|attribute| attribute.oid == CN)?;
    String::from_utf8(name.value.value().to_vec()).ok()
}

/// Prints a certificate as PEM.
#[must_use]
pub fn pem(der: &[u8]) -> Vec<u8> {
    let text = BASE64_STANDARD.encode(der);
    let mut out = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in text.as_bytes().chunks(64) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(b"-----END CERTIFICATE-----\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_has_no_name() {
        assert_eq!(common_name(b""), None);
        assert_eq!(common_name(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert!(pem(b"x").starts_with(b"-----BEGIN"));
    }
}

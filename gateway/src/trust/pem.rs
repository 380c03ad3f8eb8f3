//! Certificates as text (RFC 7468). Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const LINE: usize = 64;

/// A certificate as text.
pub(super) fn encode(certificate: &CertificateDer<'_>) -> Vec<u8> {
    let body = STANDARD.encode(certificate);
    let mut text = b"-----BEGIN CERTIFICATE-----\n".to_vec();
    for line in body.as_bytes().chunks(LINE) {
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    text.extend_from_slice(b"-----END CERTIFICATE-----\n");
    text
}

/// A text with another one at its end, which begins on a line of its own.
pub(super) fn append(mut bundle: Vec<u8>, more: &[u8]) -> Vec<u8> {
    if bundle.last().is_some_and(|last| *last != b'\n') {
        bundle.push(b'\n');
    }
    bundle.extend_from_slice(more);
    bundle
}

/// The certificates of a bundle. What is none is left out.
pub(super) fn decode(bundle: &[u8]) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(bundle).filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let certificates: Vec<_> = [0, 1, 47, 48, 49, 1000]
            .into_iter()
            .map(|length| CertificateDer::from(vec![0x30; length]))
            .collect();
        let bundle = certificates
            .iter()
            .fold(b"# roots".to_vec(), |bundle, certificate| append(bundle, &encode(certificate)));
        assert!(bundle.split(|byte| *byte == b'\n').all(|line| line.len() <= LINE));
        assert_eq!(decode(&bundle), certificates);
    }
}

//! Java's own format of stores (JKS, and JCEKS, which differs only where there are keys): a count,
//! entries, and a digest keyed by the password (OpenJDK, sun.security.provider.JavaKeyStore). Pure.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN};
use rustls::pki_types::CertificateDer;

const MAGICS: [[u8; 4]; 2] = [[0xfe, 0xed, 0xfe, 0xed], [0xce, 0xce, 0xce, 0xce]];
const VERSION: [u8; 4] = [0, 0, 0, 2];
const TRUSTED_CERTIFICATE: [u8; 4] = [0, 0, 0, 2];
const KIND: &str = "X.509";
const HEAD: usize = 12;
/// What the digest is whitened with.
const SALT: &[u8] = b"Mighty Aphrodite";

/// A store with one more certificate; `None` if it is no such store. Readers that are given no password
/// check no digest, so that of the old store does not matter.
pub(super) fn extend(
    mut store: Vec<u8>,
    password: &str,
    alias: &str,
    certificate: &CertificateDer<'_>,
) -> Option<Vec<u8>> {
    let (magic, rest) = store.split_first_chunk::<4>()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (count, rest) = rest.split_first_chunk::<4>()?;
    let entries = rest.len().checked_sub(SHA1_OUTPUT_LEN)?;
    if !MAGICS.contains(magic) || *version != VERSION {
        return None;
    }
    let count = u32::from_be_bytes(*count).checked_add(1)?;
    store[HEAD - 4..HEAD].copy_from_slice(&count.to_be_bytes());
    store.truncate(HEAD + entries);
    push(&mut store, alias, certificate)?;
    Some(sign(store, password))
}

/// A new store of certificates, with their numbers for names.
pub(super) fn store(password: &str, certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let size: usize = certificates.iter().map(|certificate| certificate.len() + 64).sum();
    let mut bytes = Vec::with_capacity(HEAD + size + SHA1_OUTPUT_LEN);
    bytes.extend_from_slice(&[MAGICS[0], VERSION, [0; 4]].concat());
    let mut count: u32 = 0;
    for (number, certificate) in certificates.iter().enumerate() {
        count += u32::from(push(&mut bytes, &number.to_string(), certificate).is_some());
    }
    bytes[HEAD - 4..HEAD].copy_from_slice(&count.to_be_bytes());
    sign(bytes, password)
}

/// Adds an entry; nothing if a length does not fit.
fn push(bytes: &mut Vec<u8>, alias: &str, certificate: &CertificateDer<'_>) -> Option<()> {
    let length = u32::try_from(certificate.len()).ok()?;
    let (alias_length, kind_length) = (u16::try_from(alias.len()).ok()?, KIND.len() as u16);
    bytes.extend_from_slice(&TRUSTED_CERTIFICATE);
    bytes.extend_from_slice(&alias_length.to_be_bytes());
    bytes.extend_from_slice(alias.as_bytes());
    // When it was made, in milliseconds; nothing depends on it.
    bytes.extend_from_slice(&0_u64.to_be_bytes());
    bytes.extend_from_slice(&kind_length.to_be_bytes());
    bytes.extend_from_slice(KIND.as_bytes());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(certificate);
    Some(())
}

fn sign(mut bytes: Vec<u8>, password: &str) -> Vec<u8> {
    let mut digest = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    for unit in password.encode_utf16() {
        digest.update(&unit.to_be_bytes());
    }
    digest.update(SALT);
    digest.update(&bytes);
    bytes.extend_from_slice(digest.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extending_one_by_one_is_the_same_as_making() {
        let certificates = [vec![1; 300], vec![2; 5]].map(CertificateDer::from);
        let made = store("changeit", &certificates);
        let empty = store("changeit", &[]);
        let one = extend(empty, "another", "0", &certificates[0]).unwrap();
        assert_eq!(extend(one, "changeit", "1", &certificates[1]), Some(made.clone()));
        assert_eq!(made[..12], [0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 2]);
    }

    #[test]
    fn what_is_no_store_is_refused() {
        let store = store("changeit", &[]);
        let certificate = CertificateDer::from(vec![1]);
        for cut in 0..store.len() {
            assert_eq!(extend(store[..cut].to_vec(), "changeit", "a", &certificate), None);
        }
        assert_eq!(extend(vec![7; 100], "changeit", "a", &certificate), None);
    }
}

//! PKCS#12 stores (RFC 7292), as JDKs since 18 come with: one more certificate is put in a part of its
//! own, which is not encrypted, and the integrity is computed anew where there is any. Pure.

use ring::digest::{self, Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::hmac;
use rustls::pki_types::CertificateDer;

use super::super::der::{
    self, BMP_STRING, CONTEXT_0, INTEGER, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE, SET, element,
};
use super::StoreError;

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
/// Without it, Java takes a certificate for part of a chain and does not trust it.
const TRUSTED_KEY_USAGE: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 0x01, 0x01];
const ANY_USAGE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA2_256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// The block size of both hash functions.
const BLOCK: usize = 64;
/// The purpose of a derived key (RFC 7292, appendix B.3).
const FOR_INTEGRITY: u8 = 3;
/// More is an attack, and a second of work.
const MAX_ITERATIONS: u32 = 1_000_000;

/// A store with one more trusted certificate.
///
/// # Errors
/// It is not understood, or its password is another.
pub(super) fn extend(
    store: &[u8],
    password: &str,
    alias: &str,
    certificate: &CertificateDer<'_>,
) -> Result<Vec<u8>, StoreError> {
    let store = Store::read(store).ok_or(StoreError::Format)?;
    let contents = element(SEQUENCE, &[store.parts, &data(&part(alias, certificate))]);
    let integrity = match store.integrity {
        None => Vec::new(),
        Some(bytes) => {
            let integrity = Integrity::read(bytes).ok_or(StoreError::Format)?;
            if integrity.compute(store.contents, password) != integrity.digest {
                return Err(StoreError::Password);
            }
            integrity.write(&integrity.compute(&contents, password))
        }
    };
    Ok(element(SEQUENCE, &[store.version, &data(&contents), &integrity]))
}

/// A PFX, in the parts that matter.
struct Store<'a> {
    version: &'a [u8],
    /// What the integrity is of.
    contents: &'a [u8],
    /// The same without its header.
    parts: &'a [u8],
    /// The content of the MacData, if there is one.
    integrity: Option<&'a [u8]>,
}

impl<'a> Store<'a> {
    fn read(store: &'a [u8]) -> Option<Store<'a>> {
        let mut fields = der::elements(der::only(store, SEQUENCE)?);
        let version = fields.next().filter(|version| version.tag == INTEGER)?;
        let information = fields.next().filter(|information| information.tag == SEQUENCE)?;
        let (kind, content) = der::split(information.content)?;
        if kind.content != DATA {
            return None;
        }
        let contents = der::only(der::only(content, CONTEXT_0)?, OCTET_STRING)?;
        let parts = der::only(contents, SEQUENCE)?;
        Some(Store {
            version: version.whole,
            contents,
            parts,
            integrity: fields.next().map(|integrity| integrity.content),
        })
    }
}

/// A MacData.
struct Integrity<'a> {
    /// The digest's algorithm, as it is written.
    identifier: &'a [u8],
    algorithm: &'static Algorithm,
    hmac: hmac::Algorithm,
    digest: &'a [u8],
    salt: &'a [u8],
    iterations: u32,
    /// The same as written, or left out.
    iterations_field: &'a [u8],
}

impl<'a> Integrity<'a> {
    fn read(content: &'a [u8]) -> Option<Integrity<'a>> {
        let mut fields = der::elements(content);
        let mut information = der::elements(fields.next()?.content);
        let (identifier, digest) = (information.next()?, information.next()?);
        let (algorithm, hmac) = match der::split(identifier.content)?.0.content {
            SHA1 => (&SHA1_FOR_LEGACY_USE_ONLY, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
            SHA2_256 => (&SHA256, hmac::HMAC_SHA256),
            _ => return None,
        };
        let salt = fields.next()?.content;
        let field = fields.next();
        let iterations = field.map_or(Some(1), |field| {
            (field.content.len() <= 4)
                .then(|| field.content.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
        })?;
        (iterations <= MAX_ITERATIONS && !salt.is_empty()).then_some(Integrity {
            identifier: identifier.whole,
            algorithm,
            hmac,
            digest: digest.content,
            salt,
            iterations,
            iterations_field: field.map_or(&[], |field| field.whole),
        })
    }

    fn compute(&self, contents: &[u8], password: &str) -> Vec<u8> {
        let key = derive(self.algorithm, password, self.salt, self.iterations);
        hmac::sign(&hmac::Key::new(self.hmac, key.as_ref()), contents).as_ref().to_vec()
    }

    fn write(&self, digest: &[u8]) -> Vec<u8> {
        let digest = element(OCTET_STRING, &[digest]);
        let information = element(SEQUENCE, &[self.identifier, &digest]);
        let salt = element(OCTET_STRING, &[self.salt]);
        element(SEQUENCE, &[&information, &salt, self.iterations_field])
    }
}

/// RFC 7292, appendix B.2, for a key as long as one digest.
fn derive(algorithm: &'static Algorithm, password: &str, salt: &[u8], iterations: u32) -> digest::Digest {
    let password: Vec<u8> = password.encode_utf16().chain([0]).flat_map(u16::to_be_bytes).collect();
    let mut input = vec![FOR_INTEGRITY; BLOCK];
    for text in [salt, &password] {
        let length = text.len().next_multiple_of(BLOCK);
        input.extend(text.iter().cycle().take(length));
    }
    let first = digest(algorithm, &input);
    (1..iterations).fold(first, |key, _| digest(algorithm, key.as_ref()))
}

/// A ContentInfo of bytes as they are.
fn data(bytes: &[u8]) -> Vec<u8> {
    let content = element(CONTEXT_0, &[&element(OCTET_STRING, &[bytes])]);
    element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[DATA]), &content])
}

/// SafeContents of one certificate bag.
fn part(alias: &str, certificate: &CertificateDer<'_>) -> Vec<u8> {
    let identifier = |bytes| element(OBJECT_IDENTIFIER, &[bytes]);
    let value = element(CONTEXT_0, &[&element(OCTET_STRING, &[certificate])]);
    let value = element(CONTEXT_0, &[&element(SEQUENCE, &[&identifier(X509), &value])]);
    let alias: Vec<u8> = alias.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let attribute = |kind, value: &[u8]| element(SEQUENCE, &[&identifier(kind), &element(SET, &[value])]);
    let name = attribute(FRIENDLY_NAME, &element(BMP_STRING, &[&alias]));
    let usage = attribute(TRUSTED_KEY_USAGE, &identifier(ANY_USAGE));
    let attributes = element(SET, &[&name, &usage]);
    element(SEQUENCE, &[&element(SEQUENCE, &[&identifier(CERTIFICATE_BAG), &value, &attributes])])
}

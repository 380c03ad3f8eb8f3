//! The run's own certificate authority: made anew for each run, its keys only in memory, and good
//! for no name but the intercepted ones.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use policy::Name;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CidrSubnet, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SerialNumber,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

/// Clocks of clients may be late.
const BEFORE: Duration = Duration::from_secs(2 * 24 * 60 * 60);
/// Longer than any run.
const AFTER: Duration = Duration::from_secs(60 * 24 * 60 * 60);
/// Certificates kept. Rules bound the names of a run; in monitor mode nothing else does.
const MOST_LEAVES: usize = 4096;

/// Certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// rcgen refused the name or could not sign.
    #[error("making a certificate")]
    Certificate(#[from] rcgen::Error),
    /// The TLS library did not take the key.
    #[error("using a certificate's key")]
    Key(#[from] rustls::Error),
    /// The system gave no random numbers.
    #[error("no random numbers")]
    Random,
}

/// Signs certificates for intercepted hosts.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// One key for all hosts: it never leaves the process, so that more would protect nothing.
    key: KeyPair,
    provider: Arc<CryptoProvider>,
    leaves: Mutex<HashMap<Name, Arc<CertifiedKey>>>,
}

impl Authority {
    /// An authority for these names and those below them (RFC 5280 section 4.2.1.10).
    ///
    /// # Errors
    /// The system has no random numbers to give.
    pub fn new<'a>(
        names: impl IntoIterator<Item = &'a Name>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Authority, AuthorityError> {
        let mut params = params(&provider)?;
        let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default();
        let tag: String = serial.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        // The subject is another one in every run, or else clients would mix up the authorities of runs
        // within runs.
        params.distinguished_name.push(DnType::CommonName, format!("cijail-net run {tag}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let mut permitted: Vec<String> = names.into_iter().map(Name::to_string).collect();
        permitted.sort_unstable();
        permitted.dedup();
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: permitted.into_iter().map(GeneralSubtree::DnsName).collect(),
            // What is permitted for names says nothing of addresses.
            excluded_subtrees: vec![
                GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4])),
                GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16])),
            ],
        });
        Ok(Authority {
            issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?,
            key: KeyPair::generate()?,
            provider,
            leaves: Mutex::default(),
        })
    }

    /// What clients must trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.issuer.der()
    }

    /// The certificate of a host, made at its first use.
    ///
    /// # Errors
    /// The name is longer than a certificate can say, or the system has no random numbers to give.
    pub fn leaf(&self, name: &Name) -> Result<Arc<CertifiedKey>, AuthorityError> {
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(leaf) = leaves.get(name) {
            return Ok(leaf.clone());
        }
        let leaf = Arc::new(self.sign(name)?);
        if leaves.len() >= MOST_LEAVES {
            leaves.clear();
        }
        leaves.insert(name.clone(), leaf.clone());
        Ok(leaf)
    }

    fn sign(&self, name: &Name) -> Result<CertifiedKey, AuthorityError> {
        let mut params = params(&self.provider)?;
        params.subject_alt_names = CertificateParams::new([name.to_string()])?.subject_alt_names;
        // A common name has at most 64 characters (RFC 5280 appendix A.1), and nobody has to have one.
        if name.as_str().len() <= 64 {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let key = self.provider.key_provider.load_private_key(key.into())?;
        Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// What all certificates of a run have: their validity, and a serial number of their own, as NSS takes
/// no two of one issuer with the same.
fn params(provider: &CryptoProvider) -> Result<CertificateParams, AuthorityError> {
    let mut serial = [0; 16];
    provider.secure_random.fill(&mut serial).map_err(|_| AuthorityError::Random)?;
    // A positive number without leading zeros.
    serial[0] = serial[0] & 0x7f | 0x40;
    let now = SystemTime::now();
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = (now - BEFORE).into();
    params.not_after = (now + AFTER).into();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::{ServerName, UnixTime};
    use rustls::{RootCertStore, client::WebPkiServerVerifier, client::danger::ServerCertVerifier};

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn authority(names: &[&str]) -> Authority {
        let names: Vec<Name> = names.iter().map(|text| name(text)).collect();
        Authority::new(&names, Arc::new(default_provider())).unwrap()
    }

    fn verify(authority: &Authority, leaf: &CertifiedKey, host: &str) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let provider = Arc::new(default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
        let host = ServerName::try_from(host.to_owned()).unwrap();
        verifier.verify_server_cert(&leaf.cert[0], &[], &host, &[], UnixTime::now()).map(|_| ())
    }

    #[test]
    fn signs_for_intercepted_hosts_only() {
        let authority = authority(&["a.example", "b.example"]);
        for host in ["a.example", "x.b.example"] {
            verify(&authority, &authority.leaf(&name(host)).unwrap(), host).unwrap();
        }
        let foreign = authority.leaf(&name("c.example")).unwrap();
        verify(&authority, &foreign, "c.example").unwrap_err();
        let long = format!("{}.{}.b.example", "x".repeat(60), "y".repeat(60));
        verify(&authority, &authority.leaf(&name(&long)).unwrap(), &long).unwrap();
    }

    #[test]
    fn leaves_are_made_once_and_differ() {
        let authority = authority(&["example"]);
        let (a, b) = (name("a.example"), name("b.example"));
        assert!(Arc::ptr_eq(&authority.leaf(&a).unwrap(), &authority.leaf(&a).unwrap()));
        assert_ne!(authority.leaf(&a).unwrap().cert, authority.leaf(&b).unwrap().cert);
        verify(&authority, &authority.leaf(&a).unwrap(), "b.example").unwrap_err();
    }

    #[test]
    fn runs_do_not_trust_each_other() {
        let (one, other) = (authority(&["a.example"]), authority(&["a.example"]));
        verify(&one, &other.leaf(&name("a.example")).unwrap(), "a.example").unwrap_err();
    }
}

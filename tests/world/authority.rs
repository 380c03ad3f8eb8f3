//! The certificate authority of the miniature internet.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::enter;

static AUTHORITY: OnceLock<Authority> = OnceLock::new();

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Shared by all servers: making keys is the slow part.
    server_key: KeyPair,
    pem: PathBuf,
}

/// One for all tests of the process.
pub(crate) fn authority() -> &'static Authority {
    AUTHORITY.get_or_init(Authority::make)
}

impl Authority {
    fn make() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "The miniature internet's authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pem = enter::scratch().join("authority.pem");
        fs::write(&pem, issuer.pem()).unwrap();
        Self { issuer, server_key: KeyPair::generate().unwrap(), pem }
    }

    /// The certificate, as a file that every user can read.
    pub(crate) fn pem(&self) -> &PathBuf {
        &self.pem
    }

    fn certify(&self, name: &str) -> Arc<CertifiedKey> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&self.server_key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(self.server_key.serialize_der()).unwrap();
        let key = ring::sign::any_supported_type(&key).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

/// Roots for a client that trusts this authority and nobody else.
pub(crate) fn only_root(pem: &str) -> RootCertStore {
    use rustls::pki_types::pem::PemObject;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    roots
}

/// TLS for a server that calls itself `name`, whoever the client asks for.
pub(crate) fn server_config(name: &str) -> Arc<ServerConfig> {
    config(Arc::new(Fixed(authority().certify(name))))
}

/// TLS for a server that has a valid certificate for whatever name it is asked for.
pub(crate) fn impostor_config() -> Arc<ServerConfig> {
    config(Arc::new(Impostor))
}

fn config(resolver: Arc<dyn ResolvesServerCert>) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

#[derive(Debug)]
struct Fixed(Arc<CertifiedKey>);

impl ResolvesServerCert for Fixed {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[derive(Debug)]
struct Impostor;

impl ResolvesServerCert for Impostor {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(authority().certify(hello.server_name().unwrap_or("nobody.test")))
    }
}

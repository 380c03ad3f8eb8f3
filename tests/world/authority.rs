//! The certificate authority of the miniature internet.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::enter;

static AUTHORITY: OnceLock<Authority> = OnceLock::new();
/// Nobody trusts it.
static OTHER: OnceLock<Authority> = OnceLock::new();

/// A certificate that a strict client does not accept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ServerCertificate {
    Expired,
    NotYetValid,
    OtherName,
    UnknownIssuer,
}

pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Shared by all servers: making keys is the slow part.
    server_key: KeyPair,
    pem: PathBuf,
}

/// One for all tests of the process.
pub(crate) fn authority() -> &'static Authority {
    AUTHORITY.get_or_init(|| Authority::make("authority"))
}

/// One that no client trusts by itself.
pub(crate) fn other_authority() -> &'static Authority {
    OTHER.get_or_init(|| Authority::make("other-authority"))
}

impl Authority {
    fn make(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, format!("The miniature internet's {name}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let pem = enter::scratch().join(format!("{name}.pem"));
        fs::write(&pem, issuer.pem()).unwrap();
        Self { issuer, server_key: KeyPair::generate().unwrap(), pem }
    }

    /// The certificate, as a file that every user can read.
    pub(crate) fn pem(&self) -> &PathBuf {
        &self.pem
    }

    /// A client's certificate and key, as a file that every user can read.
    pub(crate) fn client(&self, name: &str) -> PathBuf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pem = enter::scratch().join(format!("client-{name}.pem"));
        fs::write(&pem, certificate.pem() + &key.serialize_pem()).unwrap();
        pem
    }

    fn certify(&self, name: &str) -> Arc<CertifiedKey> {
        self.certify_for(name, (1975, 4096))
    }

    /// For the years from the first on, up to the second.
    fn certify_for(&self, name: &str, (from, to): (i32, i32)) -> Arc<CertifiedKey> {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
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

/// TLS for a server with something wrong about it.
pub(crate) fn faulty_config(name: &str, certificate: ServerCertificate) -> Arc<ServerConfig> {
    config(Arc::new(Fixed(match certificate {
        ServerCertificate::Expired => authority().certify_for(name, (2001, 2002)),
        ServerCertificate::NotYetValid => authority().certify_for(name, (4000, 4096)),
        ServerCertificate::OtherName => authority().certify("somebody-else.test"),
        ServerCertificate::UnknownIssuer => other_authority().certify(name),
    })))
}

/// TLS for a server that speaks HTTP/2 and HTTP/1.
pub(crate) fn http2_config(name: &str) -> Arc<ServerConfig> {
    let mut config = (*server_config(name)).clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// TLS for a server that speaks to clients of this authority only.
pub(crate) fn closed_config(name: &str) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority().issuer.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(Fixed(authority().certify(name))));
    Arc::new(config)
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

//! TLS towards hosts whose requests are judged: verified as a strict client would, and resumed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::Name;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The protocol names of ALPN (RFC 7301).
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";

/// The certificates that hosts are verified with could not be had.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// A file of `--upstream-ca`.
    #[error("reading certificates from {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::pki_types::pem::Error,
    },
    /// The file has none.
    #[error("there is no certificate in {}: it takes PEM, with lines that begin -----BEGIN CERTIFICATE-----", .0.display())]
    Empty(PathBuf),
    /// A certificate cannot be used as a root.
    #[error("a certificate in {} is not usable", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// The machine trusts nobody.
    #[error(
        "this machine has no root certificates, which URL rules need to verify hosts: install ca-certificates, or give --upstream-ca"
    )]
    None,
    /// The TLS library has no safe protocol version.
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
}

/// No TLS with a host.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// Its certificate is over.
    #[error("the host's certificate has expired")]
    Expired,
    /// Its certificate begins later.
    #[error("the host's certificate is not valid yet")]
    NotYetValid,
    /// Nobody whom this machine trusts has signed it.
    #[error(
        "the host's certificate is signed by an authority that this machine does not trust; --upstream-ca FILE adds one"
    )]
    UnknownIssuer,
    /// It is somebody else's.
    #[error("the host's certificate is not for {0}")]
    OtherName(Name),
    /// Anything else.
    #[error("no TLS with the host")]
    Other(#[source] io::Error),
    /// A name that TLS cannot carry.
    #[error("{0} cannot be a server name")]
    Name(Name),
}

/// Verified TLS as one client: with its certificate, if it has one, and sessions to resume.
#[derive(Clone)]
pub struct UpstreamTls {
    only_http1: Arc<ClientConfig>,
    any_http: Arc<ClientConfig>,
}

/// The file of a client certificate cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("reading the client certificate {}: it takes PEM, the certificates and their key in one file", path.display())]
pub struct IdentityError {
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl UpstreamTls {
    /// Trusts whom the machine trusts, who is in its `bundle` if there is one, and `further` certificates. Reads
    /// a few hundred kilobytes.
    ///
    /// # Errors
    /// A certificate is not usable, or there is nobody to trust.
    pub fn new(
        bundle: Option<&Path>,
        further: Vec<Further>,
        provider: Arc<CryptoProvider>,
    ) -> Result<UpstreamTls, RootsError> {
        let mut roots = RootCertStore::empty();
        // What the system has and the library cannot use, other programs cannot use either.
        roots.add_parsable_certificates(machine_roots(bundle));
        for Further { path, certificates } in further {
            for certificate in certificates {
                let unusable = |source| RootsError::Unusable { path: path.clone(), source };
                roots.add(certificate).map_err(unusable)?;
            }
        }
        if roots.is_empty() {
            return Err(RootsError::None);
        }
        let mut only_http1 = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        only_http1.alpn_protocols = vec![HTTP_1.to_vec()];
        let mut any_http = only_http1.clone();
        any_http.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        Ok(UpstreamTls { only_http1: Arc::new(only_http1), any_http: Arc::new(any_http) })
    }

    /// The same, for a client with this certificate and key.
    pub fn with_identity(&self, identity: CertifiedKey) -> UpstreamTls {
        let resolver: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(identity));
        let with = |config: &ClientConfig| {
            let mut config = config.clone();
            config.client_auth_cert_resolver = resolver.clone();
            // A session belongs to whom it was made with.
            config.resumption = Resumption::default();
            Arc::new(config)
        };
        UpstreamTls { only_http1: with(&self.only_http1), any_http: with(&self.any_http) }
    }

    /// Shakes hands with the host of this name; what was agreed on stands in the stream.
    ///
    /// # Errors
    /// The host's certificate does not hold, or the connection broke.
    pub async fn handshake<S>(
        &self,
        stream: S,
        name: &Name,
        http2: bool,
    ) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = if http2 { &self.any_http } else { &self.only_http1 };
        let server =
            ServerName::try_from(name.to_string()).map_err(|_| HandshakeError::Name(name.clone()))?;
        let connected = TlsConnector::from(config.clone()).connect(server, stream).await;
        connected.map_err(|error| explain(error, name))
    }
}

/// Whether HTTP/2 was agreed on.
pub(crate) fn agreed_on_http2(alpn: Option<&[u8]>) -> bool {
    alpn == Some(HTTP_2)
}

/// Further certificates to trust, of one file.
pub struct Further {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
}

impl Further {
    /// Reads a file of `--upstream-ca`.
    ///
    /// # Errors
    /// It cannot be read, or has no certificate.
    pub fn read(path: &Path) -> Result<Further, RootsError> {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|source| RootsError::File { path: path.to_owned(), source })?;
        if certificates.is_empty() {
            return Err(RootsError::Empty(path.to_owned()));
        }
        Ok(Further { path: path.to_owned(), certificates })
    }
}

/// Reads a file with the certificates of a client and their key.
///
/// # Errors
/// The file cannot be read, or has no certificate with its key.
pub fn read_identity(path: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, IdentityError> {
    let read = || {
        let chain = CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>()?;
        if chain.is_empty() {
            return Err("there is no certificate in it".into());
        }
        Ok(CertifiedKey::from_der(chain, PrivateKeyDer::from_pem_file(path)?, provider)?)
    };
    read().map_err(|source| IdentityError { path: path.to_owned(), source })
}

/// Whom the machine trusts: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, or the system's bundle. Where there
/// is a bundle, its certificates are not read once more from a directory.
fn machine_roots(bundle: Option<&Path>) -> Vec<CertificateDer<'static>> {
    let chosen = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| std::env::var_os(name).is_some());
    if !chosen && let Some(bundle) = bundle {
        let found = rustls_native_certs::load_certs_from_paths(Some(bundle), None).certs;
        if !found.is_empty() {
            return found;
        }
    }
    rustls_native_certs::load_native_certs().certs
}

fn explain(error: io::Error, name: &Name) -> HandshakeError {
    let certificate = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(fault)) = certificate else {
        return HandshakeError::Other(error);
    };
    match fault {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => HandshakeError::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            HandshakeError::NotYetValid
        }
        CertificateError::UnknownIssuer => HandshakeError::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            HandshakeError::OtherName(name.clone())
        }
        _ => HandshakeError::Other(error),
    }
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpstreamTls").finish_non_exhaustive()
    }
}

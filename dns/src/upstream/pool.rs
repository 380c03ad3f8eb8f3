//! Connections to resolvers, by hickory: retries, TCP for what is truncated, TLS, HTTPS.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::RetryDnsHandle;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use policy::Resolver;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::AskError;

/// One attempt, retransmissions included.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Attempts after the first one.
const RETRIES: usize = 1;

pub(super) type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

/// Asks these servers; the quicker ones first, two at a time.
pub(super) fn pool(servers: Vec<NameServerConfig>, tls: TlsConfig, in_flight: usize) -> Pool {
    let mut options = ResolverOpts::default();
    options.timeout = ATTEMPT;
    options.max_active_requests = in_flight.max(1);
    options.case_randomization = true;
    let context = Arc::new(PoolContext::new(options, tls));
    let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
    RetryDnsHandle::new(pool, RETRIES)
}

/// UDP, and TCP for what does not fit or looks forged.
pub(super) fn plain(server: SocketAddr) -> NameServerConfig {
    named(server, vec![ProtocolConfig::Udp, ProtocolConfig::Tcp])
}

fn named(server: SocketAddr, protocols: Vec<ProtocolConfig>) -> NameServerConfig {
    let connect = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = server.port();
        connection
    };
    NameServerConfig::new(server.ip(), true, protocols.into_iter().map(connect).collect())
}

/// For servers without TLS: trusts nobody.
pub(super) fn no_tls() -> Result<TlsConfig, AskError> {
    TlsConfig::new().map_err(AskError::Net)
}

/// A resolver of the policy.
pub(super) fn configure(resolver: &Resolver) -> NameServerConfig {
    let protocols = match resolver {
        Resolver::Plain { address } => return plain(*address),
        Resolver::Tls { name, .. } => ProtocolConfig::Tls { server_name: name.as_str().into() },
        Resolver::Https { name, path, .. } => {
            ProtocolConfig::Https { server_name: name.as_str().into(), path: path.as_str().into() }
        }
    };
    named(resolver.address(), vec![protocols])
}

/// Certificates that are trusted.
pub(super) type Roots = Arc<rustls::RootCertStore>;

/// The host's roots and those of these files, which takes milliseconds.
pub(super) fn host_roots(extra: &[PathBuf]) -> Result<Roots, AskError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    for file in extra {
        let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        roots.add_parsable_certificates(read.map_err(|error| AskError::Tls(Arc::new(error)))?);
    }
    match found.errors.into_iter().next() {
        Some(error) if roots.is_empty() => Err(AskError::Tls(Arc::new(error))),
        _ => Ok(Arc::new(roots)),
    }
}

/// TLS that trusts these.
pub(super) fn tls(roots: Roots) -> Result<TlsConfig, AskError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AskError::Tls(Arc::new(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConfig { config })
}

//! TLS that is opened to judge what is inside: the run's own authority towards the job, verified TLS
//! towards the host.

mod authority;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{Name, Policy, Rule};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::upstream::tls::{HTTP_1, HTTP_2, IdentityError, RootsError, UpstreamTls};

pub use authority::{Authority, AuthorityError};

/// What interception needs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum InterceptError {
    /// The run's own authority.
    #[error("making the run's certificate authority")]
    Authority(#[from] AuthorityError),
    /// Whom hosts are verified with.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// A rule's client certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The TLS library has no safe protocol version.
    #[error("setting up TLS")]
    Tls(#[from] rustls::Error),
}

/// Both sides of intercepted TLS, for a whole run.
#[derive(Debug)]
pub struct Intercept {
    authority: Arc<Authority>,
    server: Arc<ServerConfig>,
    anonymous: UpstreamTls,
    /// Clients with certificates, by their files.
    identities: HashMap<PathBuf, UpstreamTls>,
}

impl Intercept {
    /// What the policy's URL rules need; `None` if nothing is to be intercepted. Hosts are verified
    /// with the machine's roots and the certificates of `upstream_ca`.
    ///
    /// # Errors
    /// No roots, or no random numbers.
    pub fn for_policy(policy: &Policy, upstream_ca: &[PathBuf]) -> Result<Option<Intercept>, InterceptError> {
        let patterns = policy.needs_interception().filter_map(Rule::pattern);
        let names: Vec<&Name> = patterns.map(policy::Pattern::base).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let provider = Arc::new(default_provider());
        let authority = Arc::new(Authority::new(names, provider.clone())?);
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Leaves(authority.clone())));
        server.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
        let anonymous = UpstreamTls::new(upstream_ca, provider)?;
        let mut identities = HashMap::new();
        for path in policy.rules().iter().filter_map(identity_file) {
            let identity = anonymous.with_identity(&path)?;
            identities.insert(path, identity);
        }
        Ok(Some(Intercept { authority, server: Arc::new(server), anonymous, identities }))
    }

    /// Files with keys that are not for the job.
    pub fn identity_files(&self) -> impl Iterator<Item = PathBuf> {
        // They have just been read.
        self.identities.keys().filter_map(|path| std::fs::canonicalize(path).ok())
    }

    /// The certificate that the job must trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.authority.certificate()
    }

    /// TLS towards the job.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// TLS towards hosts of a rule, and as whom: the file of the client certificate.
    pub(crate) fn upstream(&self, rule: Option<&Rule>) -> (&UpstreamTls, Option<&Path>) {
        let file = rule.and_then(identity_file);
        match file.as_ref().and_then(|file| self.identities.get_key_value(file)) {
            Some((file, identity)) => (identity, Some(file)),
            None => (&self.anonymous, None),
        }
    }
}

/// Where a rule's client certificate is: beside the file of the rule.
fn identity_file(rule: &Rule) -> Option<PathBuf> {
    let file = rule.client_cert()?;
    let directory = Path::new(rule.origin().source()).parent().unwrap_or(Path::new(""));
    Some(directory.join(file))
}

/// The certificate of the host that the client names.
#[derive(Debug)]
struct Leaves(Arc<Authority>);

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = Name::from_ascii(hello.server_name()?.as_bytes()).ok()?;
        self.0.leaf(&name).ok()
    }
}

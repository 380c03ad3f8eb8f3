//! TLS that is opened to judge what is inside: the run's own authority towards the job, verified TLS
//! towards the host.

mod authority;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use policy::{Name, Policy, Rule};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::upstream::tls::{Further, HTTP_1, HTTP_2, IdentityError, RootsError, UpstreamTls, read_identity};

pub use authority::{Authority, AuthorityError};

/// What `curl -0` offers alone.
const HTTP_1_0: &[u8] = b"http/1.0";

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

/// What a run with URL rules has of interception before its job starts: all but the machine's roots,
/// which take longer to read.
pub struct Outline {
    provider: Arc<CryptoProvider>,
    authority: Authority,
    further: Vec<Further>,
    identities: Vec<(PathBuf, CertifiedKey)>,
}

/// Both sides of intercepted TLS, for a whole run.
#[derive(Debug)]
pub struct Intercept {
    server: Arc<ServerConfig>,
    anonymous: UpstreamTls,
    /// Clients with certificates, by their files.
    identities: HashMap<PathBuf, UpstreamTls>,
}

impl Outline {
    /// What the policy's URL rules need; `None` if nothing is to be intercepted. Hosts will be verified
    /// with the machine's roots and the certificates of `upstream_ca`.
    ///
    /// # Errors
    /// A file of certificates is not usable, or there are no random numbers.
    pub fn for_policy(policy: &Policy, upstream_ca: &[PathBuf]) -> Result<Option<Outline>, InterceptError> {
        let patterns = policy.needs_interception().filter_map(Rule::pattern);
        let names: Vec<&Name> = patterns.map(policy::Pattern::base).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let provider = Arc::new(default_provider());
        let authority = Authority::new(names, provider.clone())?;
        let further = upstream_ca.iter().map(|path| Further::read(path)).collect::<Result<_, _>>()?;
        let mut files: Vec<PathBuf> = policy.rules().iter().filter_map(identity_file).collect();
        files.sort_unstable();
        files.dedup();
        let read = |path: PathBuf| read_identity(&path, &provider).map(|identity| (path, identity));
        let identities = files.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Some(Outline { provider, authority, further, identities }))
    }

    /// The certificate that the job must trust.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        self.authority.certificate()
    }

    /// Files with keys that are not for the job.
    pub fn identity_files(&self) -> impl Iterator<Item = PathBuf> {
        // They have just been read.
        self.identities.iter().filter_map(|(path, _)| std::fs::canonicalize(path).ok())
    }

    /// Reads the machine's roots, which are in `bundle` if it has one.
    ///
    /// # Errors
    /// There are none.
    pub fn complete(self, bundle: Option<&Path>) -> Result<Intercept, InterceptError> {
        let mut server = ServerConfig::builder_with_provider(self.provider.clone())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Leaves(self.authority)));
        server.alpn_protocols = [HTTP_2, HTTP_1, HTTP_1_0].map(<[u8]>::to_vec).into();
        let anonymous = UpstreamTls::new(bundle, self.further, self.provider)?;
        let known = |(path, identity)| (path, anonymous.with_identity(identity));
        let identities = self.identities.into_iter().map(known).collect();
        Ok(Intercept { server: Arc::new(server), anonymous, identities })
    }
}

impl Intercept {
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
struct Leaves(Authority);

impl ResolvesServerCert for Leaves {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = Name::from_ascii(hello.server_name()?.as_bytes()).ok()?;
        self.0.leaf(&name).ok()
    }
}

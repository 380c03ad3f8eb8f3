//! A helper program: a run whose job is to trust an authority that a test has made.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use gateway::app::{self, Plan};
use gateway::audit::{Format, Sinks};
use gateway::upstream::ParentProxies;
use policy::PolicyBuilder;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a command that may reach one host. `user` is empty for the caller.
pub(crate) fn run(authority: &str, host: &str, user: &str, command: &[&str]) -> Result<u8, Failure> {
    let mut rules = PolicyBuilder::new();
    rules.add_allow(host);
    let account = (!user.is_empty()).then(|| app::find_user(user)).transpose()?;
    let env = std::env::vars_os()
        .map(|(name, value)| CString::new([name.into_vec(), value.into_vec()].join(&b'=')));
    let plan = Plan {
        policy: rules.build()?,
        proxies: ParentProxies::from_environment(|_| None)?,
        argv: command.iter().map(|word| CString::new(*word)).collect::<Result<_, _>>()?,
        env: env.collect::<Result<_, _>>()?,
        directory: std::env::current_dir()?,
        authority: Some(CertificateDer::from_pem_slice(&fs::read(Path::new(authority))?)?),
        user: account.map(|account| account.user),
        sinks: Sinks::new("test".to_owned(), Some(Format::Text)),
        quiet: false,
        fail_on_blocked: false,
    };
    Ok(app::run(plan)?)
}

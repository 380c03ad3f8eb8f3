//! What a job may talk to: names, rules and verdicts.
//!
//! This crate is pure: it takes bytes and values and gives back values. It opens no file, asks no
//! clock, writes no log. The gateway and the DNS server are its I/O partners.
//!
//! ```
//! use policy::{Name, PolicyBuilder, Request, Verdict};
//!
//! let mut builder = PolicyBuilder::new();
//! builder.add_file("policy.toml", br#"allow = ["**.example.com", "192.0.2.53:53"]"#);
//! builder.add_deny("internal.example.com");
//! let policy = builder.build()?;
//!
//! let name = Name::parse("www.example.com").expect("a name");
//! let request = Request::Tls { name: &name, port: 443 };
//! assert!(matches!(policy.judge(&request), Verdict::Allow(rule) if rule.text() == "**.example.com"));
//!
//! let request = Request::Tls { name: &name, port: 8443 };
//! let Verdict::Deny(denial) = policy.judge(&request) else { panic!("allowed") };
//! assert_eq!(denial.reason.as_str(), "not-allowed");
//! assert_eq!(request.suggestion().as_deref(), Some("www.example.com:8443"));
//! # Ok::<(), policy::PolicyErrors>(())
//! ```
#![forbid(unsafe_code)]

mod address;
mod advice;
mod builder;
mod engine;
mod error;
mod explain;
mod file;
mod glob;
mod index;
pub mod learn;
mod lint;
mod name;
mod path;
mod pattern;
mod place;
mod ports;
mod reason;
mod request;
mod resolver;
mod rule;
mod set;
mod settings;
mod shared;
mod suggest;
mod target;
mod watch;
mod wildcard;

pub use address::is_private_address;
pub use advice::{Advice, Objection, Opinion, Standing, overrule};
pub use builder::{MAX_POLICY_BYTES, PolicyBuilder};
pub use engine::{Denial, Policy, Verdict};
pub use error::{PolicyError, PolicyErrors};
pub use explain::{Considered, Explanation, Role};
pub use file::keys;
pub use glob::{Glob, GlobError};
pub use lint::{Lint, LintKind, Sharing, lint};
pub use name::{Name, NameError};
pub use path::{PathError, PathPrefix, normalise as normal_path};
pub use pattern::{Pattern, PatternError};
pub use ports::{PortRange, PortSet, Protocol};
pub use reason::Reason;
pub use request::{Request, Scheme};
pub use resolver::{Resolver, ResolverError};
pub use rule::{Effect, Origin, Position, Rule, RuleError, RuleErrorKind};
pub use set::{GITHUB, ReadSet, SetFile, SetText, check_github};
pub use settings::{Answers, DnsSettings, Limits, Mode};
pub use target::{Target, TargetError, parse_target};
pub use watch::Watch;
pub use wildcard::Wildcard;

#[cfg(test)]
mod properties;

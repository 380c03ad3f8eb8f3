//! What a job may talk to: names, rules and verdicts.
//!
//! This crate is pure: it takes bytes and values and gives back values. It opens no file, asks no
//! clock, writes no log. The gateway and the DNS server are its I/O partners.
#![forbid(unsafe_code)]

mod address;
mod builder;
mod engine;
mod error;
mod file;
mod index;
mod name;
mod path;
mod pattern;
mod ports;
mod reason;
mod request;
mod resolver;
mod rule;
mod settings;
mod suggest;

pub use address::is_private_address;
pub use builder::{MAX_POLICY_BYTES, PolicyBuilder};
pub use engine::{Denial, Policy, Verdict};
pub use error::{PolicyError, PolicyErrors};
pub use name::{Name, NameError};
pub use path::{PathError, PathPrefix};
pub use pattern::{Pattern, PatternError};
pub use ports::{PortRange, PortSet, Protocol};
pub use reason::Reason;
pub use request::{Request, Scheme};
pub use resolver::{Resolver, ResolverError};
pub use rule::{Effect, Origin, Position, Rule, RuleError, RuleErrorKind};
pub use settings::{Answers, DnsSettings, Limits, Mode};

//! The gateway's own lookups: addresses to dial for a name that has been decided upon.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::{Name, Reason};

use crate::kind::Kind;
use crate::resolve::{Answer, Failure, Key, Refusal};
use crate::server::Dns;
use crate::wire::wire_name;

/// Why a decided name has no address to dial.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LookupError {
    /// It has addresses, and the policy lets none of them through.
    #[error("every address of {name} is refused: {reason}")]
    Refused {
        /// The name.
        name: Name,
        /// Mostly [`Reason::PrivateAddress`].
        reason: Reason,
        /// What would allow it, as the policy puts it.
        suggestion: Option<String>,
    },
    /// It does not exist, or has no address.
    #[error("{0} has no address")]
    NoAddress(Name),
    /// More questions are upstream than the policy's limits allow; try again later.
    #[error("too many DNS questions at once; see dns-inflight in the policy's limits")]
    Limit,
    /// Upstream gave no answer.
    #[error("could not resolve {name}")]
    Upstream {
        /// The name.
        name: Name,
        /// What went wrong.
        #[source]
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl LookupError {
    /// The word for logs and denial texts.
    pub fn reason(&self) -> Reason {
        match self {
            LookupError::Refused { reason, .. } => *reason,
            LookupError::Limit => Reason::Limit,
            LookupError::NoAddress(_) | LookupError::Upstream { .. } => Reason::UpstreamFailed,
        }
    }
}

impl Dns {
    /// Addresses to dial for a name that has been decided upon, IPv6 first. Asks only if the pins
    /// have no fresh IPv4 address, whichever server they came from; what it finds is pinned.
    /// Addresses that the policy refuses are left out.
    pub async fn addresses(&self, name: &Name) -> Result<Vec<IpAddr>, LookupError> {
        let pinned = self.pins.fresh_addresses_of(name, Instant::now());
        if pinned.iter().any(IpAddr::is_ipv4) { Ok(pinned) } else { self.addresses_of_both(name).await }
    }

    /// Every address to dial for the name: those that are pinned, and those of the family that the job
    /// did not ask for. For when the one that the job chose does not answer.
    pub async fn every_address(&self, name: &Name) -> Vec<IpAddr> {
        let mut all = self.pins.fresh_addresses_of(name, Instant::now());
        let found = self.addresses_of_both(name).await.unwrap_or_default();
        all.extend(found);
        all
    }

    async fn addresses_of_both(&self, name: &Name) -> Result<Vec<IpAddr>, LookupError> {
        let lookup = |kind| self.lookup(Key::new(None, wire_name(name), kind), Some(name));
        let (v6, v4) = tokio::join!(lookup(Kind::AAAA), lookup(Kind::A));
        let mut found = Vec::new();
        for answer in [&v6, &v4] {
            if let Ok(resolved) = &answer.result {
                self.pins.pin(name, &resolved.addresses, answer.expires);
                found.extend_from_slice(&resolved.addresses);
            }
        }
        if found.is_empty() { Err(explain(name, &[&v4, &v6])) } else { Ok(found) }
    }
}

/// The error for a name without addresses, the most telling one first.
fn explain(name: &Name, answers: &[&Arc<Answer>]) -> LookupError {
    let refusal = |answer: &&Arc<Answer>| answer.result.as_ref().ok()?.refusal.clone();
    if let Some(Refusal { reason, suggestion, .. }) = answers.iter().find_map(refusal) {
        return LookupError::Refused { name: name.clone(), reason, suggestion };
    }
    match answers.iter().find_map(|answer| answer.result.as_ref().err()) {
        Some(Failure::Limit) => LookupError::Limit,
        Some(Failure::Upstream(source)) => {
            LookupError::Upstream { name: name.clone(), source: Arc::new(source.clone()) }
        }
        None => LookupError::NoAddress(name.clone()),
    }
}

//! A decision about a connection or a request, and what may still change it. Pure.

use std::net::SocketAddr;

use dns::TooManyNames;
use policy::{
    Advice, Denial, Name, Opinion, Reason, Request, Rule, Standing, Verdict, is_private_address, overrule,
};

use crate::upstream::Destination;

/// A decision about a connection or a request.
#[derive(Debug, Clone)]
pub struct Judged<'p> {
    /// The rule that allows it, or why none does.
    pub verdict: Result<&'p Rule, Denied<'p>>,
    /// Where the bytes go if they are let through.
    pub destination: Destination,
    /// The name that was judged, if there is one; untrusted text.
    pub name: Option<String>,
}

/// Why something is not let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied<'p> {
    /// The reason for logs.
    pub reason: Reason,
    /// The deny rule, if one decided.
    pub rule: Option<&'p str>,
    /// The rule that would allow it.
    pub suggestion: Option<String>,
    /// More about it, for people.
    pub detail: Option<String>,
    /// Whether other rules than the policy's may allow it.
    pub is_open: bool,
}

impl Denied<'_> {
    pub(super) fn new<'p>(denial: Denial<'p>, request: &Request<'_>) -> Denied<'p> {
        Denied {
            is_open: Verdict::Deny(denial).standing(request) == Standing::Open,
            reason: denial.reason,
            rule: denial.rule.map(Rule::text),
            suggestion: denial.suggestion(request),
            detail: None,
        }
    }

    pub(super) fn because(reason: Reason) -> Denied<'static> {
        Denied { reason, rule: None, suggestion: None, detail: None, is_open: false }
    }
}

impl<'p> Judged<'p> {
    /// Whether the name is that of a host, rather than an address or what is no name.
    pub fn is_named(&self) -> bool {
        self.name.as_deref().is_some_and(|name| Name::parse(name).is_ok())
    }

    /// The address that the bytes may go to: its own, or where the job sent them by a name.
    pub fn address(&self, sent: Option<SocketAddr>) -> Option<SocketAddr> {
        match &self.destination {
            Destination::Address(address) => Some(*address),
            Destination::Name { port, .. } => sent.filter(|sent| sent.port() == *port),
        }
    }

    /// Whether only this opinion allows it, and the name is what would be dialled.
    pub fn would_go_by_name(&self, opinion: &Opinion) -> bool {
        let is_open = self.verdict.as_ref().is_err_and(|denied| denied.is_open);
        let is_named = matches!(self.destination, Destination::Name { .. });
        is_open && is_named && opinion.advice == Advice::Allow
    }

    /// The same, but it goes to this address whatever it names, which has to be public.
    pub fn bound_to(self, address: SocketAddr) -> Judged<'p> {
        let verdict = match self.verdict {
            Err(_) if is_private_address(address.ip()) => Err(Denied::because(Reason::PrivateAddress)),
            verdict => verdict,
        };
        Judged { verdict, destination: Destination::Address(address), ..self }
    }

    /// The same, but refused if the name that would be dialled is one too many. `admit` counts it.
    pub fn counted(mut self, admit: impl FnOnce(&Name) -> Result<(), TooManyNames>) -> Judged<'p> {
        if self.verdict.is_ok()
            && let Destination::Name { name, .. } = &self.destination
            && let Err(TooManyNames { suggestion, detail }) = admit(name)
        {
            let (suggestion, detail) = (Some(suggestion), Some(detail));
            self.verdict = Err(Denied { suggestion, detail, ..Denied::because(Reason::Limit) });
        }
        self
    }

    /// The same with the opinion of other rules. `grant` notes a name that only they allow, and may find
    /// that it is one too many.
    pub fn advised(
        mut self,
        opinion: Opinion,
        grant: impl FnOnce(&Name) -> Result<(), TooManyNames>,
    ) -> Judged<'p> {
        let standing = match &self.verdict {
            Ok(_) => Standing::Allowed,
            Err(denied) if denied.is_open => Standing::Open,
            Err(_) => Standing::Closed,
        };
        let Opinion { advice, detail } = opinion;
        match overrule(standing, advice) {
            None => self,
            Some(Verdict::Deny(Denial { reason, rule })) => {
                let rule = rule.map(Rule::text);
                self.verdict = Err(Denied { rule, detail, ..Denied::because(reason) });
                self
            }
            Some(Verdict::Allow(rule)) => {
                self.verdict = Ok(rule);
                self.counted(grant)
            }
        }
    }
}

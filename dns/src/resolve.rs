//! From an allowed name to its records: cache, bound, upstream, filter, pins.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::Query;
use hickory_proto::rr::{Name as WireName, Record, RecordType};
use policy::{Denial, Name, Reason, Request, Verdict};

use crate::answer::filter;
use crate::cache::Expires;
use crate::judge::Judging;
use crate::kind::Kind;
use crate::question::QuestionName;
use crate::record::{Answered, DnsRecord, Outcome};
use crate::response::{FILTERED, NETWORK_ERROR, NO_REACHABLE_AUTHORITY, OTHER, Rcode};
use crate::server::Dns;
use crate::upstream::AskError;

/// The detail of a record that tells what to do about a private address, as no short rule would do.
pub const NEEDS_ALLOW_PRIVATE: &str = "a [[rule]] for the name with allow-private = true lets it resolve";

/// A question to a server, or to the configured resolvers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    server: Option<SocketAddr>,
    query: Query,
}

/// What is known about a question until it expires.
pub(crate) struct Answer {
    pub(crate) result: Result<Resolved, Failure>,
    asked_at: Instant,
    pub(crate) expires: Instant,
}

pub(crate) struct Resolved {
    rcode: Rcode,
    records: Vec<Record>,
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) refusal: Option<Refusal>,
}

/// The first address that the policy refused for the name.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    rule: Option<String>,
    pub(crate) suggestion: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// Too many questions were upstream already.
    Limit,
    Upstream(AskError),
}

impl Key {
    /// In lower case: the case that the job chose would be bits that it sends.
    pub(crate) fn new(server: Option<SocketAddr>, name: WireName, kind: Kind) -> Key {
        Key { server, query: Query::query(name.to_lowercase(), RecordType::from(kind.0)) }
    }

    fn kind(&self) -> Kind {
        Kind(self.query.query_type().into())
    }
}

impl Expires for Answer {
    fn expires(&self) -> Instant {
        self.expires
    }
}

impl Dns {
    pub(crate) async fn ask(&self, judging: Judging<'_>, key: Key) -> Answered {
        let host = match &judging.question.name {
            QuestionName::Host(name) => Some(name),
            QuestionName::Other(_) => None,
        };
        let answer = self.lookup(key, host).await;
        self.finish(judging, &answer)
    }

    /// The response for the job, from an answer that may have waited in the cache.
    pub(crate) fn finish(&self, mut judging: Judging<'_>, answer: &Answer) -> Answered {
        let resolved = match &answer.result {
            Ok(resolved) => resolved,
            Err(failure) => return judging.fail(failure),
        };
        if let Some(refusal) = &resolved.refusal
            && (self.monitors() || resolved.records.is_empty())
        {
            let record = &mut judging.record;
            if record.reason.is_none() {
                record.rule = refusal.rule.clone();
                record.suggestion = refusal.suggestion.clone();
            }
            // Also where the name is not allowed yet: that alone would not help.
            if refusal.reason == Reason::PrivateAddress {
                record.detail.get_or_insert_with(|| NEEDS_ALLOW_PRIVATE.to_owned());
            }
            judging.deny_because(refusal.reason);
            if !self.monitors() {
                return judging.refuse(Rcode::NoError, FILTERED);
            }
        }
        if let QuestionName::Host(name) = &judging.question.name {
            self.pins.pin(name, &resolved.addresses, answer.expires);
        }
        let elapsed = Instant::now().saturating_duration_since(answer.asked_at).as_secs();
        let asked = judging.question.wire_name();
        let records = resolved.records.iter().cloned().map(|mut record| {
            record.ttl = record.ttl.saturating_sub(u32::try_from(elapsed).unwrap_or(u32::MAX));
            if record.name == asked {
                // In the case that this client used, which may differ from the first one's.
                record.name = asked.clone();
            }
            record
        });
        judging.records(resolved.rcode, records.collect())
    }

    /// From the cache, or from upstream; `host` is the name in terms of the policy.
    pub(crate) async fn lookup(&self, key: Key, host: Option<&Name>) -> Arc<Answer> {
        let ask = || self.resolve(&key, host);
        self.cache.get_or_ask(key.clone(), Instant::now(), ask).await
    }

    async fn resolve(&self, key: &Key, host: Option<&Name>) -> Answer {
        let failed = |failure| {
            let now = Instant::now();
            Answer { result: Err(failure), asked_at: now, expires: now }
        };
        let Ok(_slot) = self.slots.try_acquire() else { return failed(Failure::Limit) };
        let reply = match self.upstream.ask(key.server, key.query.clone()).await {
            Ok(reply) => reply,
            Err(error) => return failed(Failure::Upstream(error)),
        };
        let ttl = self.ttl_bounds();
        let passes = |address| self.monitors() || self.refusal(host, address).is_none();
        let filtered = filter(key.query.name(), key.kind(), reply.answers, ttl.clone(), passes);
        let judged = filtered.refused.iter().chain(&filtered.addresses);
        let refusal = judged.copied().find_map(|address| self.refusal(host, address));
        let seconds = match filtered.records.iter().map(|record| record.ttl).min() {
            Some(ttl) => ttl,
            None if refusal.is_some() => *ttl.start(),
            None => reply.negative_ttl.min(*ttl.end()),
        };
        let now = Instant::now();
        Answer {
            result: Ok(Resolved {
                rcode: reply.rcode,
                records: filtered.records,
                addresses: filtered.addresses,
                refusal,
            }),
            asked_at: now,
            expires: now + Duration::from_secs(seconds.into()),
        }
    }

    pub(crate) fn refusal(&self, host: Option<&Name>, address: IpAddr) -> Option<Refusal> {
        let name = host?;
        let request = Request::Resolved { name, address };
        match self.policy.judge(&request) {
            Verdict::Allow(_) => None,
            // A rule for the name would have to say so, as what other rules allow cannot.
            Verdict::Deny(Denial { rule: None, reason: Reason::NotAllowed })
                if policy::is_private_address(address) =>
            {
                Some(Refusal { reason: Reason::PrivateAddress, rule: None, suggestion: request.suggestion() })
            }
            Verdict::Deny(Denial { rule: None, reason: Reason::NotAllowed }) if self.grants.has(name) => None,
            Verdict::Deny(denial) => Some(Refusal {
                reason: denial.reason,
                rule: denial.rule.map(|rule| rule.text().to_owned()),
                suggestion: request.suggestion(),
            }),
        }
    }
}

impl Judging<'_> {
    fn fail(mut self, failure: &Failure) -> Answered {
        // In the words of a library or of the resolver, which are for the log alone.
        let mut cause = None;
        let code = match failure {
            Failure::Limit => {
                self.deny_because(Reason::Limit);
                OTHER
            }
            Failure::Upstream(error) => {
                if self.record.reason.is_none() {
                    self.record.reason = Some(Reason::UpstreamFailed);
                    self.record.detail = Some(error.to_string());
                    cause = error.cause();
                }
                match error {
                    AskError::NoResolver(_) | AskError::Timeout => NO_REACHABLE_AUTHORITY,
                    AskError::Net(_) | AskError::Tls(_) => NETWORK_ERROR,
                    AskError::Code(_) => OTHER,
                }
            }
        };
        let would_deny =
            self.record.verdict == Outcome::WouldDeny && self.record.reason != Some(Reason::Limit);
        let mut answered = self.refuse(Rcode::ServFail, code);
        if would_deny && let Some(record) = &mut answered.record {
            // It was let through, and failed by itself.
            record.verdict = Outcome::WouldDeny;
        }
        if let Some(cause) = cause
            && let Some(DnsRecord { detail: Some(detail), .. }) = &mut answered.record
        {
            *detail = format!("{detail}: {cause}");
        }
        answered
    }
}

//! What is to become of a well-formed question: refused, answered here, or asked upstream.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{RData, Record};
use policy::{Denial, Name, Opinion, Reason, Request, Verdict, overrule};

use crate::asides;
use crate::kind::Kind;
use crate::local;
use crate::question::{Question, QuestionError, QuestionName};
use crate::record::{Answered, DnsRecord, Outcome};
use crate::resolve::Key;
use crate::response::{self, Extended, FILTERED, OTHER, PROHIBITED, Rcode};
use crate::server::Dns;
use crate::wildcards::TooManyNames;
use crate::wire::{self, wire_name};

/// Class IN (RFC 1035 section 3.2.4).
const IN: u16 = 1;
/// Seconds that answers from here hold, within the policy's bounds.
const LOCAL_TTL: u32 = 60;
/// Names in the answer to a reverse question.
const MAX_REVERSE: usize = 16;

/// A question and what has been found out about it.
pub(crate) struct Judging<'a> {
    pub(crate) question: Question<'a>,
    pub(crate) record: DnsRecord,
    /// Octets that the response may have.
    pub(crate) limit: usize,
    /// What other rules say of the name.
    pub(crate) opinion: Opinion,
}

/// What comes next.
pub(crate) enum Step {
    /// Answered without records, with this extended error's code.
    Refuse(Rcode, u16),
    /// Answered here.
    Records(Rcode, Vec<Record>),
    /// Asked upstream.
    Upstream(Key),
}

impl Dns {
    /// The server first, then what is asked, then the name.
    pub(crate) fn judge(&self, judging: &mut Judging<'_>) -> Step {
        let server = judging.record.server;
        let own = self.own.contains(&server.ip().to_canonical());
        let request = Request::DnsServer { server };
        if !own && let Verdict::Deny(denial) = self.policy.judge(&request) {
            judging.deny(&denial, &request);
            if !self.monitors() {
                return Step::Refuse(Rcode::Refused, PROHIBITED);
            }
        }
        let (kind, is_in) = (judging.question.kind, judging.question.class == IN);
        if !is_in || !kind.is_askable() {
            judging.deny_because(Reason::ProtocolNotAllowed);
            // Transfers and other classes are not forwarded in any mode: what comes back is not
            // of the kind that is understood here.
            if !is_in || kind.is_meta() || !self.monitors() {
                judging.record.verdict = Outcome::Deny;
                return Step::Refuse(Rcode::Refused, FILTERED);
            }
        }
        let local = match judging.question.name.clone() {
            QuestionName::Host(name) => self.judge_name(&name, judging),
            QuestionName::Other(name) if self.is_service(&name, judging) => {
                Some(self.aside(judging, "a service"))
            }
            QuestionName::Other(_) => {
                judging.deny_because(Reason::NotAllowed);
                (!self.monitors()).then_some(Step::Refuse(Rcode::NxDomain, FILTERED))
            }
        };
        local.or_else(|| self.synthetic_step(judging)).or_else(|| self.uncounted(judging)).unwrap_or_else(
            || {
                let asked = judging.question.wire_name();
                Step::Upstream(Key::new((!own).then_some(server), asked, kind))
            },
        )
    }

    /// What the rules and the names that are known here make of a name; `None` lets it through.
    fn judge_name(&self, name: &Name, judging: &mut Judging<'_>) -> Option<Step> {
        if local::is_localhost(name) {
            let records = judging.addresses(Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST, self.ttl());
            return Some(Step::Records(Rcode::NoError, records));
        }
        let request = Request::Resolve { name };
        let own = self.policy.judge(&request);
        let overruled = overrule(own.standing(&request), judging.opinion.advice);
        if let Some(Verdict::Allow(_)) = overruled
            && let Err(too_many) = self.grant(name)
        {
            return self.too_many(judging, too_many);
        }
        if overruled.is_some() {
            judging.record.detail = judging.opinion.detail.take();
        }
        let denial = match overruled.unwrap_or(own) {
            Verdict::Allow(rule) => {
                if judging.record.verdict == Outcome::Allow {
                    judging.record.rule = Some(rule.text().to_owned());
                }
                return None;
            }
            Verdict::Deny(denial) => denial,
        };
        if judging.question.kind == Kind::PTR
            && let Some(address) = local::reverse_address(name)
            && let Some(step) = self.reverse(address, judging)
        {
            return Some(step);
        }
        // What a rule denies by name is told.
        if denial.rule.is_none()
            && !self.monitors()
            && let Some(what) =
                self.upstream.asides().of(name, |meant| self.resolves(meant), |meant| self.is_listed(meant))
        {
            return Some(self.aside(judging, what));
        }
        judging.deny(&denial, &request);
        (!self.monitors()).then_some(Step::Refuse(Rcode::NxDomain, FILTERED))
    }

    fn is_service(&self, name: &str, judging: &Judging<'_>) -> bool {
        judging.question.kind == Kind::SRV
            && !self.monitors()
            && asides::service_host(name).is_some_and(|host| self.resolves(&host))
    }

    fn resolves(&self, name: &Name) -> bool {
        self.grants.has(name) || matches!(self.policy.judge(&Request::Resolve { name }), Verdict::Allow(_))
    }

    /// Whether it resolves by itself, rather than as one of many under a wildcard.
    fn is_listed(&self, name: &Name) -> bool {
        self.resolves(name) && self.policy.wildcard_of(name).is_none()
    }

    /// No such name, which is no denial.
    fn aside(&self, judging: &mut Judging<'_>, what: &str) -> Step {
        judging.record.detail = Some(format!("{what}, not asked for"));
        Step::Records(Rcode::NxDomain, Vec::new())
    }

    fn reverse(&self, address: IpAddr, judging: &mut Judging<'_>) -> Option<Step> {
        let names = self.names_of(address);
        if !names.is_empty() {
            return Some(Step::Records(Rcode::NoError, judging.pointers(&names, self.ttl())));
        }
        // Nobody upstream could know (RFC 6303), and a program that looks up its own address is
        // not to be reported.
        if policy::is_private_address(address) {
            return Some(Step::Records(Rcode::NxDomain, Vec::new()));
        }
        // Clients look up whom they may connect to, and go on without a name.
        let is_aside = !self.monitors() && self.policy.may_allow_address(address);
        is_aside.then(|| self.aside(judging, "the name of an allowed address"))
    }

    fn synthetic_step(&self, judging: &mut Judging<'_>) -> Option<Step> {
        let synthetic = self.synthetic.as_ref()?;
        let QuestionName::Host(name) = &judging.question.name else {
            return Some(Step::Records(Rcode::NoError, Vec::new()));
        };
        if ![Kind::A, Kind::AAAA].contains(&judging.question.kind) {
            return Some(Step::Records(Rcode::NoError, Vec::new()));
        }
        let Some((v4, v6)) = synthetic.addresses_of(name) else {
            judging.deny_because(Reason::Limit);
            judging.record.verdict = Outcome::Deny;
            return Some(Step::Refuse(Rcode::ServFail, OTHER));
        };
        Some(Step::Records(Rcode::NoError, judging.addresses(v4, v6, self.ttl())))
    }

    /// Refuses a name that is one too many under its wildcard; `None` lets it through.
    fn uncounted(&self, judging: &mut Judging<'_>) -> Option<Step> {
        let QuestionName::Host(name) = &judging.question.name else { return None };
        let too_many = self.admit(name).err()?;
        self.too_many(judging, too_many)
    }

    fn too_many(&self, judging: &mut Judging<'_>, too_many: TooManyNames) -> Option<Step> {
        let TooManyNames { suggestion, detail } = too_many;
        if judging.record.reason.is_none() {
            judging.record.rule = None;
            judging.record.suggestion = Some(suggestion);
            judging.record.detail = Some(detail);
        }
        judging.deny_because(Reason::Limit);
        (!self.monitors()).then_some(Step::Refuse(Rcode::NxDomain, FILTERED))
    }

    /// Seconds that answers from here hold.
    fn ttl(&self) -> u32 {
        let bounds = self.ttl_bounds();
        LOCAL_TTL.clamp(*bounds.start(), *bounds.end())
    }
}

impl Judging<'_> {
    /// Notes a denial; the first one counts. In monitor mode the question goes on.
    pub(crate) fn deny(&mut self, denial: &Denial<'_>, request: &Request<'_>) {
        if self.record.reason.is_none() {
            self.record.rule = denial.rule.map(|rule| rule.text().to_owned());
            self.record.suggestion = denial.suggestion(request);
        }
        self.deny_because(denial.reason);
    }

    /// Notes a denial that no rule decides.
    pub(crate) fn deny_because(&mut self, reason: Reason) {
        self.record.reason.get_or_insert(reason);
        self.record.verdict = Outcome::WouldDeny;
    }

    /// Ends without records, and says why to clients that understand it.
    pub(crate) fn refuse(mut self, rcode: Rcode, code: u16) -> Answered {
        if self.record.verdict == Outcome::WouldDeny {
            self.record.verdict = Outcome::Deny;
        }
        let response = match self.record.reason.filter(|_| self.question.edns.is_some()) {
            Some(reason) => {
                let detail =
                    self.record.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
                let text = match &self.record.suggestion {
                    Some(suggestion) => {
                        format!("cijail-net: {reason}{detail}; to allow: --allow {suggestion}")
                    }
                    None => format!("cijail-net: {reason}{detail}"),
                };
                response::bare(&self.question, rcode, Some(Extended { code, text: &text }), self.limit)
            }
            None => response::bare(&self.question, rcode, None, self.limit),
        };
        Answered { response: Some(response), record: Some(self.record) }
    }

    /// Ends with records, if they fit.
    pub(crate) fn records(mut self, rcode: Rcode, records: Vec<Record>) -> Answered {
        let response = wire::with_records(&self.question, rcode, &records, self.limit);
        if response.is_none() {
            self.deny_because(Reason::Limit);
            return self.refuse(Rcode::ServFail, OTHER);
        }
        Answered { response, record: Some(self.record) }
    }

    fn addresses(&self, v4: Ipv4Addr, v6: Ipv6Addr, ttl: u32) -> Vec<Record> {
        let data = match self.question.kind {
            Kind::A => RData::A(A(v4)),
            Kind::AAAA => RData::AAAA(AAAA(v6)),
            _ => return Vec::new(),
        };
        vec![Record::from_rdata(self.question.wire_name(), ttl, data)]
    }

    fn pointers(&self, names: &[Name], ttl: u32) -> Vec<Record> {
        let names = names.iter().take(MAX_REVERSE);
        let record = |name| Record::from_rdata(self.question.wire_name(), ttl, RData::PTR(PTR(name)));
        names.map(|name| record(wire_name(name))).collect()
    }
}

impl Answered {
    /// To what cannot be judged at all.
    pub(crate) fn malformed(error: QuestionError, asked: SocketAddr) -> Answered {
        let (response, reason) = match error {
            QuestionError::NotAQuery => (None, Reason::Malformed),
            QuestionError::Malformed(head) => (Some((head, Rcode::FormErr)), Reason::Malformed),
            QuestionError::Opcode(head) => (Some((head, Rcode::NotImp)), Reason::ProtocolNotAllowed),
            QuestionError::EdnsVersion(head) => (Some((head, Rcode::BadVers)), Reason::ProtocolNotAllowed),
        };
        let record = DnsRecord {
            name: None,
            qtype: None,
            server: asked,
            verdict: Outcome::Deny,
            reason: Some(reason),
            rule: None,
            suggestion: None,
            detail: None,
        };
        let response = response.map(|(head, rcode)| response::headless(head, rcode));
        Answered { response, record: Some(record) }
    }
}

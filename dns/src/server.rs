//! Judges each question and brings the parts together: `question` in, `response` out.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use policy::{Answers, Mode, Name, Opinion, Policy};
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::grants::Grants;
use crate::judge::{Judging, Step};
use crate::pins::Pins;
use crate::question::parse;
use crate::record::{Answered, DnsRecord, Outcome};
use crate::resolve::{Answer, Key};
use crate::response::{self, Rcode, Transport};
use crate::synthetic::Synthetic;
use crate::unasked::Unasked;
use crate::upstream::{HostFiles, Upstream};
use crate::wildcards::{TooManyNames, Wildcards};

/// A name that never resolves, in no mode, and leaves no record: asking for it proves that the
/// job's DNS ends here.
pub const PROBE_NAME: &str = "probe.cijail-net.invalid";

/// What the record says of a question that came to no answer.
const UNANSWERED: &str = "nobody waited for the answer";

/// Answers that are kept within their time to live.
const CACHED: usize = 1024;

/// The DNS of one run: judges, resolves, remembers.
///
/// In monitor mode what would be denied passes, and its record says so: names that no rule allows,
/// also those that are no host names, private addresses, types that are not askable, and servers
/// that may not be asked (that very server answers). Transfers, classes other than IN and what is
/// malformed are refused in both modes.
pub struct Dns {
    pub(crate) policy: Arc<Policy>,
    pub(crate) own: Vec<IpAddr>,
    pub(crate) pins: Pins,
    pub(crate) wildcards: Wildcards,
    pub(crate) grants: Grants,
    unasked: Unasked,
    pub(crate) synthetic: Option<Synthetic>,
    pub(crate) cache: Cache<Key, Answer>,
    pub(crate) upstream: Upstream,
    /// Questions that may be upstream at the same time.
    pub(crate) slots: Semaphore,
}

/// What becomes of a message.
enum Decision<'a> {
    Done(Answered),
    /// To be resolved.
    Ask(Judging<'a>, Key),
}

impl Dns {
    /// `own` are the gateway's addresses at which every job may ask. Reads the host's files.
    pub fn new(policy: Arc<Policy>, own: Vec<IpAddr>, files: HostFiles) -> Dns {
        let (limits, settings) = (policy.limits(), policy.dns());
        let synthetic = settings.answers == Answers::Synthetic;
        Dns {
            own,
            pins: Pins::new(limits.pins),
            wildcards: Wildcards::default(),
            grants: Grants::default(),
            unasked: Unasked::default(),
            synthetic: synthetic.then(|| Synthetic::new(limits.pins)),
            cache: Cache::new(CACHED),
            upstream: Upstream::new(files, settings.resolvers.clone(), limits.dns_inflight),
            slots: Semaphore::new(limits.dns_inflight),
            policy,
        }
    }

    /// Answers a message that the job sent to `asked`.
    pub async fn answer(&self, query: &[u8], asked: SocketAddr, transport: Transport) -> Answered {
        self.answer_advised(query, asked, transport, Opinion::default()).await
    }

    /// The same where other rules than the policy's have been asked about the name: see [`name_of`].
    ///
    /// [`name_of`]: crate::question::name_of
    pub async fn answer_advised(
        &self,
        query: &[u8],
        asked: SocketAddr,
        transport: Transport,
        opinion: Opinion,
    ) -> Answered {
        match self.decide(query, asked, transport, opinion) {
            Decision::Done(answered) => answered,
            Decision::Ask(judging, key) => self.ask(judging, key).await,
        }
    }

    /// The answer if nothing has to be waited for: denials, malformed messages, local names,
    /// synthetic and cached answers.
    ///
    /// # Errors
    /// Upstream has to be asked: [`Dns::answer_advised`] is to be called, and this is the record if nobody waits
    /// for what it brings.
    pub fn answer_now(
        &self,
        query: &[u8],
        asked: SocketAddr,
        transport: Transport,
        opinion: Opinion,
    ) -> Result<Answered, Box<DnsRecord>> {
        match self.decide(query, asked, transport, opinion) {
            Decision::Done(answered) => Ok(answered),
            Decision::Ask(judging, _) => {
                let detail = Some(UNANSWERED.to_owned());
                Err(Box::new(DnsRecord { detail, ..judging.record }))
            }
        }
    }

    /// The names that an address stands for: the one it was made for, or all that resolved to it, or would without
    /// a question.
    pub fn names_of(&self, address: IpAddr) -> Vec<Name> {
        if let Some(name) = self.synthetic_name(address) {
            return vec![name];
        }
        let mut names = self.pins.names_of(address);
        let unasked = self.unasked.names(address, self.upstream.names_of(address), |name| {
            // In monitor mode others pass as well. A private address passes as itself, as a rule for its name would not
            // let it.
            self.refusal(Some(name), address).is_none()
                || (self.monitors() && !policy::is_private_address(address))
        });
        for name in &*unasked {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Notes that a name is about to be asked for or dialled, see [`Wildcards::admit`].
    ///
    /// # Errors
    /// Too many other names of the same wildcard rule have been.
    pub fn admit(&self, name: &Name) -> Result<(), TooManyNames> {
        self.wildcards.admit(&self.policy, name)
    }

    /// Notes that other rules than the policy's let a name be used: it resolves then, to public addresses.
    ///
    /// # Errors
    /// Too many other names have been, as many as a wildcard may have.
    pub fn grant(&self, name: &Name) -> Result<(), TooManyNames> {
        self.grants.grant(name, self.policy.limits().wildcard_names)
    }

    /// The name that a synthetic address was made for.
    pub fn synthetic_name(&self, address: IpAddr) -> Option<Name> {
        self.synthetic.as_ref()?.name_of(address)
    }

    /// Seconds that an answer may hold.
    pub(crate) fn ttl_bounds(&self) -> RangeInclusive<u32> {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
        let settings = self.policy.dns();
        let least = seconds(settings.ttl_min);
        least..=seconds(settings.ttl_max).max(least)
    }

    pub(crate) fn monitors(&self) -> bool {
        self.policy.mode() == Mode::Monitor
    }

    fn decide<'a>(
        &self,
        query: &'a [u8],
        asked: SocketAddr,
        transport: Transport,
        opinion: Opinion,
    ) -> Decision<'a> {
        let question = match parse(query) {
            Ok(question) => question,
            Err(error) => return Decision::Done(Answered::malformed(error, asked)),
        };
        let limit = response::size_limit(question.edns, transport);
        if question.name.as_str() == PROBE_NAME {
            let response = response::bare(&question, Rcode::NxDomain, None, limit);
            return Decision::Done(Answered { response: Some(response), record: None });
        }
        let record = DnsRecord {
            name: Some(question.name.as_str().to_owned()),
            qtype: Some(question.kind),
            server: asked,
            verdict: Outcome::Allow,
            reason: None,
            rule: None,
            suggestion: None,
            detail: None,
        };
        let mut judging = Judging { question, record, limit, opinion };
        match self.judge(&mut judging) {
            Step::Refuse(rcode, code) => Decision::Done(judging.refuse(rcode, code)),
            Step::Records(rcode, records) => Decision::Done(judging.records(rcode, records)),
            Step::Upstream(key) => match self.cache.peek(&key, Instant::now()) {
                Some(answer) => Decision::Done(self.finish(judging, &answer)),
                None => Decision::Ask(judging, key),
            },
        }
    }
}

//! HTTP, inside intercepted TLS or without: every request on the connection is judged by itself and
//! sent on by hyper, so that both sides agree where it ends.

mod activity;
mod answer;
mod body;
mod budget;
mod forward;
mod head;
mod io;
mod pool;
mod record;
mod serve;
mod upstream;

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::EXPECT;
use hyper::{Request, Response, Version};
use policy::{Mode, Name, Reason, Scheme};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::judge::Target;
use super::judged::{Denied, Judged};
use super::report::Report;
use super::tls::{MOST_REQUESTS, Secure};
use super::{Connection, Context};
use crate::audit::{Kind, Origin, Outcome, hold};
use crate::rego::{Protocol, Question};
use crate::sniff::authority::{Authority, Host};
use crate::upstream::Destination;

use activity::Busy;
use answer::{failure, refusal};
use body::Body;
use budget::{Budget, TooMuch};
use head::Asked;
use record::Record;
use upstream::{Upstream, Way};

pub use budget::Budgets;
pub(super) use io::Prefixed;
pub(crate) use pool::Pool;

/// Header fields in one head, far above what honest servers send.
const MAX_HEADERS: usize = 1000;

/// Octets that are kept of either side when the other takes nothing; a head has to fit too.
const MAX_BUFFER: usize = 64 * 1024;

/// Streams of the job at once on one HTTP/2 connection, as most servers have it.
const MAX_STREAMS: u32 = 128;

/// Octets that the job may send on one HTTP/2 connection while its host takes nothing.
const MAX_WINDOW: u32 = 256 * 1024;

/// Streams that the job may open and reset before the gateway has looked at them.
const MAX_RESETS: usize = 32;

/// How long what follows a denied head is read.
const HEARING: Duration = Duration::from_secs(5);

/// Why a request did not reach the other side.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What the requests of one connection share.
pub(super) struct Session {
    context: Context,
    original_dst: std::net::SocketAddr,
    names: Vec<Name>,
    synthetic: bool,
    tunnel: Option<Name>,
    /// The TLS around the requests.
    secure: Option<Secure>,
    /// Whose the connection is.
    origin: Option<Origin>,
    job: Arc<TcpStream>,
    /// The record of the connection, until a request has one.
    unasked: std::sync::Mutex<Option<Report>>,
    /// The connection that the last request of HTTP/1 went to: some servers remember on it who asks.
    upstream: Mutex<Option<Upstream>>,
}

impl Session {
    /// What is known of the connection; `secure` if the requests are inside TLS.
    pub(super) fn new(connection: Connection<'_>, secure: Option<Secure>) -> Session {
        // From here on each request body is an upload of its own.
        let Connection { context, stream, original_dst, names, synthetic, tunnel, upload, origin, .. } =
            connection;
        drop(upload);
        Session {
            context: context.clone(),
            original_dst,
            names,
            synthetic,
            tunnel,
            secure,
            origin,
            job: Arc::new(stream),
            unasked: std::sync::Mutex::default(),
            upstream: Mutex::new(None),
        }
    }

    /// Leaves the record of the connection to its requests, if there are any.
    pub(super) fn told_by_requests(&mut self, mut report: Report) {
        report.detail("no request was made");
        self.unasked = std::sync::Mutex::new(Some(report));
    }

    /// The job's side, for who reads it.
    pub(super) fn job(&self) -> Arc<TcpStream> {
        self.job.clone()
    }

    /// From here on requests have the records.
    fn begin_records(&self) {
        if let Some(report) = self.unasked.lock().unwrap_or_else(PoisonError::into_inner).take() {
            report.withdraw();
        }
    }

    fn report(&self, judged: &Judged<'_>, started: Instant) -> Report {
        let (audit, mode) = (&self.context.audit, self.context.policy.mode());
        Report::new(audit, mode, Kind::Http, self.original_dst, judged, started, self.origin.as_ref())
    }

    fn scheme(&self) -> Scheme {
        if self.secure.is_some() { Scheme::Https } else { Scheme::Http }
    }

    async fn respond(&self, request: Request<Incoming>, mut busy: Busy) -> Response<Body> {
        let started = Instant::now();
        self.begin_records();
        let mut asked = Asked::read(&request, self.scheme(), self.original_dst.port());
        if let Some(Authority { host: Host::Name(name), .. }) = &mut asked.authority
            && let Some(full) = self.target().full_name(&self.context.policy, name)
        {
            *name = full.clone();
        }
        let mut judged = self.judge(&asked).await;
        let budget = judged.verdict.as_ref().ok().and_then(|rule| self.context.budgets.of(rule));
        if let Some(Err(too_much)) = budget.as_ref().map(|budget| affords(budget, &request, &asked)) {
            judged.verdict =
                Err(Denied { detail: Some(too_much.to_string()), ..Denied::because(Reason::Limit) });
        }
        if let Some(secure) = &self.secure
            && request.version() == Version::HTTP_2
            && !busy.takes(&secure.interception.requests)
        {
            let detail = Some(format!("more than {MOST_REQUESTS} HTTP/2 requests at once"));
            judged.verdict = Err(Denied { detail, ..Denied::because(Reason::Limit) });
        }
        let mode = self.context.policy.mode();
        let mut report = self.report(&judged, started);
        report.request(asked.method.as_str(), asked.url());
        // What two implementations could read differently is never sent on, in no mode.
        if let Some(fault) = asked.fault {
            report.detail(fault);
            report.refused();
        }
        let version = request.version();
        if !report.passes() {
            hear_out(request);
            hold(self.origin.as_ref(), Outcome::Deny).await;
            return refusal(&asked, &report, version);
        }
        let budget = budget.filter(|_| mode == Mode::Enforce);
        let destination = self.way_through(&judged, &asked);
        let way = Way::new(&self.context, self.secure.as_ref(), destination, judged.verdict.ok());
        let record = Record::of(report);
        let forwarded = self.forward(request, &asked, &way, budget.clone(), &record, busy).await;
        hold(self.origin.as_ref(), Outcome::Allow).await;
        match forwarded {
            Ok(response) => response,
            Err(mut unreached) => {
                if let Some(too_much) = budget.and_then(|budget| budget.exceeded()) {
                    unreached = (Reason::Limit, too_much.into());
                }
                let (reason, error) = unreached;
                record.with(|report| {
                    report.failed(reason, &*error);
                    failure(&asked, report, &*error, version)
                })
            }
        }
    }

    fn target(&self) -> Target<'_> {
        Target {
            original_dst: self.original_dst,
            names: &self.names,
            tunnel: self.tunnel.as_ref(),
            server_name: self.secure.as_ref().map(|secure| &secure.name),
            synthetic: self.synthetic,
        }
    }

    async fn judge(&self, asked: &Asked) -> Judged<'_> {
        let (policy, authority) = (&self.context.policy, asked.authority.as_ref());
        let method = asked.method.as_str();
        let mut judged = self.target().http(policy, asked.scheme, authority, asked.port, method, &asked.path);
        if let Some(reason) = asked.reason {
            judged.verdict = Err(Denied::because(reason));
        }
        let judged_name = judged.name.clone().filter(|_| judged.is_named());
        let question = || Question {
            name: judged_name,
            port: Some(asked.port),
            method: Some(method.to_owned()),
            url: Some(asked.normal_url()),
            ..Question::new(Protocol::Http)
        };
        let sent = (self.tunnel.is_none() && !self.synthetic).then_some(self.original_dst);
        let judged = self.context.advised(judged, self.origin.as_ref(), sent, question).await;
        judged.counted(|name| self.context.dns.admit(name))
    }

    /// Where a request that passes goes. What only monitor mode lets through goes where the job sent it,
    /// as it would without us.
    fn way_through(&self, judged: &Judged<'_>, asked: &Asked) -> Destination {
        match (&judged.verdict, &self.secure) {
            (Err(_), Some(secure)) => secure.destination.clone(),
            (Err(_), None) if !self.synthetic && self.tunnel.is_none() && !asked.absolute => {
                Destination::Address(self.original_dst)
            }
            _ => judged.destination.clone(),
        }
    }
}

/// Whether a request may begin: its length fits, if it says one, and nothing else will follow it.
fn affords(budget: &Budget, request: &Request<Incoming>, asked: &Asked) -> Result<(), TooMuch> {
    budget.has(if asked.upgrade { u64::MAX } else { request.body().size_hint().lower() })
}

/// Reads on for a moment: many clients read no answer before they have sent everything, and a stream that is
/// cut off below them is an error to them. Who waits to be told to send (which HTTP/1 does with the first read)
/// gets the answer instead.
fn hear_out(request: Request<Incoming>) {
    let waits = request.version() < Version::HTTP_2 && request.headers().contains_key(EXPECT);
    if waits || request.body().is_end_stream() {
        return;
    }
    let mut body = request.into_body();
    tokio::spawn(tokio::time::timeout(HEARING, async move { while let Some(Ok(_)) = body.frame().await {} }));
}

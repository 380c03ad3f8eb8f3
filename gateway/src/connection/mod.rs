//! One TCP connection of the job: sniff, judge, act, record.

mod denial;
mod http;
pub mod judge;
mod report;
mod sniffing;
mod tentative;
mod tls;

use std::future::ready;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dns::Dns;
use policy::{Advice, Mode, Name, Policy, Reason};
use tokio::net::TcpStream;

use crate::audit::{Audit, Kind, Origin};
use crate::rego::{Protocol, Question, Rego};
use crate::relay::{Upload, Uploads, relay, reset, send_all, write_all};
use crate::sniff::authority::{Authority, Host};
use crate::sniff::client_hello::ServerName;
use crate::sniff::target::Target as HttpTarget;
use crate::sniff::{Opening, Protocol as Spoken, RequestHead, Sniff, opening};
use crate::upstream::{Destination, Dialer};
use crate::who::Who;

use judge::{Judged, Target};
use report::Report;
use sniffing::{Patience, Sniffed, sniff};

pub use http::Budgets;
pub(crate) use report::chain;
pub use tls::Interception;

/// How long a job that may send opaque bytes is waited for before the other side may speak.
const TENTATIVE: Patience =
    Patience { first: Duration::from_millis(30), pause: Some(Duration::from_millis(100)) };
/// What is wrong with a head that never ends.
const CUT: &str = "ended within its first message";
/// How long each byte to an address that stands for no allowed host is waited for.
const HOPELESS: Duration = Duration::from_millis(300);

/// A connection that capture brings.
#[derive(Debug)]
pub struct Accepted {
    /// The job's side.
    pub stream: TcpStream,
    /// Whom the job meant.
    pub original_dst: SocketAddr,
    /// The job's own address.
    pub peer: SocketAddr,
    /// Dropped when all that the job said is on its way.
    pub upload: Upload,
}

/// What all connections of a run share.
#[derive(Clone)]
pub struct Context {
    /// The rules.
    pub policy: Arc<Policy>,
    /// Names and their addresses.
    pub dns: Arc<Dns>,
    /// The way out.
    pub dialer: Dialer,
    /// The log.
    pub audit: Audit,
    /// Who knows which program in the job it is.
    pub who: Who,
    /// What the job's end waits for.
    pub uploads: Uploads,
    /// What may still be uploaded under rules with a limit.
    pub budgets: Arc<Budgets>,
    /// What URL rules inside TLS take; `None` if there are none.
    pub interception: Option<Arc<Interception>>,
    /// Rules beside the policy's; `None` if there are none.
    pub rego: Option<Arc<Rego>>,
}

impl Context {
    /// The verdict with what the rules beside the policy's say to the question. `sent` is the address that
    /// the job sent to, if it is one.
    async fn advised<'p>(
        &self,
        judged: Judged<'p>,
        origin: Option<&Origin>,
        sent: Option<SocketAddr>,
        question: impl FnOnce() -> Question,
    ) -> Judged<'p> {
        let Some(rego) = &self.rego else { return judged };
        let address = judged.address(sent);
        let nowhere = question();
        let question = Question { address: address.map(|address| address.ip()), ..nowhere.clone() };
        let opinion = rego.advise(question, origin).await;
        let judged = match address {
            // The name was the job's to choose, so what is allowed for the address goes nowhere else.
            Some(address)
                if judged.would_go_by_name(&opinion)
                    && rego.advise(nowhere, origin).await.advice != Advice::Allow =>
            {
                judged.bound_to(address)
            }
            _ => judged,
        };
        judged.advised(opinion, |name| self.dns.grant(name))
    }
}

/// A connection and what is known about where it goes.
struct Connection<'a> {
    context: &'a Context,
    stream: TcpStream,
    original_dst: SocketAddr,
    names: Vec<Name>,
    synthetic: bool,
    /// The host of a CONNECT that encloses what is read now.
    tunnel: Option<Name>,
    /// What is read now is inside a CONNECT.
    tunnelled: bool,
    upload: Option<Upload>,
    /// Whose the connection is.
    origin: Option<Origin>,
    started: Instant,
}

/// Serves a connection to its end.
pub async fn serve(context: &Context, accepted: Accepted) {
    let Accepted { stream, original_dst, peer, upload } = accepted;
    // At once, as the program may end at any time.
    let origin = context.who.connected(peer, original_dst);
    // Requests and answers are small and each is waited for; the relay writes whole reads.
    let _ = stream.set_nodelay(true);
    let names = context.dns.names_of(original_dst.ip());
    let synthetic = context.dns.synthetic_name(original_dst.ip()).is_some();
    let connection = Connection {
        context,
        stream,
        original_dst,
        names,
        synthetic,
        tunnel: None,
        tunnelled: false,
        upload: Some(upload),
        origin,
        started: Instant::now(),
    };
    connection.run(Vec::new()).await;
}

impl Connection<'_> {
    fn target(&self) -> Target<'_> {
        Target {
            original_dst: self.original_dst,
            names: &self.names,
            tunnel: self.tunnel.as_ref(),
            server_name: None,
            synthetic: self.synthetic,
        }
    }

    /// Reads what the job says first and hands over; `received` came before, from the same stream.
    async fn run(self, received: Vec<u8>) {
        let policy = &*self.context.policy;
        let judged = self.advised(self.target().opaque(policy), Protocol::Tcp).await;
        // In monitor mode everything passes, so that anything may be opaque.
        let opaque = policy.mode() == Mode::Monitor || judged.verdict.is_ok();
        let named = self.target().may_be_named(policy)
            || (self.context.rego.is_some() && !(self.names.is_empty() && self.tunnel.is_none()));
        let patience = match (opaque, named) {
            (true, _) => TENTATIVE,
            (false, true) => Patience { first: policy.limits().idle_timeout, pause: None },
            (false, false) => Patience { first: HOPELESS, pause: Some(HOPELESS) },
        };
        match sniff(&self.stream, received, policy.limits(), patience).await {
            Sniffed::Quiet(received) if opaque => self.tentative(judged, received).await,
            Sniffed::Ended(received) if cut_head(&received) => self.malformed(CUT, received).await,
            Sniffed::Ended(received) if opaque => self.pass(Kind::Tcp, judged, received, None).await,
            // A connection that was only tried needs no word if it could have been used.
            Sniffed::Ended(received) if received.is_empty() && named => {}
            Sniffed::Quiet(_) | Sniffed::Ended(_) => {
                self.refuse(Kind::Tcp, &judged, "nothing that tells a protocol was sent").await;
            }
            Sniffed::Protocol(protocol, received) => self.speak(protocol, judged, received).await,
            Sniffed::Malformed(why, received) => self.malformed(why, received).await,
            Sniffed::Limit(why, received) => self.too_much(why, received).await,
            // As with one that was only tried.
            Sniffed::Broken if opaque || named => {}
            Sniffed::Broken => self.refuse(Kind::Tcp, &judged, "reset before anything was said").await,
        }
    }

    /// The verdict with what the rules beside the policy's say to it.
    async fn advised<'p>(&self, judged: Judged<'p>, protocol: Protocol) -> Judged<'p> {
        let known = || self.tunnel.as_ref().or(self.names.first()).map(Name::to_string);
        let name = judged.name.clone().filter(|_| judged.is_named()).or_else(known);
        let question = || Question { name, port: Some(self.original_dst.port()), ..Question::new(protocol) };
        // Not in a tunnel, and not where it stands for a name.
        let sent = (self.tunnel.is_none() && !self.synthetic).then_some(self.original_dst);
        self.context.advised(judged, self.origin.as_ref(), sent, question).await
    }

    async fn malformed(self, why: &'static str, received: Vec<u8>) {
        let judged = self.advised(self.target().malformed(&self.context.policy), Protocol::Tcp).await;
        self.pass(Kind::Tcp, judged, received, Some(why)).await;
    }

    async fn too_much(self, why: &'static str, received: Vec<u8>) {
        let judged = self.target().malformed(&self.context.policy);
        let mut judged = self.advised(judged, Protocol::Tcp).await;
        if let Err(denied) = &mut judged.verdict {
            denied.reason = Reason::Limit;
        }
        self.pass(Kind::Tcp, judged, received, Some(why)).await;
    }

    /// Judges what the job speaks; `opaque` is what was judged of bytes that are neither TLS nor HTTP.
    async fn speak(self, protocol: Spoken, opaque: Judged<'_>, received: Vec<u8>) {
        let policy = &*self.context.policy;
        match protocol {
            Spoken::Tls(hello) => {
                let judged = self.target().tls(policy, &hello.server_name);
                let judged = self.counted(self.advised(judged, Protocol::Tls).await);
                match (&self.context.interception, hello.server_name) {
                    (Some(interception), ServerName::Name(name))
                        if judged.verdict.is_ok() && policy.intercepts(&name, self.original_dst.port()) =>
                    {
                        tls::open(self, interception.clone(), name, judged, received).await;
                    }
                    _ => self.pass(Kind::Tls, judged, received, None).await,
                }
            }
            Spoken::Http(head) => self.http(head, received).await,
            Spoken::Http2Preface => {
                let judged = self.advised(self.target().unsupported(policy), Protocol::Http).await;
                self.pass(Kind::Http, judged, received, Some("HTTP/2 without TLS")).await;
            }
            Spoken::Opaque => self.pass(Kind::Tcp, opaque, received, None).await,
        }
    }

    async fn http(self, head: RequestHead, received: Vec<u8>) {
        match &head.target {
            HttpTarget::Authority(authority) => {
                let authority = authority.clone();
                self.connect(authority, &head, received).await;
            }
            _ => {
                let session = http::Session::new(self, None);
                let stream = http::Prefixed::new(received, session.job());
                session.serve_http1(stream).await;
            }
        }
    }

    /// Answers a CONNECT as a proxy would, whatever proxy the job meant, and judges what is inside.
    async fn connect(mut self, authority: Authority, head: &RequestHead, mut received: Vec<u8>) {
        let context = self.context;
        let port = authority.port.unwrap_or(self.original_dst.port());
        let judged = self.target().tunnel(&context.policy, &authority, port);
        let name = match &authority.host {
            Host::Name(name) => Some(name.to_string()),
            Host::Address(_) => None,
        };
        let question = || Question {
            name,
            port: Some(port),
            method: Some("CONNECT".to_owned()),
            ..Question::new(Protocol::Connect)
        };
        let judged = self.counted(context.advised(judged, self.origin.as_ref(), None, question).await);
        let passes = judged.verdict.is_ok() || context.policy.mode() == Mode::Monitor;
        if !passes || self.tunnelled {
            let mut report = self.report(Kind::Http, &judged);
            if self.tunnelled {
                report.detail("CONNECT within CONNECT");
            }
            report.request("CONNECT", format!("{authority}"));
            let text = denial::http_response(&format!("CONNECT {authority}"), &report, head.version);
            seen(self.origin.as_ref()).await;
            // The job may have hung up; the denial is recorded all the same.
            let _ = write_all(&self.stream, &text).await;
            linger(self.stream).await;
            return;
        }
        if write_all(&self.stream, b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
            return;
        }
        received.drain(..head.length.min(received.len()));
        self.tunnelled = true;
        match authority.host {
            Host::Name(name) => {
                self.names = context.dns.names_of(self.original_dst.ip());
                self.names.retain(|known| *known == name);
                self.original_dst.set_port(port);
                self.tunnel = Some(name);
            }
            Host::Address(address) => {
                self.original_dst = SocketAddr::new(address, port);
                self.names = context.dns.names_of(address);
                self.synthetic = context.dns.synthetic_name(address).is_some();
            }
        }
        Box::pin(self.run(received)).await;
    }

    /// Relays what was received and everything after it, if the verdict lets it.
    async fn pass(self, kind: Kind, judged: Judged<'_>, received: Vec<u8>, detail: Option<&str>) {
        let judged = self.counted(judged);
        let mut report = self.report(kind, &judged);
        if let Some(detail) = detail {
            report.detail(detail);
        }
        if !report.passes() {
            let last_words = denial::last_words(kind, &received, &report);
            drop(report);
            self.close_with(&last_words).await;
            return;
        }
        let destination = self.way_through(&judged);
        let upstream = match self.context.dialer.dial(&destination).await {
            Ok(upstream) => upstream,
            Err(error) => {
                report.failed(error.reason(), &error);
                drop(report);
                self.close_with(&[]).await;
                return;
            }
        };
        if send_all(&upstream, &received, &report.counters()).await.is_err() {
            reset(&self.stream);
            return;
        }
        drop(received);
        self.splice(&upstream, &report).await;
    }

    /// Where something that passes goes. What only monitor mode lets through goes where the job
    /// sent it, as it would without us.
    fn way_through(&self, judged: &Judged<'_>) -> Destination {
        match &judged.verdict {
            Err(_) if !self.synthetic && self.tunnel.is_none() => Destination::Address(self.original_dst),
            _ => judged.destination.clone(),
        }
    }

    async fn splice(mut self, upstream: &TcpStream, report: &Report) {
        let counters = report.counters();
        let upload = self.upload.take();
        let idle = self.context.policy.limits().idle_timeout;
        // A side that broke has been passed on as a reset; the record has the octets.
        let _ = relay(&self.stream, upstream, &counters, idle, ready(Ok::<_, ()>(())), || drop(upload)).await;
    }

    async fn refuse(self, kind: Kind, judged: &Judged<'_>, why: &str) {
        let mut report = self.report(kind, judged);
        report.detail(why);
        drop(report);
        self.close_with(&[]).await;
    }

    /// Ends the connection, with a last message if the protocol has one.
    async fn close_with(self, last_words: &[u8]) {
        seen(self.origin.as_ref()).await;
        if last_words.is_empty() {
            reset(&self.stream);
            return;
        }
        if write_all(&self.stream, last_words).await.is_ok() {
            linger(self.stream).await;
        }
    }

    /// What leaves the machine under a wildcard is counted just before it does.
    fn counted<'p>(&self, judged: Judged<'p>) -> Judged<'p> {
        judged.counted(|name| self.context.dns.admit(name))
    }

    fn report(&self, kind: Kind, judged: &Judged<'_>) -> Report {
        let mode = self.context.policy.mode();
        let origin = self.origin.as_ref();
        Report::new(&self.context.audit, mode, kind, self.original_dst, judged, self.started, origin)
    }
}

/// Waits a moment until it is known whose the connection is: a program often ends when it is refused.
async fn seen(origin: Option<&Origin>) {
    if let Some(origin) = origin {
        origin.settled().await;
    }
}

/// Whether bytes that nothing will follow are the beginning of a TLS or HTTP head: some servers
/// serve it at the end of the stream.
fn cut_head(received: &[u8]) -> bool {
    let ended = [received, b"\r\n"].concat();
    !received.is_empty() && !matches!(opening(&ended), Sniff::Complete(Opening::Opaque))
}

/// Closes a stream so that its last words arrive: unread bytes would turn the close into a reset,
/// so they are read and thrown away for a moment.
async fn linger(stream: TcpStream) {
    const AT_MOST: Duration = Duration::from_millis(500);
    let _ = socket2::SockRef::from(&stream).shutdown(std::net::Shutdown::Write);
    let drain = async {
        let mut scratch = [0; 4096];
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut scratch) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    let _ = tokio::time::timeout(AT_MOST, drain).await;
}

//! One TCP connection of the job: sniff, judge, act, record.

mod closing;
mod context;
mod denial;
mod http;
pub mod judge;
pub mod judged;
mod report;
mod sniffing;
mod tentative;
mod tls;
mod tunnel;

use std::future::ready;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use policy::{Mode, Name, Reason};
use tokio::net::TcpStream;

use crate::audit::{Kind, Origin, Outcome, hold};
use crate::rego::{Protocol, Question};
use crate::relay::{Upload, relay, send_all};
use crate::sniff::client_hello::ServerName;
use crate::sniff::target::Target as HttpTarget;
use crate::sniff::{Opening, Protocol as Spoken, RequestHead, Sniff, Sniffer, opening};
use crate::upstream::Destination;

use judge::Target;
use judged::Judged;
use report::Report;
use sniffing::{Patience, Sniffed, sniff};
use tentative::Open;

pub use context::Context;
pub use http::Budgets;
pub use tls::Interception;

/// How long a job that may send opaque bytes is waited for before the other side may speak.
const TENTATIVE: Patience =
    Patience { first: Duration::from_millis(30), pause: Some(Duration::from_millis(100)) };
/// The same where the other side has had the beginning of what may still become a head: more of it need not wait.
const TENTATIVE_AGAIN: Patience = Patience { pause: Some(Duration::from_millis(1)), ..TENTATIVE };
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
        let mut sniffer = Sniffer::default();
        match sniff(&self.stream, &mut sniffer, received, policy.limits(), patience).await {
            Sniffed::Quiet(received) if opaque => self.tentative(judged, received).await,
            Sniffed::Ended(received) if cut_head(&received) => self.malformed(CUT, received, None).await,
            Sniffed::Ended(received) if opaque => self.pass(Kind::Tcp, judged, received, None).await,
            // A connection that was only tried needs no word if it could have been used.
            Sniffed::Ended(received) if received.is_empty() && named => {}
            Sniffed::Quiet(_) | Sniffed::Ended(_) => {
                self.refuse(Kind::Tcp, &judged, "nothing that tells a protocol was sent").await;
            }
            Sniffed::Protocol(protocol, received) => self.speak(protocol, judged, received).await,
            Sniffed::Malformed(why, received) => self.malformed(why, received, None).await,
            Sniffed::Limit(why, received) => self.too_much(why, received, None).await,
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

    async fn malformed(self, why: &'static str, received: Vec<u8>, open: Option<Open>) {
        let judged = self.advised(self.target().malformed(&self.context.policy), Protocol::Tcp).await;
        self.pass_on(Kind::Tcp, judged, received, Some(why), open).await;
    }

    async fn too_much(self, why: &'static str, received: Vec<u8>, open: Option<Open>) {
        let judged = self.target().malformed(&self.context.policy);
        let mut judged = self.advised(judged, Protocol::Tcp).await;
        if let Err(denied) = &mut judged.verdict {
            denied.reason = Reason::Limit;
        }
        self.pass_on(Kind::Tcp, judged, received, Some(why), open).await;
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

    /// Relays what was received and everything after it, if the verdict lets it.
    async fn pass(self, kind: Kind, judged: Judged<'_>, received: Vec<u8>, detail: Option<&str>) {
        self.pass_on(kind, judged, received, detail, None).await;
    }

    /// The same over the connection that is open, if there is one and it goes where the verdict says.
    async fn pass_on(
        self,
        kind: Kind,
        judged: Judged<'_>,
        received: Vec<u8>,
        detail: Option<&str>,
        open: Option<Open>,
    ) {
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
        let everything_passes = self.context.policy.mode() == Mode::Monitor;
        let (upstream, sent) = match open.and_then(|open| open.towards(&destination, everything_passes)) {
            Some(open) => open,
            None => match self.context.dialer.dial(&destination).await {
                Ok(upstream) => (upstream, 0),
                Err(error) => {
                    report.failed(error.reason(), &error);
                    drop(report);
                    self.close_with(&[]).await;
                    return;
                }
            },
        };
        let rest = received.get(sent..).unwrap_or_default();
        // A host that hangs up at once may have said why.
        let opened = send_all(&upstream, rest, &report.counters()).await.is_ok();
        drop(received);
        self.splice(&upstream, &report, opened).await;
    }

    /// Where something that passes goes. What only monitor mode lets through goes where the job
    /// sent it, as it would without us.
    fn way_through(&self, judged: &Judged<'_>) -> Destination {
        match &judged.verdict {
            Err(_) if !self.synthetic && self.tunnel.is_none() => Destination::Address(self.original_dst),
            _ => judged.destination.clone(),
        }
    }

    async fn splice(mut self, upstream: &TcpStream, report: &Report, opened: bool) {
        let counters = report.counters();
        let upload = self.upload.take();
        let idle = self.context.policy.limits().idle_timeout;
        // A side that broke has been passed on as a reset; the record has the octets.
        let opening = ready(Ok::<_, ()>(opened));
        let _ = relay(&self.stream, upstream, &counters, idle, opening, self.held(), || drop(upload)).await;
    }

    /// Until the job may hear what the other side says.
    fn held(&self) -> impl Future<Output = ()> {
        hold(self.origin.as_ref(), Outcome::Allow)
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

/// Whether bytes that nothing will follow are the beginning of a TLS or HTTP head: some servers
/// serve it at the end of the stream.
fn cut_head(received: &[u8]) -> bool {
    let ended = [received, b"\r\n"].concat();
    !received.is_empty() && !matches!(opening(&ended), Sniff::Complete(Opening::Opaque))
}

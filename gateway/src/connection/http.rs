//! HTTP without TLS: every request on the connection is judged by itself and sent on by hyper, so
//! that both sides agree where it ends.

mod body;
mod head;
mod io;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use policy::{Mode, Name, Reason};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::judge::{Denied, Judged, Target};
use super::report::Report;
use super::{Connection, Context, denial};
use crate::audit::Kind;
use crate::counters::Counters;
use crate::upstream::{Destination, HttpProxy, ProxyError};

use body::{Body, Watched};
use head::Asked;
use io::{Counted, Prefixed};

/// Header fields in one head, far above what honest servers send.
const MAX_HEADERS: usize = 1000;

/// Octets that are kept of either side when the other takes nothing; a head has to fit too.
const MAX_BUFFER: usize = 64 * 1024;

/// Why a request did not reach the other side.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// What the requests of one connection share.
struct Session {
    context: Context,
    original_dst: std::net::SocketAddr,
    names: Vec<Name>,
    synthetic: bool,
    tunnel: Option<Name>,
    job: Arc<TcpStream>,
    upstream: Mutex<Option<Upstream>>,
}

/// The connection that the last request went to.
struct Upstream {
    destination: Destination,
    sender: SendRequest<Body>,
    proxy: Option<HttpProxy>,
    counters: Arc<Counters>,
}

/// Serves a connection whose first head is in `received`.
pub(super) async fn serve(connection: Connection<'_>, received: Vec<u8>) {
    // From here on each request body is an upload of its own.
    let Connection { context, stream, original_dst, names, synthetic, tunnel, upload, .. } = connection;
    drop(upload);
    let job = Arc::new(stream);
    let session = Arc::new(Session {
        job: job.clone(),
        context: context.clone(),
        original_dst,
        names,
        synthetic,
        tunnel,
        upstream: Mutex::new(None),
    });
    let service = service_fn(move |request| {
        let session = session.clone();
        async move { Ok::<_, Infallible>(session.respond(request).await) }
    });
    // What breaks the connection has its record already, or was never a request.
    let _ = hyper::server::conn::http1::Builder::new()
        .preserve_header_case(true)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        .half_close(true)
        .serve_connection(TokioIo::new(Prefixed::new(received, job)), service)
        .with_upgrades()
        .await;
}

impl Session {
    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        let started = Instant::now();
        let asked = Asked::read(&request, self.original_dst.port());
        let judged = self.judge(&asked);
        let mode = self.context.policy.mode();
        let mut report =
            Report::new(&self.context.audit, mode, Kind::Http, self.original_dst, &judged, started);
        report.request(asked.method.as_str(), asked.url());
        if let Some(fault) = asked.fault {
            report.detail(fault);
        }
        // What two implementations could read differently is never sent on, in no mode.
        if !report.passes() || asked.fault.is_some() {
            return refusal(&asked, &report);
        }
        let destination = match &judged.verdict {
            Err(_)
                if mode == Mode::Monitor && !self.synthetic && self.tunnel.is_none() && !asked.absolute =>
            {
                Destination::Address(self.original_dst)
            }
            _ => judged.destination.clone(),
        };
        match self.forward(request, &asked, destination, report).await {
            Ok(response) => response,
            Err((mut report, reason, error)) => {
                report.failed(reason, &*error);
                failure(&asked, &report, &*error)
            }
        }
    }

    fn judge(&self, asked: &Asked) -> Judged<'_> {
        let target = Target {
            original_dst: self.original_dst,
            names: &self.names,
            tunnel: self.tunnel.as_ref(),
            synthetic: self.synthetic,
        };
        let policy = &self.context.policy;
        let mut judged =
            target.http(policy, asked.authority.as_ref(), asked.port, asked.method.as_str(), &asked.path);
        if let Some(reason) = asked.reason {
            judged.verdict = Err(Denied::because(reason));
        }
        judged.counted(|name| self.context.dns.admit(name))
    }

    async fn forward(
        &self,
        mut request: Request<Incoming>,
        asked: &Asked,
        destination: Destination,
        report: Report,
    ) -> Result<Response<Body>, (Report, Reason, Failed)> {
        let upgrade = asked.upgrade.then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        // A request without a body that changes nothing may be sent once more.
        let again = (body.is_end_stream() && parts.method.is_idempotent()).then(|| parts.clone());
        let mut slot = self.upstream.lock().await;
        let reused = match slot.take() {
            Some(mut upstream) if upstream.destination == destination => {
                upstream.sender.ready().await.ok().map(|()| upstream)
            }
            _ => None,
        };
        let fresh = reused.is_none();
        let mut upstream = match reused {
            Some(upstream) => upstream,
            None => match self.connect(destination.clone()).await {
                Ok(upstream) => upstream,
                Err((reason, error)) => return Err((report, reason, error)),
            },
        };
        let body = body::outgoing(body, self.context.uploads.begin());
        let mut before = (upstream.counters.up(), upstream.counters.down());
        let mut answered = upstream.send(Request::from_parts(parts, body), asked).await;
        // The other side closes idle connections at any time, also just as one is used again.
        if let (Err(_), false, Some(parts)) = (&answered, fresh, again) {
            match self.connect(destination).await {
                Ok(connected) => upstream = connected,
                Err((reason, error)) => return Err((report, reason, error)),
            }
            before = (0, 0);
            answered = upstream.send(Request::from_parts(parts, body::empty()), asked).await;
        }
        let response = match answered {
            // The job knows of no proxy, and cannot log in to one.
            Ok(response) if upstream.proxy.is_some() && unauthenticated(&response) => {
                let refused = ProxyError::Refused(response.status().to_string());
                return Err((report, Reason::UpstreamFailed, refused.into()));
            }
            Ok(response) => response,
            Err(error) => return Err((report, Reason::UpstreamFailed, error.into())),
        };
        let watched = Watched::new(report, upstream.counters.clone(), before);
        *slot = Some(upstream);
        Ok(match (response.status(), upgrade) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(job)) => body::upgraded(response, job, watched),
            _ => response.map(|incoming| body::watched(incoming, watched, self.job.clone())),
        })
    }

    async fn connect(&self, destination: Destination) -> Result<Upstream, (Reason, Failed)> {
        let dialed = self
            .context
            .dialer
            .dial_http(&destination)
            .await
            .map_err(|error| (error.reason(), error.into()))?;
        let counters = Arc::new(Counters::default());
        let io = TokioIo::new(Counted::new(dialed.stream, counters.clone()));
        let (sender, connection) = hyper::client::conn::http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER)
            .handshake(io)
            .await
            .map_err(|error| (Reason::UpstreamFailed, error.into()))?;
        tokio::spawn(async move {
            // The request that it breaks under tells.
            let _ = connection.with_upgrades().await;
        });
        Ok(Upstream { destination, sender, proxy: dialed.http_proxy, counters })
    }
}

impl Upstream {
    async fn send(&mut self, request: Request<Body>, asked: &Asked) -> hyper::Result<Response<Incoming>> {
        self.sender.send_request(head::outgoing(request, asked, self.proxy.as_ref())).await
    }
}

/// Whether a parent proxy wants credentials that it did not get.
fn unauthenticated<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

fn refusal(asked: &Asked, report: &Report) -> Response<Body> {
    let status = match report.why().0 {
        Some(Reason::Malformed | Reason::NoHost) => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    respond_text(status, denial::text(&format!("{} {}", asked.method, asked.url()), report))
}

fn failure(asked: &Asked, report: &Report, error: &dyn std::error::Error) -> Response<Body> {
    if report.why().0 != Some(Reason::UpstreamFailed) {
        return refusal(asked, report);
    }
    let text = format!(
        "cijail-net allowed {} {} but could not reach the host.\nreason: {}: {}\n",
        asked.method,
        crate::audit::printable(&asked.url()),
        Reason::UpstreamFailed,
        crate::audit::printable(&super::chain(error)),
    );
    respond_text(StatusCode::BAD_GATEWAY, text)
}

fn respond_text(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(body::full(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(hyper::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

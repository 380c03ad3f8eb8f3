//! Sends a request on that may pass, and brings its answer back.

use std::sync::Arc;

use hyper::body::{Body as _, Incoming};
use hyper::header::ALT_SVC;
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Version};
use policy::Reason;

use super::Session;
use super::activity::Busy;
use super::body::{self, Body, Lease, Watched};
use super::budget::Budget;
use super::head::{self, Asked, Form};
use super::pool::Acquired;
use super::record::{Record, Sending, of_request, of_response};
use super::upstream::{Unreached, Upstream, Way};
use crate::upstream::ProxyError;

impl Session {
    /// The answer of the other side, whose body goes on to the job as it comes.
    pub(super) async fn forward(
        &self,
        mut request: Request<Incoming>,
        asked: &Asked,
        way: &Way<'_>,
        budget: Option<Arc<Budget>>,
        record: &Record,
        busy: Busy,
    ) -> Result<Response<Body>, Unreached> {
        let http2 = request.version() == Version::HTTP_2;
        let upgrade = asked.upgrade.then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        // A request without a body that changes nothing may be sent once more.
        let again = (body.is_end_stream() && parts.method.is_idempotent()).then(|| parts.clone());
        let Acquired { mut upstream, used } = self.acquire(way, http2).await?;
        let counters = upstream.is_http2().then(|| record.counters());
        let sending = Sending { record: record.clone(), unsent: upstream.unsent.clone() };
        let held = (self.context.uploads.begin(), busy.activity().begin(), sending);
        let body = body::outgoing(body, held, counters.clone(), budget);
        upstream.counters.iter().for_each(|counters| record.count(counters.clone()));
        let request = formed(Request::from_parts(parts, body), asked, &upstream);
        counters.iter().for_each(|counters| counters.add_up(of_request(&request)));
        let mut answered = upstream.send(request).await;
        // The other side closes idle connections at any time, also just as one is used again.
        if let (Err(error), true) = (&mut answered, used)
            && let Some(request) = error.take_message().or_else(|| again.map(without_body))
        {
            upstream = way.connect(http2).await?;
            upstream.counters.iter().for_each(|counters| record.count(counters.clone()));
            answered = upstream.send(formed(request, asked, &upstream)).await;
        }
        let mut response = match answered {
            // The job knows of no proxy, and cannot log in to one.
            Ok(response) if upstream.proxy.is_some() && unauthenticated(&response) => {
                let refused = ProxyError::Refused(response.status().to_string());
                return Err((Reason::UpstreamFailed, refused.into()));
            }
            Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS && upgrade.is_none() => {
                return Err((Reason::UpstreamFailed, "the host changed the protocol unasked".into()));
            }
            Ok(response) => response,
            Err(error) => return Err((Reason::UpstreamFailed, error.into_error().into())),
        };
        let counters = upstream.is_http2().then(|| record.counters());
        counters.iter().for_each(|counters| counters.add_down(of_response(&response)));
        if self.secure.is_some() {
            // An offer of HTTP/3, which the job cannot reach.
            response.headers_mut().remove(ALT_SVC);
        }
        let lease = self.keep(upstream, http2).await;
        let watched = Watched { _record: record.clone(), counters, lease, busy };
        Ok(match (response.status(), upgrade) {
            (StatusCode::SWITCHING_PROTOCOLS, Some(job)) => {
                body::upgraded(response, job, watched, self.job.clone())
            }
            _ => {
                let job = (!http2).then(|| self.job.clone());
                response.map(|incoming| body::watched(incoming, watched, job))
            }
        })
    }

    /// The connection of the last request if it goes there, one that other requests left, or a new one.
    async fn acquire(&self, way: &Way<'_>, http2: bool) -> Result<Acquired, Unreached> {
        if !http2
            && let Some(mut upstream) = self.upstream.lock().await.take()
            && upstream.whom == way.whom
            && upstream.is_usable().await
        {
            return Ok(Acquired { upstream, used: true });
        }
        match &self.secure {
            Some(secure) => secure.interception.pool.acquire(way, http2).await,
            None => Ok(Acquired { upstream: way.connect(http2).await?, used: false }),
        }
    }

    /// Keeps a connection for the next request: streams of HTTP/2 give theirs to each other.
    async fn keep(&self, upstream: Upstream, http2: bool) -> Option<Lease> {
        if !http2 {
            *self.upstream.lock().await = Some(upstream);
            return None;
        }
        let pool = self.secure.as_ref().map(|secure| secure.interception.clone())?;
        (!upstream.is_http2()).then_some(Lease { upstream, interception: pool })
    }
}

fn formed(request: Request<Body>, asked: &Asked, upstream: &Upstream) -> Request<Body> {
    let form = match &upstream.proxy {
        _ if upstream.is_http2() => Form::Http2,
        Some(proxy) => Form::Proxy(proxy),
        None => Form::Origin,
    };
    head::outgoing(request, asked, form)
}

fn without_body(parts: Parts) -> Request<Body> {
    Request::from_parts(parts, body::empty())
}

/// Whether a parent proxy wants credentials that it did not get.
fn unauthenticated<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

//! The connections that requests are sent on over.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use policy::{Name, Reason, Rule};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::body::Body;
use super::io::Observed;
use super::record::{Ledger, Unsent};
use super::{Failed, MAX_BUFFER, MAX_HEADERS};
use crate::connection::Context;
use crate::connection::tls::Secure;
use crate::counters::Counters;
use crate::upstream::tls::{UpstreamTls, agreed_on_http2};
use crate::upstream::{Destination, HttpProxy};

/// Why a request did not get to the other side, and the word for logs.
pub(super) type Unreached = (Reason, Failed);

/// A connection that takes requests; of HTTP/2 a handle of it.
pub(crate) struct Upstream {
    pub(super) whom: Whom,
    pub(super) proxy: Option<HttpProxy>,
    /// Octets of HTTP/1; those of HTTP/2 belong to several requests.
    pub(super) counters: Option<Arc<Counters>>,
    /// Records that wait for the last octets of HTTP/1.
    pub(super) unsent: Weak<Unsent>,
    sender: Sender,
}

/// Who is connected with whom: connections that agree in it can stand for each other.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Whom {
    pub(super) destination: Destination,
    /// The file of the certificate that the gateway shows.
    pub(super) identity: Option<PathBuf>,
}

/// The way to the other side of a connection.
pub(super) struct Way<'a> {
    context: &'a Context,
    /// The TLS to set up, with the host of this name.
    secure: Option<(&'a UpstreamTls, &'a Name)>,
    pub(super) whom: Whom,
}

enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl<'a> Way<'a> {
    /// The way for a request that `rule` allows.
    pub(super) fn new(
        context: &'a Context,
        secure: Option<&'a Secure>,
        destination: Destination,
        rule: Option<&Rule>,
    ) -> Way<'a> {
        let tls = secure.map(|secure| (secure.interception.intercept.upstream(rule), &secure.name));
        let identity = tls.and_then(|((_, identity), _)| identity).map(Path::to_owned);
        let secure = tls.map(|((tls, _), name)| (tls, name));
        Way { context, secure, whom: Whom { destination, identity } }
    }

    /// Connects; inside TLS the host may choose HTTP/2 if it is offered.
    pub(super) async fn connect(&self, http2: bool) -> Result<Upstream, Unreached> {
        match self.secure {
            Some((tls, name)) => self.connect_secure(tls, name, http2).await,
            None => self.connect_plain().await,
        }
    }

    async fn connect_plain(&self) -> Result<Upstream, Unreached> {
        let dialed = self.context.dialer.dial_http(&self.whom.destination).await;
        let dialed = dialed.map_err(|error| (error.reason(), error.into()))?;
        let mut upstream = Upstream::http1(dialed.stream, self.whom.clone()).await?;
        upstream.proxy = dialed.http_proxy;
        Ok(upstream)
    }

    async fn connect_secure(
        &self,
        tls: &UpstreamTls,
        name: &Name,
        http2: bool,
    ) -> Result<Upstream, Unreached> {
        let failed = |error: Failed| (Reason::UpstreamFailed, error);
        let stream = self.context.dialer.dial(&self.whom.destination).await;
        let stream = stream.map_err(|error| (error.reason(), error.into()))?;
        let handshake = tls.handshake(stream, name, http2);
        let tls = timeout(self.context.policy.limits().connect_timeout, handshake)
            .await
            .map_err(|_| failed("the host did not complete TLS in time".into()))?
            .map_err(|error| failed(error.into()))?;
        if agreed_on_http2(tls.get_ref().1.alpn_protocol()) {
            Upstream::http2(tls, self.whom.clone()).await
        } else {
            Upstream::http1(tls, self.whom.clone()).await
        }
    }
}

impl Upstream {
    async fn http1<S>(stream: S, whom: Whom) -> Result<Upstream, Unreached>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let ledger = Ledger::default();
        let (counters, unsent) = (Some(ledger.counters.clone()), Arc::downgrade(&ledger.unsent));
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(Observed::new(stream, ledger)))
            .await
            .map_err(|error| (Reason::UpstreamFailed, error.into()))?;
        tokio::spawn(async move {
            // The request that it breaks under tells.
            let _ = connection.with_upgrades().await;
        });
        Ok(Upstream { whom, proxy: None, counters, unsent, sender: Sender::Http1(sender) })
    }

    async fn http2<S>(stream: S, whom: Whom) -> Result<Upstream, Unreached>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .max_header_list_size(MAX_BUFFER as u32)
            .max_send_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| (Reason::UpstreamFailed, error.into()))?;
        tokio::spawn(async move {
            // The requests that it breaks under tell.
            let _ = connection.await;
        });
        let (counters, unsent) = (None, Weak::new());
        Ok(Upstream { whom, proxy: None, counters, unsent, sender: Sender::Http2(sender) })
    }

    /// Waits until it takes a request; `false` if it never will.
    pub(super) async fn is_usable(&mut self) -> bool {
        match &mut self.sender {
            Sender::Http1(sender) => sender.ready().await.is_ok(),
            Sender::Http2(sender) => sender.ready().await.is_ok(),
        }
    }

    /// Whether it takes a request now.
    pub(super) fn is_ready(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => sender.is_ready(),
            Sender::Http2(sender) => sender.is_ready(),
        }
    }

    /// Sends a request. One that never left comes back with the error.
    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// Another handle of the same connection, which only HTTP/2 has.
    pub(super) fn share(&self) -> Option<Upstream> {
        let Sender::Http2(sender) = &self.sender else { return None };
        Some(Upstream {
            whom: self.whom.clone(),
            proxy: self.proxy.clone(),
            counters: None,
            unsent: Weak::new(),
            sender: Sender::Http2(sender.clone()),
        })
    }
}

//! Bodies on their way through, and the record that ends with them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::connection::report::Report;
use crate::counters::Counters;
use crate::relay::{Upload, reset};

/// A body of either direction.
pub(super) type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// A request's body on its way up; the job's end waits for it.
pub(super) fn outgoing(body: Incoming, upload: Upload) -> Body {
    Held { body, _held: upload, job: None }.boxed_unsync()
}

/// No body.
pub(super) fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A text of our own.
pub(super) fn full(text: Bytes) -> Body {
    Full::new(text).map_err(|never| match never {}).boxed_unsync()
}

/// A response's body on its way down; the record is written when it ends. If it breaks off, `job` is
/// reset: a body that the end of the connection ends would look complete.
pub(super) fn watched(body: Incoming, watched: Watched, job: Arc<TcpStream>) -> Body {
    Held { body, _held: watched, job: Some(job) }.boxed_unsync()
}

/// Joins both sides of a connection that changed its protocol.
pub(super) fn upgraded(mut response: Response<Incoming>, job: OnUpgrade, watched: Watched) -> Response<Body> {
    let upstream = hyper::upgrade::on(&mut response);
    tokio::spawn(async move {
        if let (Ok(job), Ok(upstream)) = tokio::join!(job, upstream) {
            let (mut job, mut upstream) = (TokioIo::new(job), TokioIo::new(upstream));
            // Either side may break it off at any time.
            let _ = tokio::io::copy_bidirectional(&mut job, &mut upstream).await;
        }
        drop(watched);
    });
    response.map(|_| empty())
}

/// A record together with the upstream connection's octets at its start.
pub(super) struct Watched {
    report: Report,
    counters: Arc<Counters>,
    before: (u64, u64),
}

impl Watched {
    pub(super) fn new(report: Report, counters: Arc<Counters>, before: (u64, u64)) -> Watched {
        Watched { report, counters, before }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let totals = self.report.counters();
        totals.add_up((self.counters.up() - self.before.0) as usize);
        totals.add_down((self.counters.down() - self.before.1) as usize);
    }
}

/// A body, and something that lives exactly as long.
struct Held<T> {
    body: Incoming,
    _held: T,
    job: Option<Arc<TcpStream>>,
}

impl<T: Unpin> hyper::body::Body for Held<T> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let (Poll::Ready(Some(Err(_))), Some(job)) = (&frame, &self.job) {
            reset(job);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

//! Bodies on their way through, and the record that ends with them.

use std::io;
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

use super::Failed;
use super::activity::Busy;
use super::budget::Budget;
use super::record::{Record, Sending, of_fields};
use super::upstream::Upstream;
use crate::connection::tls::Interception;
use crate::counters::Counters;
use crate::relay::{Upload, reset};

/// A body of either direction.
pub(super) type Body = UnsyncBoxBody<Bytes, Failed>;

/// A request's body on its way up; the job's end waits for what is `held` until then, and so does the
/// record. Its octets are counted in `counters`, and it breaks off before `budget` is exceeded.
pub(super) fn outgoing(
    body: Incoming,
    held: (Upload, Busy, Sending),
    counters: Option<Arc<Counters>>,
    budget: Option<Arc<Budget>>,
) -> Body {
    let count = counters.map(|counters| Count { counters, add: Counters::add_up });
    let held = Held { body, _held: held, count, job: None, broken: None }.map_err(Failed::from);
    match budget {
        None => held.boxed_unsync(),
        Some(budget) => Budgeted { body: held.boxed_unsync(), budget }.boxed_unsync(),
    }
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
/// reset: a body that the end of the connection ends would look complete. One that is counted cannot, and if the host
/// just hung up, so do we, after what there is of it. Streams of HTTP/2 need no such help.
pub(super) fn watched(body: Incoming, watched: Watched, job: Option<Arc<TcpStream>>) -> Body {
    let count = watched.counters.clone().map(|counters| Count { counters, add: Counters::add_down });
    Held { body, _held: watched, count, job, broken: None }.map_err(Failed::from).boxed_unsync()
}

/// Joins both sides of a connection that changed its protocol. If it comes to a halt, `socket`, the job's,
/// is reset.
pub(super) fn upgraded(
    mut response: Response<Incoming>,
    job: OnUpgrade,
    watched: Watched,
    socket: Arc<TcpStream>,
) -> Response<Body> {
    let upstream = hyper::upgrade::on(&mut response);
    let activity = watched.busy.activity();
    tokio::spawn(async move {
        if let (Ok(job), Ok(upstream)) = tokio::join!(job, upstream) {
            let (mut job, mut upstream) = (TokioIo::new(job), TokioIo::new(upstream));
            tokio::select! {
                // Either side may break it off at any time.
                _ = tokio::io::copy_bidirectional(&mut job, &mut upstream) => {}
                _ = activity.stalled() => reset(&socket),
            }
        }
        drop(watched);
    });
    response.map(|_| empty())
}

/// What ends with a response: its part of the record, and perhaps the use of its connection.
pub(super) struct Watched {
    pub(super) _record: Record,
    /// Where its octets are counted, if they are counted by themselves.
    pub(super) counters: Option<Arc<Counters>>,
    pub(super) lease: Option<Lease>,
    pub(super) busy: Busy,
}

/// A connection that goes back to its pool.
pub(super) struct Lease {
    pub(super) upstream: Upstream,
    pub(super) interception: Arc<Interception>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(Lease { upstream, interception }) = self.lease.take() {
            interception.pool.put(upstream);
        }
    }
}

/// Where the octets of a body are counted.
struct Count {
    counters: Arc<Counters>,
    add: fn(&Counters, usize),
}

/// A body, and something that lives exactly as long.
struct Held<T> {
    body: Incoming,
    _held: T,
    count: Option<Count>,
    job: Option<Arc<TcpStream>>,
    /// Said once what came before is on its way.
    broken: Option<hyper::Error>,
}

impl<T: Unpin> hyper::body::Body for Held<T> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(error) = self.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match (&frame, &self.count, &self.job) {
            (Poll::Ready(Some(Ok(frame))), Some(count), _) => {
                let trailers = frame.trailers_ref().map_or(0, of_fields);
                (count.add)(&count.counters, frame.data_ref().map_or(trailers, Bytes::len));
            }
            (Poll::Ready(Some(Err(error))), _, Some(job)) if !(self.is_counted() && is_hung_up(error)) => {
                reset(job);
            }
            _ => {}
        }
        match frame {
            // What came before goes first; otherwise it would be lost with the connection.
            Poll::Ready(Some(Err(error))) if self.job.is_some() => {
                self.broken = Some(error);
                context.waker().wake_by_ref();
                Poll::Pending
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<T> Held<T> {
    /// Whether the job knows how long it is.
    fn is_counted(&self) -> bool {
        hyper::body::Body::size_hint(&self.body).exact().is_some()
    }
}

/// Whether the stream ended in order before the message did.
fn is_hung_up(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::UnexpectedEof)
}

/// A body that takes what it has of a budget.
struct Budgeted {
    body: Body,
    budget: Arc<Budget>,
}

impl hyper::body::Body for Budgeted {
    type Data = Bytes;
    type Error = Failed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failed>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(part))) = &frame
            && let Err(too_much) = self.budget.take(part.data_ref().map_or(0, Bytes::len) as u64)
        {
            return Poll::Ready(Some(Err(too_much.into())));
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

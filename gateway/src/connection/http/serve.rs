//! A connection of the job from its first request to its end, which comes at the latest when nothing
//! happens on it for too long.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use policy::{Name, Reason};
use tokio::io::{AsyncRead, AsyncWrite};

use super::activity::{Activity, Patience, Stalled};
use super::io::Observed;
use super::{MAX_BUFFER, MAX_HEADERS, MAX_RESETS, MAX_STREAMS, MAX_WINDOW, Session};
use crate::connection::judged::{Denied, Judged};
use crate::relay::reset;
use crate::upstream::Destination;

impl Session {
    /// Serves HTTP/1.
    pub(in crate::connection) async fn serve_http1<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let session = Arc::new(self);
        let activity = session.activity(true);
        let (shared, begins) = (session.clone(), activity.clone());
        let service = service_fn(move |request| {
            let (session, busy) = (shared.clone(), begins.begin());
            async move { Ok::<_, Infallible>(session.respond(request, busy).await) }
        });
        let served = http1::Builder::new()
            .preserve_header_case(true)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_BUFFER)
            .half_close(true)
            .serve_connection(TokioIo::new(Observed::new(stream, activity.clone())), service)
            .with_upgrades();
        tokio::select! {
            ended = served => match ended {
                Err(error) if error.is_parse() => session.never_asked(Reason::Malformed, &unread(&error)),
                Err(error) if error.is_incomplete_message() && activity.is_within_head() => {
                    session.never_asked(Reason::Malformed, "ended within a request's head");
                }
                // What breaks under a request is in its record.
                _ => {}
            },
            stalled = activity.stalled() => session.give_up(stalled),
        }
        let last = session.upstream.lock().await.take();
        if let (Some(secure), Some(upstream)) = (&session.secure, last) {
            secure.interception.pool.put(upstream);
        }
    }

    /// Serves HTTP/2, each stream by itself.
    pub(in crate::connection) async fn serve_http2<S>(self, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let session = Arc::new(self);
        let activity = session.activity(false);
        let (shared, begins) = (session.clone(), activity.clone());
        let service = service_fn(move |request| {
            let (session, busy) = (shared.clone(), begins.begin());
            async move { Ok::<_, Infallible>(session.respond(request, busy).await) }
        });
        let served = http2::Builder::new(TokioExecutor::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_pending_accept_reset_streams(MAX_RESETS)
            .max_header_list_size(MAX_BUFFER as u32)
            .max_send_buf_size(MAX_BUFFER)
            .initial_connection_window_size(MAX_WINDOW)
            .initial_stream_window_size(MAX_WINDOW)
            .serve_connection(TokioIo::new(Observed::new(stream, activity.clone())), service);
        tokio::select! {
            // What breaks under requests is in their records.
            _ = served => {}
            stalled = activity.stalled() => session.give_up(stalled),
        }
    }

    fn activity(&self, serial: bool) -> Arc<Activity> {
        let limits = self.context.policy.limits();
        Activity::new(Patience { head: limits.sniff_timeout, idle: limits.idle_timeout }, serial)
    }

    /// What is cut off must not look complete.
    fn give_up(&self, stalled: Stalled) {
        match stalled {
            Stalled::Unused => return,
            Stalled::Head => self.never_asked(Reason::Limit, "too slow in telling what is asked"),
            Stalled::Request => {}
        }
        reset(&self.job);
    }

    /// Records what could have become a request.
    fn never_asked(&self, reason: Reason, why: &str) {
        self.begin_records();
        let name = self.secure.as_ref().map(|secure| &secure.name).or(self.tunnel.as_ref());
        let judged = Judged {
            verdict: Err(Denied::because(reason)),
            destination: Destination::Address(self.original_dst),
            name: name.or(self.names.first()).map(Name::to_string),
        };
        let mut report = self.report(&judged, Instant::now());
        report.detail(why);
        report.refused();
    }
}

/// Why no request could be read, and what to do where clients in good faith get there.
fn unread(error: &hyper::Error) -> String {
    match error.to_string() {
        text if text.ends_with("URI") => {
            format!("{text}: write characters such as \" < > in it as %22 %3C %3E")
        }
        text => text,
    }
}

//! The audit record of one connection or request: written once, when it ends, however it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::{Mode, Reason};

use super::judge::{Denied, Judged};
use crate::audit::{Audit, Event, Kind, Outcome};
use crate::relay::Counters;

/// Sends its event when it is dropped, so that a connection that is cut off at the end of the run
/// is recorded as well.
#[derive(Debug)]
pub(super) struct Report {
    audit: Audit,
    event: Option<Event>,
    counters: Arc<Counters>,
    started: Instant,
}

impl Report {
    /// The record of what was judged. In monitor mode a denial becomes `would-deny`.
    pub(super) fn new(
        audit: &Audit,
        mode: Mode,
        kind: Kind,
        original_dst: SocketAddr,
        judged: &Judged<'_>,
        started: Instant,
    ) -> Report {
        let (verdict, rule, denied) = match &judged.verdict {
            Ok(rule) => (Outcome::Allow, Some(rule.text()), None),
            Err(denied) if mode == Mode::Monitor => (Outcome::WouldDeny, denied.rule, Some(denied)),
            Err(denied) => (Outcome::Deny, denied.rule, Some(denied)),
        };
        let mut event = Event::new(verdict, kind);
        event.name.clone_from(&judged.name);
        event.destination = Some(original_dst.ip());
        event.port = Some(original_dst.port());
        event.rule = rule.map(str::to_owned);
        event.reason = denied.map(|denied| denied.reason);
        event.suggestion = denied.and_then(|denied: &Denied<'_>| denied.suggestion.clone());
        Report { audit: audit.clone(), event: Some(event), counters: Arc::default(), started }
    }

    /// What is carried is counted here.
    pub(super) fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// Whether the bytes may pass.
    pub(super) fn passes(&self) -> bool {
        self.event.as_ref().is_some_and(|event| event.verdict != Outcome::Deny)
    }

    /// Adds something for people.
    pub(super) fn detail(&mut self, detail: impl Into<String>) {
        if let Some(event) = &mut self.event {
            event.detail = Some(detail.into());
        }
    }

    /// Notes the request.
    pub(super) fn request(&mut self, method: &str, url: String, port: u16) {
        if let Some(event) = &mut self.event {
            event.method = Some(method.to_owned());
            event.url = Some(url);
            event.port = Some(port);
        }
    }

    /// Notes that what was let through did not reach the other side. A name of which every address
    /// is refused is a denial like any other.
    pub(super) fn failed(&mut self, reason: Reason, error: &dyn std::error::Error) {
        let detail = chain(error);
        if let Some(event) = &mut self.event {
            if reason != Reason::UpstreamFailed && event.verdict == Outcome::Allow {
                event.verdict = Outcome::Deny;
            }
            event.reason.get_or_insert(reason);
            event.detail = Some(detail);
        }
    }

    /// The reason and the remedy, for a denial text.
    pub(super) fn why(&self) -> (Option<Reason>, Option<&str>, Option<&str>) {
        let event = self.event.as_ref();
        (
            event.and_then(|event| event.reason),
            event.and_then(|event| event.rule.as_deref()),
            event.and_then(|event| event.suggestion.as_deref()),
        )
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        let Some(mut event) = self.event.take() else { return };
        if event.verdict != Outcome::Deny {
            event.bytes_up = Some(self.counters.up());
            event.bytes_down = Some(self.counters.down());
        }
        event.duration = Some(self.started.elapsed());
        self.audit.record(event);
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

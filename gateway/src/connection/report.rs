//! The audit record of one connection or request.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use policy::{Mode, Reason};

use super::judged::{Denied, Judged};
use crate::audit::{Audit, Event, Kind, Origin, Outcome, Pending};
use crate::causes::chain;
use crate::counters::Counters;

/// What is known of a connection or request, sent to the log when it ends.
#[derive(Debug)]
pub(super) struct Report(Pending);

impl Report {
    /// The record of what was judged, of whom `origin` was asked. In monitor mode a denial becomes `would-deny`.
    pub(super) fn new(
        audit: &Audit,
        mode: Mode,
        kind: Kind,
        original_dst: SocketAddr,
        judged: &Judged<'_>,
        started: Instant,
        origin: Option<&Origin>,
    ) -> Report {
        let (verdict, rule, denied) = match &judged.verdict {
            Ok(rule) => (Outcome::Allow, Some(rule.text()), None),
            Err(denied) => (Outcome::refused(mode), denied.rule, Some(denied)),
        };
        let mut event = Event::new(verdict, kind);
        event.name.clone_from(&judged.name);
        event.destination = Some(original_dst.ip());
        event.port = Some(original_dst.port());
        event.rule = rule.map(str::to_owned);
        event.reason = denied.map(|denied| denied.reason);
        event.suggestion = denied.and_then(|denied: &Denied<'_>| denied.suggestion.clone());
        event.detail = denied.and_then(|denied| denied.detail.clone());
        event.origin = origin.cloned();
        Report(Pending::new(audit, event, started))
    }

    /// What is carried is counted here.
    pub(super) fn counters(&self) -> Arc<Counters> {
        self.0.counters()
    }

    /// While it goes on, shows besides what this connection carries from now on.
    pub(super) fn shows(&self, connection: Arc<Counters>) {
        self.0.shows(connection);
    }

    /// Notes that it goes no further, in no mode.
    pub(super) fn refused(&mut self) {
        self.0.amend(|event| event.verdict = Outcome::Deny);
    }

    /// Whether the bytes may pass.
    pub(super) fn passes(&self) -> bool {
        self.0.event().is_some_and(|event| event.verdict != Outcome::Deny)
    }

    /// Adds something for people.
    pub(super) fn detail(&mut self, detail: impl Into<String>) {
        self.0.amend(|event| event.detail = Some(detail.into()));
    }

    /// Notes the request.
    pub(super) fn request(&mut self, method: &str, url: String) {
        self.0.amend(|event| {
            event.method = Some(method.to_owned());
            event.url = Some(url);
        });
    }

    /// Takes the record back: another one will tell it.
    pub(super) fn withdraw(self) {
        self.0.withdraw();
    }

    /// Notes that what was let through did not reach the other side.
    pub(super) fn failed(&mut self, reason: Reason, error: &(dyn std::error::Error + 'static)) {
        self.0.audit().shortage(error);
        self.0.failed(reason, chain(error));
    }

    /// What stands behind a limit, for a denial text.
    pub(super) fn exceeded(&self) -> Option<&str> {
        let event = self.0.event().filter(|event| event.reason == Some(Reason::Limit))?;
        event.detail.as_deref()
    }

    /// The reason, the deny rule and the remedy, for a denial text.
    pub(super) fn why(&self) -> (Option<Reason>, Option<&str>, Option<&str>) {
        let event = self.0.event();
        (
            event.and_then(|event| event.reason),
            event.and_then(|event| event.rule.as_deref()),
            event.and_then(|event| event.suggestion.as_deref()),
        )
    }
}

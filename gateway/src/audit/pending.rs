//! The event of something that goes on: written once, when it ends, however it ends.

use std::sync::Arc;
use std::time::Instant;

use policy::{Denial, Mode, Reason};

use super::{Audit, Event, Outcome};
use crate::counters::Counters;
use crate::live::Ticket;

/// Sends its event when it is dropped, so that what is cut off at the end of the run is recorded as
/// well.
#[derive(Debug)]
pub struct Pending {
    audit: Audit,
    event: Option<Event>,
    counters: Arc<Counters>,
    started: Instant,
    /// Shows it among what goes on, unless it was denied.
    ticket: Option<Ticket>,
}

impl Pending {
    /// An event that began at `started`.
    pub fn new(audit: &Audit, event: Event, started: Instant) -> Pending {
        let counters = Arc::<Counters>::default();
        let goes_on = event.verdict != Outcome::Deny;
        let ticket = goes_on.then(|| audit.live().begin(&event, counters.clone(), started));
        Pending { audit: audit.clone(), event: Some(event), counters, started, ticket }
    }

    /// While it goes on, shows besides what this connection carries from now on.
    pub fn shows(&self, connection: Arc<Counters>) {
        if let Some(ticket) = &self.ticket {
            ticket.shows(connection);
        }
    }

    /// What is carried is counted here.
    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }

    /// The log that it goes to.
    pub fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The event as it stands.
    pub fn event(&self) -> Option<&Event> {
        self.event.as_ref()
    }

    /// Completes the event.
    pub fn amend(&mut self, change: impl FnOnce(&mut Event)) {
        if let Some(event) = &mut self.event {
            change(event);
        }
    }

    /// Sends nothing after all.
    pub fn withdraw(mut self) {
        self.event = None;
        if let Some(ticket) = self.ticket.take() {
            ticket.withdraw();
        }
    }

    /// Notes that it is refused after all, or would be.
    pub fn denied(&mut self, denial: &Denial<'_>, detail: Option<String>, mode: Mode) {
        self.amend(|event| event.refuse(denial, detail, mode));
    }

    /// Notes that what was let through did not reach the other side. A name of which every address
    /// is refused is a denial like any other.
    pub fn failed(&mut self, reason: Reason, detail: String) {
        self.amend(|event| {
            if reason != Reason::UpstreamFailed && event.verdict == Outcome::Allow {
                event.verdict = Outcome::Deny;
            }
            // What stands behind an earlier reason stays; without one it is about this.
            if event.reason.is_none() {
                event.reason = Some(reason);
                event.detail = Some(detail);
            } else {
                event.detail.get_or_insert(detail);
            }
        });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        drop(self.ticket.take());
        let Some(mut event) = self.event.take() else { return };
        if event.verdict != Outcome::Deny {
            event.bytes_up = Some(self.counters.up());
            event.bytes_down = Some(self.counters.down());
        }
        event.duration = Some(self.started.elapsed());
        self.audit.record(event);
    }
}

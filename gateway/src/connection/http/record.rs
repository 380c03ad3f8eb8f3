//! The record of a request under way: told once the answer has ended and the host has been sent all of the
//! request, however early it answers, or the job hangs up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use hyper::{HeaderMap, Request, Response};

use super::io::Observer;
use crate::connection::report::Report;
use crate::counters::Counters;

/// A record that the two bodies of a request share. It is told when the last of them is gone.
#[derive(Clone)]
pub(super) struct Record(Arc<Mutex<Inner>>);

struct Inner {
    report: Report,
    /// The connection that is the request's alone, and what it had carried before.
    connection: Option<(Arc<Counters>, u64, u64)>,
}

impl Record {
    pub(super) fn of(report: Report) -> Record {
        Record(Arc::new(Mutex::new(Inner { report, connection: None })))
    }

    /// Counts what this connection carries from now on, heads and framing included.
    pub(super) fn count(&self, counters: Arc<Counters>) {
        let mut inner = self.lock();
        inner.settle();
        let (up, down) = (counters.up(), counters.down());
        inner.report.shows(counters.clone());
        inner.connection = Some((counters, up, down));
    }

    /// Where octets are counted by themselves, if the connection has other requests as well.
    pub(super) fn counters(&self) -> Arc<Counters> {
        self.lock().report.counters()
    }

    /// Looks at the report, or changes it.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Report) -> T) -> T {
        look(&mut self.lock().report)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn settle(&mut self) {
        if let Some((counters, up, down)) = self.connection.take() {
            let totals = self.report.counters();
            totals.add_up((counters.up() - up) as usize);
            totals.add_down((counters.down() - down) as usize);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Records of requests whose last octets may still wait in the connection.
#[derive(Default)]
pub(super) struct Unsent(Mutex<Vec<Record>>);

impl Unsent {
    fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a request's body holds: when it has been read, its record waits until it has been sent.
pub(super) struct Sending {
    pub(super) record: Record,
    /// Of a connection with one request at a time; gone if that is.
    pub(super) unsent: Weak<Unsent>,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if let Some(unsent) = self.unsent.upgrade() {
            unsent.0.lock().unwrap_or_else(PoisonError::into_inner).push(self.record.clone());
        }
    }
}

/// Observes a connection to a host with one request at a time, heads and framing included.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) counters: Arc<Counters>,
    pub(super) unsent: Arc<Unsent>,
}

impl Observer for Ledger {
    fn read(&self, octets: usize) {
        self.counters.add_down(octets);
    }

    fn written(&self, octets: usize) {
        self.counters.add_up(octets);
    }

    fn flushed(&self) {
        drop(self.unsent.take());
    }
}

/// Octets of a request's head over HTTP/2, where compression depends on what went before: those of names
/// and values, of the pseudo-fields too (RFC 9113 section 8.3.1).
pub(super) fn of_request<B>(head: &Request<B>) -> usize {
    let uri = head.uri();
    let pseudo = [
        (":method", head.method().as_str()),
        (":scheme", uri.scheme_str().unwrap_or_default()),
        (":authority", uri.authority().map_or("", |authority| authority.as_str())),
        (":path", uri.path_and_query().map_or("/", |path| path.as_str())),
    ];
    pseudo.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() + of_fields(head.headers())
}

/// The same of a response's head.
pub(super) fn of_response<B>(head: &Response<B>) -> usize {
    ":status".len() + head.status().as_str().len() + of_fields(head.headers())
}

/// The same of fields.
pub(super) fn of_fields(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_names_and_values() {
        let request = Request::get("https://a.test/p?q").header("x-a", "12").body(()).unwrap();
        let names = ":method:scheme:authority:pathx-a".len();
        assert_eq!(of_request(&request), names + "GEThttpsa.test/p?q12".len());
        let response = Response::builder().status(204).header("b", "").header("b", "c").body(()).unwrap();
        assert_eq!(of_response(&response), ":status204bbc".len());
    }
}

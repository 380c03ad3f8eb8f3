//! Whom something was for. Pure.

use super::OTHERS;
use crate::audit::{Event, Kind, Outcome, printable};

/// Whom something was for, all of it made harmless to show.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Destination {
    /// A name or an address.
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// The layer that decided, as events spell it.
    pub(crate) kind: &'static str,
}

impl Destination {
    pub(crate) fn of(event: &Event) -> Destination {
        let host = match (&event.name, event.destination) {
            (Some(name), _) => printable(name).into_owned(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "?".to_owned(),
        };
        // The server of a question is not whom the job wants.
        let port = event.port.filter(|_| event.kind != Kind::Dns);
        Destination { host, port, kind: event.kind.as_str() }
    }

    /// What stands for destinations that are not told apart.
    pub(crate) fn others() -> Destination {
        Destination { host: OTHERS.to_owned(), port: None, kind: "other" }
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub(crate) fn shown(&self) -> String {
        match self.port {
            Some(port) if self.host.contains(':') => format!("[{}]:{port}", self.host),
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }
}

/// How many destinations are told apart, of those that were allowed at first and of the others: a flood of
/// denials leaves room for what data went to.
#[derive(Debug, Default)]
pub(crate) struct Room {
    allowed: usize,
    blocked: usize,
}

impl Room {
    /// The destination of an event that is the first there, or what stands for all beyond so many of either sort.
    pub(crate) fn take(&mut self, destination: Destination, event: &Event, most: usize) -> Destination {
        let taken = if event.verdict == Outcome::Allow { &mut self.allowed } else { &mut self.blocked };
        if *taken >= most {
            return Destination::others();
        }
        *taken += 1;
        destination
    }
}

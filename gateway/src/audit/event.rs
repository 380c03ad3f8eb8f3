//! What one decision looked like.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use netns::job::Program;
use policy::{Denial, Mode, Reason};

use super::origin::size_of_program;
use super::{Origin, Outcome};

/// One decision, allowed or not. Absent means unknown.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it was decided, or for a connection when it began.
    pub at: SystemTime,
    /// What came of it.
    pub verdict: Outcome,
    /// The layer that decided.
    pub kind: Kind,
    /// The name that the job wanted; untrusted text.
    pub name: Option<String>,
    /// The address that the job sent to.
    pub destination: Option<IpAddr>,
    /// The port that the job sent to.
    pub port: Option<u16>,
    /// The HTTP method; untrusted text.
    pub method: Option<String>,
    /// The URL without its query; untrusted text.
    pub url: Option<String>,
    /// The file that was executed or used; untrusted text.
    pub path: Option<String>,
    /// What was done with a watched file.
    pub access: Option<&'static str>,
    /// How many times this happened, if not once: repeats of an earlier event.
    pub count: Option<u64>,
    /// The text of the rule that decided.
    pub rule: Option<String>,
    /// Why it was denied, or what went wrong upstream.
    pub reason: Option<Reason>,
    /// The rule that would allow it.
    pub suggestion: Option<String>,
    /// More about it, for people: what was malformed, which DNS type, which protocol.
    pub detail: Option<String>,
    /// Who has been asked which program it is.
    pub origin: Option<Origin>,
    /// The program, once that is known.
    pub program: Option<Arc<Program>>,
    /// Octets from the job.
    pub bytes_up: Option<u64>,
    /// Octets to the job.
    pub bytes_down: Option<u64>,
    /// From the first packet to the last.
    pub duration: Option<Duration>,
}

/// Details of [`Kind::Exec`]: it did not run, or was not seen to.
pub mod ending {
    /// The kernel refused: no permission, or no program.
    pub const REFUSED: &str = "refused";
    /// There is no such file.
    pub const NOT_FOUND: &str = "not found";
    /// The process was gone before it was seen again.
    pub const UNSEEN: &str = "gone before it was seen";
}

/// The layer that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A DNS question.
    Dns,
    /// A TLS connection, by its server name.
    Tls,
    /// An HTTP request, or a CONNECT.
    Http,
    /// TCP that is neither.
    Tcp,
    /// A UDP flow.
    Udp,
    /// ICMP or ICMPv6.
    Icmp,
    /// Another protocol.
    Other,
    /// A socket in the file system.
    Unix,
    /// A program of the job, which nobody decides about.
    Exec,
    /// A watched file, which nobody decides about either.
    File,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Kind; 10] = [
        Kind::Dns,
        Kind::Tls,
        Kind::Http,
        Kind::Tcp,
        Kind::Udp,
        Kind::Icmp,
        Kind::Other,
        Kind::Unix,
        Kind::Exec,
        Kind::File,
    ];

    /// The word that stands in logs and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Dns => "dns",
            Kind::Tls => "tls",
            Kind::Http => "http",
            Kind::Tcp => "tcp",
            Kind::Udp => "udp",
            Kind::Icmp => "icmp",
            Kind::Other => "other",
            Kind::Unix => "unix",
            Kind::Exec => "exec",
            Kind::File => "file",
        }
    }
}

impl Event {
    /// Notes that it is refused after all, or would be, for which there is no remedy.
    pub fn refuse(&mut self, denial: &Denial<'_>, detail: Option<String>, mode: Mode) {
        self.verdict = Outcome::refused(mode);
        self.reason = Some(denial.reason);
        self.rule = denial.rule.map(|rule| rule.text().to_owned());
        self.suggestion = None;
        self.detail = detail;
    }

    /// Whether it tells of what nobody decided about: a program, a watched file, calls that were not seen.
    pub fn is_observation(&self) -> bool {
        match self.kind {
            Kind::Exec | Kind::File => true,
            Kind::Other => self.verdict == Outcome::Allow && self.count.is_some(),
            _ => false,
        }
    }

    /// Octets that it takes while it waits, about.
    pub(super) fn size(&self) -> usize {
        let texts =
            [&self.name, &self.method, &self.url, &self.path, &self.rule, &self.suggestion, &self.detail];
        let texts: usize = texts.into_iter().flatten().map(String::len).sum();
        let program = self.program.as_deref().map_or(0, size_of_program);
        size_of::<Event>() + texts + program + self.origin.as_ref().map_or(0, Origin::size)
    }

    /// Waits for the answer to who it was, if it was asked.
    pub(super) fn complete(&mut self) {
        if let Some(origin) = self.origin.take() {
            self.program = origin.program();
        }
    }

    /// A decision of now, with everything else unknown.
    pub fn new(verdict: Outcome, kind: Kind) -> Event {
        Event {
            at: SystemTime::now(),
            verdict,
            kind,
            name: None,
            destination: None,
            port: None,
            method: None,
            url: None,
            path: None,
            access: None,
            count: None,
            rule: None,
            reason: None,
            suggestion: None,
            detail: None,
            origin: None,
            program: None,
            bytes_up: None,
            bytes_down: None,
            duration: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_decided_about_is_an_observation() {
        for kind in Kind::ALL {
            for verdict in [Outcome::Allow, Outcome::Deny, Outcome::WouldDeny] {
                let mut event = Event::new(verdict, kind);
                assert_eq!(event.is_observation(), matches!(kind, Kind::Exec | Kind::File), "{kind:?}");
                event.count = Some(7);
                let was_missed = kind == Kind::Other && verdict == Outcome::Allow;
                assert_eq!(event.is_observation(), matches!(kind, Kind::Exec | Kind::File) || was_missed);
            }
        }
    }
}

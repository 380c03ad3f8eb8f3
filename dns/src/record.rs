//! What the audit log learns about each question.

use std::net::SocketAddr;

use policy::{Mode, Reason};

use crate::kind::Kind;

/// A response, and what is to be logged about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The message for the job; absent when the query deserves no answer at all.
    pub response: Option<Vec<u8>>,
    /// Absent for the start-up probe, which is not the job's doing.
    pub record: Option<DnsRecord>,
}

/// One question and its verdict. Texts are escaped already, but for the detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DnsRecord {
    /// The name that was asked for; absent if the message is malformed.
    pub name: Option<String>,
    /// The type that was asked for; absent if the message is malformed.
    pub qtype: Option<Kind>,
    /// The server that the job meant.
    pub server: SocketAddr,
    /// What came of it.
    pub verdict: Outcome,
    /// Why, unless it simply passed; with [`Outcome::Allow`] it is an upstream failure.
    pub reason: Option<Reason>,
    /// The text of the rule that decided, if one did.
    pub rule: Option<String>,
    /// What would allow it, as the policy puts it.
    pub suggestion: Option<String>,
    /// More about a denial or a failure, for people.
    pub detail: Option<String>,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It passed.
    Allow,
    /// It did not pass.
    Deny,
    /// It passed, as the mode is `monitor`; with `enforce` it would not.
    WouldDeny,
}

impl Outcome {
    /// What comes of a denial.
    pub fn refused(mode: Mode) -> Outcome {
        match mode {
            Mode::Enforce => Outcome::Deny,
            Mode::Monitor => Outcome::WouldDeny,
        }
    }

    /// The word that stands in logs and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Allow => "allow",
            Outcome::Deny => "deny",
            Outcome::WouldDeny => "would-deny",
        }
    }
}

//! What there was of one destination. Pure.

use std::time::SystemTime;

use policy::Reason;

use crate::audit::{Event, Outcome, chain, printable};

/// Counts, octets and times of one destination, and what decided about it.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) would_deny: u64,
    /// Octets from the job.
    pub(crate) bytes_up: u64,
    /// Octets to the job.
    pub(crate) bytes_down: u64,
    pub(crate) first: SystemTime,
    pub(crate) last: SystemTime,
    /// The rule that decided last.
    pub(crate) rule: Option<String>,
    pub(crate) reason: Option<Reason>,
    /// The rule that would allow it.
    pub(crate) suggestion: Option<String>,
    /// Of what was blocked, the program and its ancestors, as the log names them.
    pub(crate) by: Option<String>,
}

impl Traffic {
    /// Nothing yet.
    pub(crate) fn new(at: SystemTime) -> Traffic {
        Traffic {
            allowed: 0,
            denied: 0,
            would_deny: 0,
            bytes_up: 0,
            bytes_down: 0,
            first: at,
            last: at,
            rule: None,
            reason: None,
            suggestion: None,
            by: None,
        }
    }

    pub(crate) fn add(&mut self, event: &Event) {
        match event.verdict {
            Outcome::Allow => self.allowed += 1,
            Outcome::Deny => self.denied += 1,
            Outcome::WouldDeny => self.would_deny += 1,
        }
        self.bytes_up += event.bytes_up.unwrap_or(0);
        self.bytes_down += event.bytes_down.unwrap_or(0);
        self.first = self.first.min(event.at);
        self.last = self.last.max(event.at + event.duration.unwrap_or_default());
        // What was denied is what people look for.
        if event.verdict != Outcome::Allow || self.blocked() == 0 {
            let show = |shown: &mut Option<String>, text: &Option<String>| {
                // Most often nothing has changed.
                if shown != text {
                    *shown = text.as_deref().map(|text| printable(text).into_owned());
                }
            };
            show(&mut self.rule, &event.rule);
            self.reason = event.reason;
            show(&mut self.suggestion, &event.suggestion);
        }
        if event.verdict != Outcome::Allow
            && let Some(program) = &event.program
        {
            self.by = Some(chain(program));
        }
    }

    /// Adds what another program did with the same destination.
    pub(crate) fn merge(&mut self, other: &Traffic) {
        let decides = (other.blocked() > 0, other.last) >= (self.blocked() > 0, self.last);
        self.allowed += other.allowed;
        self.denied += other.denied;
        self.would_deny += other.would_deny;
        self.bytes_up += other.bytes_up;
        self.bytes_down += other.bytes_down;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        if decides {
            self.rule = other.rule.clone();
            self.reason = other.reason;
            self.suggestion = other.suggestion.clone();
            self.by = other.by.clone().or(self.by.take());
        } else if self.by.is_none() {
            self.by = other.by.clone();
        }
    }

    pub(crate) fn blocked(&self) -> u64 {
        self.denied + self.would_deny
    }

    /// The verdict as the log spells it, of what was blocked if anything was.
    pub(crate) fn outcome(&self) -> Outcome {
        match (self.denied, self.would_deny) {
            (0, 0) => Outcome::Allow,
            (0, _) => Outcome::WouldDeny,
            _ => Outcome::Deny,
        }
    }

    /// The same in words.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.outcome() {
            Outcome::Allow => "allowed",
            Outcome::WouldDeny => "would be blocked",
            Outcome::Deny => "BLOCKED",
        }
    }

    /// The rule that decided, or the reason and what would allow it.
    pub(crate) fn why(&self) -> String {
        match (&self.rule, self.reason, &self.suggestion) {
            (_, Some(reason), Some(suggestion)) => format!("{reason}; to allow: {suggestion}"),
            (Some(rule), Some(reason), None) => format!("{reason}, by {rule}"),
            (None, Some(reason), None) => reason.to_string(),
            (Some(rule), None, _) => rule.clone(),
            (None, None, _) => String::new(),
        }
    }
}

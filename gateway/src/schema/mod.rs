//! JSON Schemas (2020-12) of what other programs read and people write. They are made from the types that
//! write events and reports, and from the tables by which policy files are read; a test compares.

#[cfg(test)]
mod generate;

/// What a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Subject {
    /// One line of the log in JSON
    Events,
    /// The report in JSON
    Report,
    /// What `top --json` prints
    Top,
    /// A policy file, as the same in JSON
    Policy,
}

/// The schema, with a line end.
pub fn schema(subject: Subject) -> &'static str {
    match subject {
        Subject::Events => include_str!("../../../docs/schemas/events.json"),
        Subject::Report => include_str!("../../../docs/schemas/report.json"),
        Subject::Top => include_str!("../../../docs/schemas/top.json"),
        Subject::Policy => include_str!("../../../docs/schemas/policy.json"),
    }
}

#[cfg(test)]
pub(crate) use generate::{kinds, reasons, verdicts};

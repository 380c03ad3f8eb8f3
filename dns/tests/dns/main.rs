//! The DNS of a job against upstreams that lie: what the job gets, and what upstream saw.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod denied;
mod encrypted;
mod resolved;
mod streams;
mod support;
mod upstreams;
mod wildcards;

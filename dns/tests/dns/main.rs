//! The DNS of a job against upstreams that lie: what the job gets, and what upstream saw.

mod denied;
mod resolved;
mod streams;
mod support;
mod upstreams;

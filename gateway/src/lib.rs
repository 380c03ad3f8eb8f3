//! The gateway of cijail-net: the only way out of a job's network namespace.

pub mod frame;
pub mod sniff;

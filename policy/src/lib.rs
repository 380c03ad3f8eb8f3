//! What a job may talk to: names, rules and verdicts.
//!
//! This crate is pure: it takes bytes and values and gives back values. It opens no file, asks no
//! clock, writes no log. The gateway and the DNS server are its I/O partners.
#![forbid(unsafe_code)]

mod name;
mod reason;
mod request;

pub use name::{Name, NameError};
pub use reason::Reason;
pub use request::{Request, Scheme};

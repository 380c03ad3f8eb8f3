//! The DNS that a job sees: every question is judged, allowed ones are resolved upstream, and the
//! addresses that names got are remembered as pins.
//!
//! There is no socket towards the job in this crate. The gateway brings each message with the
//! server it was meant for, and sends what it gets back from that server's address.
#![forbid(unsafe_code)]

mod kind;
mod pins;
pub mod question;
pub mod response;
mod synthetic;
#[cfg(test)]
mod testing;

pub use kind::Kind;
pub use pins::Pins;
pub use synthetic::Synthetic;

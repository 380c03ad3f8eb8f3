//! The DNS that a job sees: every question is judged, allowed ones are resolved upstream, and the
//! addresses that names got are remembered as pins.
//!
//! There is no socket towards the job in this crate. The gateway brings each message with the
//! server it was meant for, and sends what it gets back from that server's address.
#![forbid(unsafe_code)]

mod answer;
mod asides;
mod cache;
mod grants;
mod judge;
mod kind;
mod local;
mod lookup;
mod pins;
pub mod question;
mod record;
mod resolve;
pub mod response;
mod server;
mod stream;
mod synthetic;
#[cfg(test)]
mod testing;
mod unasked;
mod upstream;
mod wildcards;
mod wire;

pub use kind::Kind;
pub use lookup::LookupError;
pub use pins::Pins;
pub use record::{Answered, DnsRecord, Outcome};
pub use resolve::NEEDS_ALLOW_PRIVATE;
pub use response::Transport;
pub use server::{Dns, PROBE_NAME};
pub use stream::serve_stream;
pub use synthetic::Synthetic;
pub use upstream::HostFiles;
pub use wildcards::{TooManyNames, Wildcards};

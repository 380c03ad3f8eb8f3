//! The gateway's sockets: what capture brings is handed to connections, flows and the DNS.

mod datagrams;
mod drops;
mod names;
mod queue;
mod refusals;
mod streams;

pub use datagrams::Datagrams;
pub use drops::Drops;
pub use names::Questions;
pub use queue::{Queue, serve_connections, serve_datagrams};
pub use streams::{Captured, Loopback};

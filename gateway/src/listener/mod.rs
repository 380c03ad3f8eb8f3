//! The gateway's sockets: what capture brings is handed to connections, flows and the DNS.

mod datagrams;
mod drops;
mod names;
mod refusals;
mod streams;

pub use datagrams::serve_udp;
pub use drops::Drops;
pub use names::serve_dns;
pub use streams::{serve_loopback, serve_tcp};

//! Connections to the outside, dialled from the host's own network namespace.

mod dial;
mod eyeballs;
mod proxy;
pub mod tls;

pub use dial::{Destination, DialError, Dialed, Dialer, HttpProxy};
pub use proxy::{ParentProxies, ProxyError};

//! Connections to the outside, dialled from the host's own network namespace.

mod dial;
mod eyeballs;
mod near;
mod proxy;
pub mod tls;

pub use dial::{Destination, DialError, Dialed, Dialer, HttpProxy};
pub(crate) use near::connect;
pub use proxy::{ParentProxies, ProxyError};

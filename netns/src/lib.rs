//! Namespaces, links, packet rules and the job's sandbox.
//!
//! Everything that needs `unsafe`, a raw system call or a capability sits in this crate. It knows
//! nothing of names or rules: it hands out sockets that were opened in the gateway namespace, and a
//! job that runs in its own.

pub mod doctor;
mod error;
pub mod guard;
pub mod job;
mod keys;
mod limits;
mod low_water;
pub mod net;
mod peer;
mod pipe;
mod room;
mod round_trip;
mod syscall_filter;
mod terminal_size;
mod userns;
mod watch;

pub use error::{Error, Result, Step, remedy};
pub use keys::Keys;
pub use limits::raise_descriptor_limit;
pub use low_water::set_low_water;
pub use peer::{Peer, as_user, distinct_user, peer};
pub use pipe::Pipe;
pub use room::writable_within;
pub use round_trip::round_trip;
pub use terminal_size::{terminal_columns, terminal_size};
pub use userns::{Privilege, acquire};
pub use watch::{Watchable, watch};

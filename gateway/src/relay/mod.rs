//! Bytes between the job and the other side, untouched.

mod stream;
pub mod udp;
mod uploads;

pub(crate) use stream::write_all;
pub use stream::{Ended, relay, reset};
pub use uploads::{Upload, Uploads};

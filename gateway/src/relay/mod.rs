//! Bytes between the job and the other side, untouched.

mod stream;
pub mod udp;
mod uploads;

pub use stream::{Ended, no_reset, relay, reset};
pub(crate) use stream::{send_all, write_all};
pub use uploads::{Upload, Uploads};

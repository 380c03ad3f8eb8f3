//! Bytes between the job and the other side, untouched.

mod stream;
mod uploads;
pub mod udp;

pub(crate) use stream::write_all;
pub use stream::{relay, reset};
pub use uploads::{Upload, Uploads};

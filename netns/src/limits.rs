//! Resource limits of the gateway itself.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the number of descriptors that the process may have to the most that it is allowed to
/// (getrlimit(2)). Call it after the job was started, which keeps the caller's limit.
///
/// # Errors
/// The limit cannot be read or set.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

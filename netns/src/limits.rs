//! Resource limits of the gateway itself.

use std::io;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors without which no gateway can begin.
const LEAST: u64 = 32;

/// Raises the number of descriptors that the process may have to the most that it is allowed to
/// (getrlimit(2)). Call it after the job was started, which keeps the caller's limit.
///
/// # Errors
/// The limit cannot be read or set, or is so low that the gateway would only stumble later.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if hard < LEAST {
        let text = format!(
            "{LEAST} file descriptors are needed and {hard} allowed; raise the hard limit (ulimit -Hn)"
        );
        return Err(io::Error::other(text));
    }
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

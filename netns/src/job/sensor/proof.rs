//! Shows before the job starts that its calls are seen, and go on.

use std::ffi::CStr;
use std::io;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::Watch;

/// A file that is not there.
const NOWHERE: &CStr = c"/proc/self/cijail-net/sensor";

/// Makes a call that the sensor looks at. The calling thread is under the filter, and its first call that is
/// looked at is this.
///
/// # Errors
/// The kernel's or the sensor's reason why the call did not go its way.
pub(in crate::job) fn prove(watch: &Watch) -> io::Result<()> {
    let Err(error) = (if watch.programs {
        nix::unistd::execve::<&CStr, &CStr>(NOWHERE, &[], &[]).map(drop)
    } else {
        nix::fcntl::open(NOWHERE, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map(drop)
    }) else {
        return Err(io::ErrorKind::AlreadyExists.into());
    };
    if error == nix::Error::ENOENT { Ok(()) } else { Err(error.into()) }
}

/// Whether a text that was read from the caller's memory is that of the proof.
pub(super) fn is_proof(text: &[u8]) -> bool {
    text == NOWHERE.to_bytes()
}

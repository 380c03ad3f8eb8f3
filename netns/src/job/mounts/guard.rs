//! Read-only covers over what root could act on the host by, without any capability.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::stage::bind;

/// A program named in `core_pattern` runs outside every namespace.
pub(super) const KERNEL_FILES: [&str; 5] =
    ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/sys"];

/// A service manager gives users cgroups of their own: by their files a job could stop and end what runs
/// outside, whom it cannot see. A cover over `/proc` would keep a user's job from mounting its own.
pub(super) const FILES_OF_USERS: [&str; 1] = ["/sys"];

/// Makes a file or directory read-only with everything mounted beneath it. One that does not exist is
/// left alone.
pub(super) fn read_only(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let target = CString::new(path.as_os_str().as_bytes())?;
    match set_read_only(&target) {
        // Not a mount yet.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            bind(path, path)?;
            set_read_only(&target)
        }
        result => result,
    }
}

fn set_read_only(target: &CStr) -> io::Result<()> {
    // SAFETY: all zeroes is a valid mount_attr, which asks for nothing.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: the path is a C string and the structure lives here; the kernel reads both
    // (mount_setattr(2)).
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_RECURSIVE,
            &raw mut attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

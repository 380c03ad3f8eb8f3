//! Landlock (Documentation/userspace-api/landlock.rst), as far as the kernel has it: which files the
//! calling thread may still open. Descriptors that are open already are not affected.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;

// linux/landlock.h
const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const RESTRICT_SELF_LOG_SAME_EXEC_OFF: u32 = 1;
const ACCESS_FS_READ_FILE: u64 = 1 << 2;
const ACCESS_FS_READ_DIR: u64 = 1 << 3;
const ACCESS_NET_BIND_TCP: u64 = 1;
const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;

/// struct landlock_ruleset_attr; older kernels take it if what they do not know is zero.
#[repr(C)]
struct Ruleset {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// struct landlock_path_beneath_attr.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// Leaves the calling thread, and those that it starts, only the reading of these files and of what
/// is beneath these directories. A kernel without Landlock leaves more.
pub(super) fn restrict<'a>(readable: impl IntoIterator<Item = &'a Path>) {
    let Some(version) = version() else { return };
    // Whatever fails leaves the thread with more than it needs, which the other walls must hold.
    let _ = try_restrict(version, readable);
}

/// The version of the kernel's Landlock interface, if it has one.
pub(crate) fn version() -> Option<u32> {
    // SAFETY: asks for the version; no memory is passed.
    let version =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, 0usize, 0usize, CREATE_RULESET_VERSION) };
    u32::try_from(version).ok().filter(|version| *version > 0)
}

fn try_restrict<'a>(version: u32, readable: impl IntoIterator<Item = &'a Path>) -> io::Result<()> {
    let ruleset = create(version)?;
    for path in readable {
        // A place that does not exist needs no rule.
        let _ = allow_reading(&ruleset, path);
    }
    let flags = if version >= 7 { RESTRICT_SELF_LOG_SAME_EXEC_OFF } else { 0 };
    // SAFETY: a descriptor of ours and flags; no memory is passed.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), flags) };
    Errno::result(result).map(drop).map_err(Into::into)
}

fn create(version: u32) -> io::Result<OwnedFd> {
    let rights = match version {
        1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    let ruleset = Ruleset {
        handled_access_fs: (1 << rights) - 1,
        handled_access_net: if version >= 4 { ACCESS_NET_BIND_TCP } else { 0 },
        scoped: if version >= 6 { SCOPE_ABSTRACT_UNIX_SOCKET } else { 0 },
    };
    // SAFETY: the structure lives here and the kernel only reads it, by the size that is passed.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size_of::<Ruleset>(), 0u32)
    };
    let descriptor = Errno::result(result)?;
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as i32) })
}

fn allow_reading(ruleset: &OwnedFd, path: &Path) -> io::Result<()> {
    let place: File = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
    // Files know no reading of directories.
    let directory = if place.metadata()?.is_dir() { ACCESS_FS_READ_DIR } else { 0 };
    let rule = PathBeneath { allowed_access: ACCESS_FS_READ_FILE | directory, parent_fd: place.as_raw_fd() };
    // SAFETY: the structure lives here and the kernel only reads it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            0u32,
        )
    };
    Errno::result(result).map(drop).map_err(Into::into)
}

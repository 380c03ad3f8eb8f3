//! One file system in memory, where private files are built before they are bound to their places: a
//! bind costs a fraction of a mount of its own.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::unistd::{getegid, geteuid};

/// Every system has this directory, and the fresh `/proc` covers it afterwards. The stage stays mounted
/// beneath: unmounting would wait for an RCU grace period, most of a millisecond, and the job can take
/// the cover off no more than any other mask.
const STAGE: &str = "/proc";

/// The bits that nothing takes away from a new directory's mode here.
const USUAL_MODE: u32 = 0o755;

/// Mounts the stage. It may grow as any file system in memory may, half of the machine's: the job's
/// `/dev/shm` is part of it.
///
/// Device nodes work in it, as those of the job's `/dev` are made there. The job has no capability to
/// make others.
pub(super) fn mount_stage() -> io::Result<()> {
    Ok(mount(Some("tmpfs"), STAGE, Some("tmpfs"), MsFlags::MS_NOSUID, Some("mode=0755"))?)
}

/// A place in the stage.
pub(super) fn place(name: &str) -> PathBuf {
    Path::new(STAGE).join(name)
}

/// Shows what is at one place at another as well, without what is mounted beneath it.
pub(super) fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

/// The same, with what is mounted beneath it.
pub(super) fn bind_all(source: &Path, target: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    Ok(mount(Some(source), target, None::<&str>, flags, None::<&str>)?)
}

/// Makes an empty directory with the owner and mode of another.
pub(super) fn empty_like(like: &fs::Metadata, path: &Path) -> io::Result<()> {
    let mode = like.mode() & 0o7777;
    DirBuilder::new().mode(mode).create(path)?;
    if (like.uid(), like.gid()) != (geteuid().as_raw(), getegid().as_raw()) {
        // An owner that the user namespace does not map cannot be given; ours is as good then.
        let _ = chown(path, Some(like.uid()), Some(like.gid()));
    }
    if mode & !USUAL_MODE != 0 { fs::set_permissions(path, Permissions::from_mode(mode)) } else { Ok(()) }
}

//! Copies of the host's directories that are made on writing: what the job changes there, only it sees.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::stage::{bind, place};

/// An overlay of each mount that has something to cover.
pub(super) struct Copies {
    made: Vec<Overlay>,
    are_possible: bool,
}

struct Overlay {
    /// The mount that it copies, and where that is.
    mount: u64,
    base: PathBuf,
    /// Where it is mounted, if it could be.
    shown: Option<PathBuf>,
}

impl Copies {
    pub(super) fn new(are_possible: bool) -> Copies {
        Copies { made: Vec::new(), are_possible }
    }

    /// Covers a path of this mount with a copy, without what is mounted beneath it; `false` where the
    /// kernel makes none.
    pub(super) fn show(&mut self, path: &Path, mount: u64) -> io::Result<bool> {
        let overlay = match self.made.iter().position(|overlay| overlay.mount == mount) {
            Some(index) => &self.made[index],
            None => {
                let overlay = Overlay::make(mount, path, self.made.len(), self.are_possible)?;
                self.made.push(overlay);
                &self.made[self.made.len() - 1]
            }
        };
        let (Some(shown), Ok(beneath)) = (&overlay.shown, path.strip_prefix(&overlay.base)) else {
            return Ok(false);
        };
        bind(&shown.join(beneath), path)?;
        Ok(true)
    }
}

impl Overlay {
    /// One overlay serves every path of a mount, as it costs as much as ten binds.
    fn make(mount: u64, path: &Path, index: usize, is_possible: bool) -> io::Result<Overlay> {
        let is_of_mount = |path: &&Path| Place::look(path).is_ok_and(|at| at.mount == mount);
        let base = path.ancestors().take_while(is_of_mount).last().unwrap_or(path).to_owned();
        let directory = place(&format!("overlay-{index}"));
        let shown = directory.join("shown");
        for part in ["", "upper", "work", "shown"] {
            fs::create_dir(directory.join(part))?;
        }
        // A container's engine may have used up the depth of overlays, and not every file system can be
        // copied from.
        let is_mounted = is_possible && base.is_dir() && mount_overlay(&base, &directory, &shown).is_ok();
        Ok(Overlay { mount, base, shown: is_mounted.then_some(shown) })
    }
}

fn mount_overlay(base: &Path, directory: &Path, shown: &Path) -> io::Result<()> {
    let (base, directory) = (base.display().to_string(), directory.display());
    if base.contains([':', ',', '\\']) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let options = format!("lowerdir={base},upperdir={directory}/upper,workdir={directory}/work");
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    Ok(mount(Some("overlay"), shown, Some("overlay"), flags, Some(options.as_str()))?)
}

/// Where a path leads, not through a link at its end.
pub(super) struct Place {
    pub(super) is_link: bool,
    /// The mount's number, which is another for each mount of one file system.
    pub(super) mount: u64,
}

impl Place {
    /// By statx(2), which tells the mount since Linux 5.8.
    pub(super) fn look(path: &Path) -> io::Result<Place> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        let mask = libc::STATX_TYPE | libc::STATX_MNT_ID;
        // SAFETY: all zeroes is a valid statx structure.
        let mut found: libc::statx = unsafe { std::mem::zeroed() };
        // SAFETY: the path is a C string and the structure lives here; the kernel reads the one and
        // writes the other.
        let result = unsafe {
            libc::statx(libc::AT_FDCWD, path.as_ptr(), libc::AT_SYMLINK_NOFOLLOW, mask, &raw mut found)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        let is_link = u32::from(found.stx_mode) & libc::S_IFMT == libc::S_IFLNK;
        Ok(Place { is_link, mount: found.stx_mnt_id })
    }
}

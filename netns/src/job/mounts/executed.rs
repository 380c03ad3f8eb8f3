//! What the host runs by itself, by the clock, at boot or when something is plugged in: in root mode
//! the job sees a copy of these directories, so that packages install, and what it writes there is gone
//! with it.
//!
//! The programs of the host are not among them: root in the job may replace any.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use super::guard::read_only;
use super::stage::{bind, place};
use crate::error::{During, Result, Step};

/// Directories, and files that nothing replaces by renaming: a cover over a file forbids that.
const EXECUTED: [&str; 42] = [
    // The clock.
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/etc/cron.yearly",
    "/etc/crontab",
    "/etc/anacrontab",
    "/var/spool/cron",
    "/var/spool/at",
    "/etc/logrotate.d",
    "/etc/apt/apt.conf.d",
    // Boot and services.
    "/boot",
    "/etc/systemd",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/system-generators",
    "/usr/lib/systemd/user",
    "/usr/local/lib/systemd",
    "/etc/init.d",
    "/etc/rc.d",
    "/etc/rc0.d",
    "/etc/rc1.d",
    "/etc/rc2.d",
    "/etc/rc3.d",
    "/etc/rc4.d",
    "/etc/rc5.d",
    "/etc/rc6.d",
    "/etc/rcS.d",
    "/etc/rc.local",
    "/etc/tmpfiles.d",
    "/usr/lib/tmpfiles.d",
    // Devices, modules and formats.
    "/etc/udev",
    "/usr/lib/udev/rules.d",
    "/etc/modprobe.d",
    "/usr/lib/modprobe.d",
    "/etc/modules-load.d",
    "/usr/lib/modules",
    "/etc/binfmt.d",
    "/usr/lib/binfmt.d",
    // Every login and every program.
    "/etc/pam.d",
    "/etc/sudoers.d",
    "/etc/ld.so.preload",
];

/// Covers what of these exists: with a copy that is made on writing, or where the kernel makes none
/// with a read-only one.
pub(super) fn cover(overlays_are_possible: bool) -> Result<()> {
    let mut copies = Copies { made: Vec::new(), are_possible: overlays_are_possible };
    let mut plain = PlainDirectories::default();
    // What several names lead to is covered once.
    let mut covered = BTreeSet::new();
    for path in EXECUTED.map(Path::new) {
        let Ok(at) = Place::look(path) else { continue };
        let (path, mount) = if at.is_link || !plain.hold(path) {
            let Ok(path) = fs::canonicalize(path) else { continue };
            let Ok(at) = Place::look(&path) else { continue };
            (path, at.mount)
        } else {
            (path.to_owned(), at.mount)
        };
        if covered.insert(path.clone()) {
            copies.cover(&path, mount).during(Step::Mount, format!("covering {}", path.display()))?;
        }
    }
    Ok(())
}

/// Parents that no link is in the way to.
#[derive(Default)]
struct PlainDirectories(BTreeMap<&'static Path, bool>);

impl PlainDirectories {
    fn hold(&mut self, path: &'static Path) -> bool {
        let Some(parent) = path.parent() else { return false };
        *self.0.entry(parent).or_insert_with(|| fs::canonicalize(parent).is_ok_and(|real| real == parent))
    }
}

/// An overlay of each mount that has something to cover.
struct Copies {
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
    fn cover(&mut self, path: &Path, mount: u64) -> io::Result<()> {
        let overlay = match self.made.iter().position(|overlay| overlay.mount == mount) {
            Some(index) => &self.made[index],
            None => {
                let overlay = Overlay::make(mount, path, self.made.len(), self.are_possible)?;
                self.made.push(overlay);
                &self.made[self.made.len() - 1]
            }
        };
        match (&overlay.shown, path.strip_prefix(&overlay.base)) {
            (Some(shown), Ok(beneath)) => bind(&shown.join(beneath), path),
            _ => read_only(path),
        }
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
struct Place {
    is_link: bool,
    /// The mount's number, which is another for each mount of one file system.
    mount: u64,
}

impl Place {
    /// By statx(2), which tells the mount since Linux 5.8.
    fn look(path: &Path) -> io::Result<Place> {
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

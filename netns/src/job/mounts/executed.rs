//! What the host runs by itself, by the clock, at boot or when something is plugged in: in root mode
//! the job sees a copy of these directories, so that packages install, and what it writes there is gone
//! with it.
//!
//! The programs of the host are not among them: root in the job may replace any.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use super::copies::{Copies, Place};
use super::guard::read_only;
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
pub(super) fn cover(copies: &mut Copies) -> Result<()> {
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
            cover_one(copies, &path, mount).during(Step::Mount, format!("covering {}", path.display()))?;
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

fn cover_one(copies: &mut Copies, path: &Path, mount: u64) -> io::Result<()> {
    if copies.show(path, mount)? { Ok(()) } else { read_only(path) }
}

//! Files that show another content to the job: a file is bound over each, or, where something in the job
//! may want to replace it by another, its directory is a copy with the other content in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::MountPlan;
use super::copies::{Copies, Place};
use super::stage::{bind, place};
use crate::error::{During, Result, Step};

/// Where the plan's files really are, links followed.
pub(super) type Files<'a> = Vec<(PathBuf, &'a [u8])>;

/// Makes copies of the plan's directories as far as possible. `mount_points` are those of the caller: what
/// is mounted beneath a directory would be missing in its copy.
pub(super) fn copy_directories(
    plan: &MountPlan,
    copies: &mut Copies,
    mount_points: &[PathBuf],
) -> Result<Vec<PathBuf>> {
    let mut copied: Vec<PathBuf> = Vec::new();
    for path in plan.copied.iter().filter_map(|path| fs::canonicalize(path).ok()) {
        let is_beneath = copied.iter().any(|directory| path.starts_with(directory));
        let has_mounts = mount_points.iter().any(|point| point.starts_with(&path) && *point != path);
        if is_beneath || has_mounts || !path.is_dir() {
            continue;
        }
        let Ok(at) = Place::look(&path) else { continue };
        if copies.show(&path, at.mount).during(Step::Mount, format!("copying {}", path.display()))? {
            copied.push(path);
        }
    }
    Ok(copied)
}

/// Shows files with another content, and adds those that only copies have, from a stage that is mounted.
pub(super) fn replace_files(files: &Files<'_>, added: &Files<'_>, copied: &[PathBuf]) -> Result<()> {
    let is_in_copy = |path: &Path| copied.iter().any(|directory| path.starts_with(directory));
    for (index, (path, content)) in files.iter().enumerate() {
        let replaced =
            if is_in_copy(path) { fs::write(path, content) } else { replace_file(path, content, index) };
        replaced.during(Step::Mount, format!("replacing {}", path.display()))?;
    }
    for (path, content) in added.iter().filter(|(path, _)| is_in_copy(path)) {
        fs::write(path, content).during(Step::Mount, format!("adding {}", path.display()))?;
    }
    Ok(())
}

fn replace_file(path: &Path, content: &[u8], index: usize) -> io::Result<()> {
    if !path.exists() {
        // Its directory was masked just now, so the file can simply be made there.
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        return fs::write(path, content);
    }
    let replacement = place(&format!("file-{index}"));
    fs::write(&replacement, content)?;
    bind(&replacement, path)
}

/// The caller's mount points (proc_pid_mountinfo(5)), to be read before its `/proc` is covered. What the
/// kernel escapes in them stays so: only beginnings are compared.
pub(super) fn mount_points() -> io::Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(table.lines().filter_map(|line| line.split(' ').nth(4)).map(PathBuf::from).collect())
}

//! Files that only the job has, in a directory that the host does not have. It is made where the job has
//! a directory in memory of its own anyway, so that neither the host nor another job sees it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Directories that every job has for itself if the host has them: [`super::run`] covers the one, and
/// [`super::devices`] makes or masks the other.
const PARENTS: [&str; 2] = ["/run", "/dev/shm"];
const NAME: &str = "cijail-net";

/// A directory that only the job has, and what is in it.
#[derive(Debug, Clone, Default)]
pub struct OwnFiles {
    /// As [`own_directory`] finds one.
    pub directory: PathBuf,
    /// Paths beneath it, with the contents.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

/// Where a job's new files go: a path that nothing has on the host. `None` on a host that has no place for
/// it.
pub fn own_directory() -> Option<PathBuf> {
    let is_directory = |path: &&Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    let parent = PARENTS.map(Path::new).into_iter().find(is_directory)?;
    // A job in a job has that of the outer one before it.
    let names = std::iter::once(NAME.to_owned()).chain((2..100).map(|number| format!("{NAME}-{number}")));
    names.map(|name| parent.join(name)).find(|path| fs::symlink_metadata(path).is_err())
}

impl OwnFiles {
    /// Makes the directory and the files in it, which every user can read.
    pub(super) fn make(&self) -> io::Result<()> {
        // What is there already would be the host's.
        fs::create_dir(&self.directory)?;
        for (path, content) in &self.files {
            let parent = path.parent().filter(|parent| parent.starts_with(&self.directory));
            fs::create_dir_all(parent.ok_or(io::ErrorKind::InvalidInput)?)?;
            fs::write(path, content)?;
        }
        Ok(())
    }
}

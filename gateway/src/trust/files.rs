//! The thin I/O of this module: what the host has, behind a trait that tests answer from memory.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// No store of roots comes near to this.
const MAX_SIZE: u64 = 16 << 20;
/// Room for what will be added to a file that was read.
const SPARE: usize = 4096;
/// Nobody waits for the other end of a pipe (open(2)).
const O_NONBLOCK: i32 = 0o4000;

/// Reads files of the host.
pub trait Files {
    /// The path without links, if there is something.
    fn real(&self, path: &Path) -> Option<PathBuf>;

    /// The content of a regular file.
    ///
    /// # Errors
    /// There is no such file, it may not be read, or it is too large to be a store of roots.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The paths of what is in a directory; nothing if it cannot be read.
    fn entries(&self, directory: &Path) -> Vec<PathBuf>;
}

/// The files of this machine.
#[derive(Debug, Clone, Copy)]
pub struct HostFiles {
    /// Only what every user may read: the job runs as another user than the caller.
    pub public_only: bool,
}

impl Files for HostFiles {
    fn real(&self, path: &Path) -> Option<PathBuf> {
        fs::canonicalize(path).ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = File::options().read(true).custom_flags(O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_SIZE {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file of certificates"));
        }
        if self.public_only && metadata.mode() & 0o004 == 0 {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "not every user may read it"));
        }
        let mut content = Vec::with_capacity(metadata.len() as usize + SPARE);
        file.take(MAX_SIZE).read_to_end(&mut content)?;
        Ok(content)
    }

    fn entries(&self, directory: &Path) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
        entries.flatten().map(|entry| entry.path()).collect()
    }
}

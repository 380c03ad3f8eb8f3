//! What hides a directory, a file or a socket from the job, and what shows a socket all the same.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::stage::{bind, empty_like, place};

/// Covers a directory with an empty one of the same owner and mode: a mask over a single socket
/// would be undone when its server makes the socket again.
pub(super) fn mask_directory(directory: &Path, name: &str) -> io::Result<()> {
    let Ok(metadata) = fs::metadata(directory) else { return Ok(()) };
    if !metadata.is_dir() {
        return Ok(());
    }
    let empty = place(name);
    empty_like(&metadata, &empty)?;
    bind(&empty, directory)
}

/// Covers a file or socket with an empty file that nobody may open.
pub(super) fn mask_file(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let blank = place("blank");
    if !blank.exists() {
        fs::write(&blank, b"")?;
        fs::set_permissions(&blank, Permissions::from_mode(0o000))?;
    }
    match bind(&blank, path) {
        // Removed just now.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// A socket that stays visible, held in the stage while its directory is covered.
pub(super) struct Kept<'a> {
    pub(super) path: &'a PathBuf,
    held: PathBuf,
    identity: (u64, u64),
}

impl<'a> Kept<'a> {
    /// `None` if there is nothing at this path.
    pub(super) fn hold(path: &'a PathBuf, index: usize) -> io::Result<Option<Kept<'a>>> {
        let Ok(metadata) = fs::metadata(path) else { return Ok(None) };
        let held = place(&format!("kept-{index}"));
        fs::write(&held, b"")?;
        bind(path, &held)?;
        Ok(Some(Kept { path, held, identity: identity(&metadata) }))
    }

    /// Shows the socket at its place, beneath whatever covers that.
    pub(super) fn show(&self) -> io::Result<()> {
        if self.path.exists() {
            return Ok(());
        }
        if let Some(parent) = self.path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(self.path, b"")?;
        bind(&self.held, self.path)
    }

    /// Whether the socket is to be seen at this path, which may be another than its rule's.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|metadata| self.is(&metadata))
    }

    /// Whether this is the socket.
    pub(super) fn is(&self, metadata: &fs::Metadata) -> bool {
        self.identity == identity(metadata)
    }
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

//! Files that are written whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that was not written.
#[derive(Debug, thiserror::Error)]
#[error("writing {}", path.display())]
pub(super) struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Writes beside the file and moves it there, so that a full disk loses nothing. A file that lies
/// beside it already may be a link that a job has put there: it is neither followed nor replaced.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), WriteError> {
    let failed = |source| WriteError { path: path.to_owned(), source };
    // A link goes on naming the file.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut beside = path.clone().into_os_string();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&beside)
        .map_err(|source| WriteError { path: beside.clone(), source })?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| match fs::metadata(&path) {
            Ok(before) => file.set_permissions(before.permissions()),
            // It is made now.
            Err(_) => Ok(()),
        })
        .and_then(|()| fs::rename(&beside, &path));
    written.map_err(|source| {
        // What is half written is of no use.
        let _ = fs::remove_file(&beside);
        failed(source)
    })
}

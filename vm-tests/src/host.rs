//! The host's installed programs, as files for a guest.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cpio::Archive;
use crate::programs;
use crate::tool::{self, ToolError};

/// Files that packages make when they are installed.
const MADE: [&str; 3] = ["/etc/alternatives", "/etc/ld.so.cache", "/etc/ssl/certs/ca-certificates.crt"];
/// Links into `/usr` (hier(7)).
const LINKS: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// The host's programs could not be collected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    #[error("asking which programs are installed")]
    Tool(#[from] ToolError),
    #[error("reading {path}")]
    Read { path: PathBuf, source: io::Error },
}

/// Adds the programs that the black-box tests use, with all that they depend on. Returns the number of packages.
pub(crate) fn add_programs(archive: &mut Archive) -> Result<usize, HostError> {
    let here = Path::new("/");
    let listing = tool::run("dpkg-query", &["-W", "-f", programs::FORMAT], here)?;
    let packages = programs::with_dependencies(&listing, &programs::WANTED);
    let words: Vec<&str> = ["-L"].into_iter().chain(packages.iter().map(String::as_str)).collect();
    let listed = tool::run("dpkg-query", &words, here)?;
    let mut paths: BTreeSet<PathBuf> = BTreeSet::new();
    for path in listed.lines().filter(|path| path.starts_with('/') && programs::is_needed(path)) {
        paths.extend(without_links(Path::new(path)));
    }
    for path in MADE.map(Path::new) {
        paths.insert(path.to_owned());
        if path.is_dir() {
            let entries =
                fs::read_dir(path).map_err(|source| HostError::Read { path: path.into(), source })?;
            let entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            // Programs among the alternatives are links to here, which no package lists.
            paths.extend(
                entries
                    .iter()
                    .filter_map(|entry| entry.file_name())
                    .map(|name| Path::new("/usr/bin").join(name)),
            );
            paths.extend(entries);
        }
    }
    let ancestors: Vec<PathBuf> =
        paths.iter().flat_map(|path| path.ancestors().skip(1).map(Path::to_owned)).collect();
    paths.extend(ancestors);
    for path in paths.iter().filter(|path| path.parent().is_some()) {
        add(archive, path)?;
    }
    for link in LINKS.into_iter().filter(|link| Path::new("/").join(link).is_symlink()) {
        archive.link(link, &format!("usr/{link}"));
    }
    Ok(packages.len())
}

/// The same file by a path whose directories are none of [`LINKS`].
fn without_links(path: &Path) -> Option<PathBuf> {
    let directory = path.parent()?.canonicalize().ok()?;
    let path = directory.join(path.file_name()?);
    let is_link_to_directory = LINKS.iter().any(|link| path == Path::new("/").join(link));
    (!is_link_to_directory).then_some(path)
}

/// Files that a package lists and the host does not have are left out, as are those that only root may read.
fn add(archive: &mut Archive, path: &Path) -> Result<(), HostError> {
    let failed = |source| HostError::Read { path: path.to_owned(), source };
    let Ok(metadata) = fs::symlink_metadata(path) else { return Ok(()) };
    let name = path.to_string_lossy();
    let name = name.trim_start_matches('/');
    let permissions = metadata.permissions().mode() & 0o7777;
    if metadata.is_dir() {
        archive.directory(name, permissions);
    } else if metadata.is_symlink() {
        archive.link(name, &fs::read_link(path).map_err(failed)?.to_string_lossy());
    } else if metadata.is_file() {
        match fs::read(path) {
            Ok(content) => archive.file(name, permissions, &content),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(())
}

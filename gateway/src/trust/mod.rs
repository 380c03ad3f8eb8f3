//! Trust in the job: what makes its programs accept certificates that the run's own authority signs.
//! Pure but for [`HostFiles`], which reads the host's roots; what comes out is files and variables.
//!
//! Programs find their roots in three ways: in a file of the system, which shows another content in the
//! job; in a file that a variable names; or in a store of their own kind, as Java does. Which program is
//! served by which is told in `docs/interception.md`.

mod bundles;
mod der;
mod files;
mod hash;
mod java;
mod pem;
mod plan;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod variables;

use std::ffi::CString;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

pub use bundles::system_bundle;
pub use files::{Files, HostFiles};

/// The job's view of the certificates, next to what it would see without interception.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    /// Files of the host that show another content, by their real paths.
    pub covered: Vec<(PathBuf, Vec<u8>)>,
    /// Files that the host does not have, all in the job's own directory.
    pub new: Vec<(PathBuf, Vec<u8>)>,
    /// Directories that tools of the job's root may write anew.
    pub made: Vec<PathBuf>,
    /// Where such tools find the authority, if the job has copies of these directories.
    pub anchors: Vec<(PathBuf, Vec<u8>)>,
    /// Variables that are added, or get another value.
    pub variables: Vec<(&'static str, Vec<u8>)>,
    /// What could not be done, for people.
    pub notes: Vec<String>,
}

/// The job as it would be without interception.
#[derive(Debug, Clone, Copy)]
pub struct JobView<'a> {
    /// Its environment, as `NAME=value`.
    pub environment: &'a [CString],
    /// Where it starts, which relative paths in variables are meant from.
    pub directory: &'a Path,
    /// A directory of its own that does not exist yet, if there can be one.
    pub own_directory: Option<&'a Path>,
}

impl Trust {
    /// Plans how the job comes to trust an authority, without losing any root that it trusts already.
    pub fn plan(authority: &CertificateDer<'_>, job: JobView<'_>, files: &impl Files) -> Trust {
        plan::Planner::new(authority, job, files).plan()
    }

    /// The environment with the variables in it.
    pub fn apply(&self, environment: Vec<CString>) -> Vec<CString> {
        let is_kept = |entry: &CString| {
            let name = variables::name(entry.as_bytes());
            !self.variables.iter().any(|(ours, _)| ours.as_bytes() == name)
        };
        let added = self.variables.iter().filter_map(|(name, value)| {
            // A value that a variable had, or a path: neither holds a NUL byte.
            CString::new([name.as_bytes(), b"=", value].concat()).ok()
        });
        environment.into_iter().filter(is_kept).chain(added).collect()
    }
}

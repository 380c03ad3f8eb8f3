//! Packages of the distribution, downloaded from the sources that apt is configured with, and unpacked without being
//! installed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::tool::{self, ToolError};

/// Depends on the newest kernel of its kind.
const NEWEST_KERNEL: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";

/// A package could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DebianError {
    #[error("getting a package")]
    Tool(#[from] ToolError),
    #[error("keeping packages in {path}")]
    Directory { path: PathBuf, source: io::Error },
    #[error("apt knows no version of {0}: run apt-get update as root")]
    Unknown(&'static str),
    #[error("{package} has no {what}")]
    Lacks { package: String, what: &'static str },
}

/// An unpacked package.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its name and version, as in the name of its file.
    pub(crate) name: String,
    /// The size of its file in octets.
    pub(crate) size: u64,
    /// Whether it was downloaded just now.
    pub(crate) is_new: bool,
    root: PathBuf,
}

/// The kernel's package, and where its parts are.
#[derive(Debug)]
pub(crate) struct Kernel {
    pub(crate) package: Package,
    pub(crate) release: String,
    pub(crate) image: PathBuf,
    pub(crate) modules: PathBuf,
}

/// The newest kernel for clouds.
pub(crate) fn kernel(cache: &Path, busybox: &Path) -> Result<Kernel, DebianError> {
    let here = Path::new("/");
    let about = tool::run("apt-cache", &["show", "--no-all-versions", NEWEST_KERNEL], here)?;
    let name = first_dependency(&about).ok_or(DebianError::Unknown(NEWEST_KERNEL))?;
    let package = package(cache, name)?;
    let lacks = |what| DebianError::Lacks { package: package.name.clone(), what };
    let release = name.strip_prefix("linux-image-").ok_or_else(|| lacks("release in its name"))?.to_owned();
    let image = package.file(&format!("boot/vmlinuz-{release}")).ok_or_else(|| lacks("kernel"))?;
    // Packages of unpacked machines have them in /usr.
    let modules = ["lib/modules", "usr/lib/modules"]
        .iter()
        .find_map(|place| package.file(&format!("{place}/{release}")))
        .ok_or_else(|| lacks("modules"))?;
    if !modules.join("modules.dep").exists() {
        let root = package.root.to_string_lossy();
        tool::run(&busybox.to_string_lossy(), &["depmod", "-b", &root, &release], here)?;
    }
    Ok(Kernel { package, release, image, modules })
}

/// One static program that is a shell and its tools.
pub(crate) fn busybox(cache: &Path) -> Result<(Package, PathBuf), DebianError> {
    let package = package(cache, BUSYBOX)?;
    let program = ["bin/busybox", "usr/bin/busybox"].iter().find_map(|path| package.file(path));
    let lacks = || DebianError::Lacks { package: package.name.clone(), what: "program" };
    program.ok_or_else(lacks).map(|program| (package, program))
}

impl Package {
    fn file(&self, path: &str) -> Option<PathBuf> {
        Some(self.root.join(path)).filter(|path| path.exists())
    }
}

fn package(cache: &Path, name: &str) -> Result<Package, DebianError> {
    let failed = |source| DebianError::Directory { path: cache.to_owned(), source };
    fs::create_dir_all(cache).map_err(failed)?;
    // A newer version has another file name, and is found once apt knows it.
    let version = tool::run("apt-cache", &["policy", name], cache)?;
    let version = candidate(&version).unwrap_or_default().replace(':', "%3a");
    let known = find(cache, &format!("{name}_{version}_")).map_err(failed)?;
    let is_new = known.is_none();
    if is_new {
        tool::run("apt-get", &["download", "-qq", name], cache)?;
    }
    let found = find(cache, &format!("{name}_")).map_err(failed)?;
    let file = known.or(found).ok_or(DebianError::Lacks { package: name.to_owned(), what: "file" })?;
    let size = fs::metadata(&file).map_err(failed)?.len();
    let root = file.with_extension("");
    if !root.exists() {
        let part = file.with_extension("part");
        if part.exists() {
            fs::remove_dir_all(&part).map_err(failed)?;
        }
        tool::run("dpkg", &["-x", &file.to_string_lossy(), &part.to_string_lossy()], cache)?;
        fs::rename(&part, &root).map_err(failed)?;
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy().replace("%3a", ":");
    Ok(Package { name, size, is_new, root })
}

/// A package's file whose name starts like this.
fn find(cache: &Path, start: &str) -> io::Result<Option<PathBuf>> {
    let mut found = None;
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(start) && name.ends_with(".deb") {
            found = Some(path);
        }
    }
    Ok(found)
}

/// Of what `apt-cache show` prints.
fn first_dependency(text: &str) -> Option<&str> {
    let depends = text.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    depends.split([' ', ',']).next()
}

/// Of what `apt-cache policy` prints.
fn candidate(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_prints() {
        let shown = "Package: linux-image-cloud-amd64\nDepends: linux-image-6.1-cloud-amd64 (= 6.1.1-1), x\n";
        assert_eq!(first_dependency(shown), Some("linux-image-6.1-cloud-amd64"));
        assert_eq!(first_dependency(""), None);
        assert_eq!(candidate("x:\n  Installed: (none)\n  Candidate: 1:1.35-4\n"), Some("1:1.35-4"));
    }
}

//! What a guest starts with: the initramfs image, written to the cache.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cpio::Archive;
use crate::debian::Kernel;
use crate::host::{self, HostError};
use crate::modules::{Modules, NoModule};

/// Needed to see the machine's disk.
const DISK: [&str; 2] = ["virtio_pci", "virtio_blk"];
/// What runs of `cijail-net` ask the kernel for, and tunnels for hostile jobs.
const NETWORK: [&str; 7] = ["veth", "nft_tproxy", "nft_log", "nfnetlink_log", "tun", "tcp_diag", "udp_diag"];
/// For the job that tries to load it; never loaded by the guest.
const SPARE: [&str; 1] = ["dummy"];

/// The guest could not be put together.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    #[error("reading {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("writing {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Module(#[from] NoModule),
    #[error("adding the host's programs")]
    Host(#[from] HostError),
}

/// What every guest has.
#[derive(Debug)]
pub(crate) struct Parts<'a> {
    pub(crate) kernel: &'a Kernel,
    pub(crate) busybox: &'a Path,
    pub(crate) cijail_net: &'a Path,
}

/// An image that has been written.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    /// In octets.
    pub(crate) size: usize,
}

/// A machine with busybox alone.
pub(crate) fn small(parts: &Parts<'_>, path: PathBuf) -> Result<Image, GuestError> {
    let mut archive = Archive::default();
    archive.directory("usr", 0o755);
    archive.directory("usr/lib", 0o755);
    archive.link("lib", "usr/lib");
    own(parts, &mut archive)?;
    let users = ["root:x:0:0:root:/root:/bin/sh", "worker:x:1000:1000:worker:/home/worker:/bin/sh"];
    archive.directory("etc", 0o755);
    archive.file("etc/passwd", 0o644, (users.join("\n") + "\n").as_bytes());
    archive.file("etc/group", 0o644, b"root:x:0:\nworker:x:1000:\n");
    write(archive, path)
}

/// A machine with the host's programs and the black-box tests. Returns the number of the host's packages too.
pub(crate) fn full(parts: &Parts<'_>, tests: &Path, path: PathBuf) -> Result<(Image, usize), GuestError> {
    let mut archive = Archive::default();
    let packages = host::add_programs(&mut archive)?;
    own(parts, &mut archive)?;
    archive.file("vm/tests", 0o755, &read(tests)?);
    for name in ["etc/passwd", "etc/group"] {
        archive.file(name, 0o644, &read(&Path::new("/").join(name))?);
    }
    // Each test shows others in their places.
    for name in ["etc/resolv.conf", "etc/hosts", "etc/nsswitch.conf"] {
        archive.file(name, 0o644, b"");
    }
    Ok((write(archive, path)?, packages))
}

fn own(parts: &Parts<'_>, archive: &mut Archive) -> Result<(), GuestError> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("guest");
    archive.file("init", 0o755, &read(&scripts.join("init.sh"))?);
    archive.directory("vm", 0o755);
    archive.file("vm/busybox", 0o755, &read(parts.busybox)?);
    archive.file("vm/cijail-net", 0o755, &read(parts.cijail_net)?);
    archive.directory("vm/stories", 0o755);
    for (directory, place) in [(scripts.clone(), "vm"), (scripts.join("stories"), "vm/stories")] {
        for script in files(&directory)? {
            let name = script.file_name().unwrap_or_default().to_string_lossy().into_owned();
            archive.file(&format!("{place}/{name}"), 0o755, &read(&script)?);
        }
    }
    modules(parts.kernel, archive)
}

/// The modules that a guest may load, where the kernel looks for them, and the order for loading them by hand.
fn modules(kernel: &Kernel, archive: &mut Archive) -> Result<(), GuestError> {
    let text =
        |name| read(&kernel.modules.join(name)).map(|text| String::from_utf8_lossy(&text).into_owned());
    let (dependencies, builtin) = (text("modules.dep")?, text("modules.builtin")?);
    let modules = Modules::parse(&dependencies, &builtin);
    let place = format!("usr/lib/modules/{}", kernel.release);
    let all = modules.order(&[&DISK[..], &NETWORK, &SPARE].concat())?;
    archive.directory("usr/lib/modules", 0o755);
    archive.directory(&place, 0o755);
    let mut directories = Vec::new();
    for path in &all {
        let parents: Vec<&str> = path.match_indices('/').map(|(at, _)| &path[..at]).collect();
        for parent in parents {
            if !directories.contains(&parent) {
                directories.push(parent);
                archive.directory(&format!("{place}/{parent}"), 0o755);
            }
        }
        archive.file(&format!("{place}/{path}"), 0o644, &read(&kernel.modules.join(path))?);
    }
    for name in ["modules.dep", "modules.alias", "modules.builtin", "modules.symbols"] {
        archive.file(&format!("{place}/{name}"), 0o644, &read(&kernel.modules.join(name))?);
    }
    for (name, wanted) in [("all", [&DISK[..], &NETWORK].concat()), ("few", DISK.to_vec())] {
        let lines: String = modules.order(&wanted)?.iter().map(|path| format!("/{place}/{path}\n")).collect();
        archive.file(&format!("vm/order-{name}"), 0o644, lines.as_bytes());
    }
    Ok(())
}

fn files(directory: &Path) -> Result<Vec<PathBuf>, GuestError> {
    let failed = |source| GuestError::Read { path: directory.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        files.push(entry.map_err(failed)?.path());
    }
    files.retain(|path| path.is_file());
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, GuestError> {
    fs::read(path).map_err(|source| GuestError::Read { path: path.to_owned(), source })
}

fn write(archive: Archive, path: PathBuf) -> Result<Image, GuestError> {
    let bytes = archive.finish();
    match fs::write(&path, &bytes) {
        Ok(()) => Ok(Image { path, size: bytes.len() }),
        Err(source) => Err(GuestError::Write { path, source }),
    }
}

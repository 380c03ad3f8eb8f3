//! What looks different to the job: name resolution files, masked sockets, its own `/proc`.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::error::{During, Result, Step};

/// Where the private files are built before they are bound to their places; every system has it,
/// and the fresh `/proc` covers it afterwards.
const STAGE: &str = "/proc";

/// The changes to the job's view of the file system.
#[derive(Debug, Clone, Default)]
pub struct MountPlan {
    /// Files that get another content. One that does not exist is left alone.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Directories that show an empty one with the same owner and mode instead.
    pub masked_directories: Vec<PathBuf>,
    /// Files and sockets that show an empty file without permissions instead.
    pub masked_files: Vec<PathBuf>,
}

/// Directories and files by which a job could act outside its namespaces, or ask for names behind
/// the gateway's back: name service caches, buses, container engines, agents. Those that do not
/// exist are skipped.
pub fn default_masks(runtime_directory: Option<&Path>) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let directories = [
        "/run/nscd",
        "/run/systemd",
        "/run/dbus",
        "/run/avahi-daemon",
        "/run/docker",
        "/run/containerd",
        "/run/podman",
        "/run/buildkit",
        "/run/crio",
        "/run/snapd",
        "/tmp/.X11-unix",
    ];
    let files = ["/run/docker.sock", "/run/snapd.socket", "/run/snapd-snap.socket", "/run/acpid.socket"];
    let mut directories: Vec<PathBuf> = directories.into_iter().map(PathBuf::from).collect();
    directories.extend(runtime_directory.map(Path::to_path_buf));
    (directories, files.into_iter().map(PathBuf::from).collect())
}

/// Carries the plan out in the calling process's mount namespace and mounts a fresh `/proc`.
pub(super) fn apply(plan: &MountPlan) -> Result<()> {
    let none = None::<&str>;
    // Nothing that is mounted outside later may cover a mask, and nothing of ours may leak out.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .during(Step::Mount, "making the mounts private")?;
    // A link is followed before its target's directory is masked.
    let files: Vec<(PathBuf, &[u8])> = plan
        .files
        .iter()
        .filter_map(|(path, content)| Some((fs::canonicalize(path).ok()?, content.as_slice())))
        .collect();
    for directory in &plan.masked_directories {
        mask_directory(directory).during(Step::Mount, format!("masking {}", directory.display()))?;
    }
    if !files.is_empty() || plan.masked_files.iter().any(|path| path.exists()) {
        staged(&files, &plan.masked_files)?;
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)
        .during(Step::Mount, "mounting the job's own /proc")
}

/// Puts private files and masks in place, with the stage there for as long as that takes.
pub(super) fn staged(files: &[(PathBuf, &[u8])], masks: &[PathBuf]) -> Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), STAGE, Some("tmpfs"), flags, Some("mode=0755,size=1m"))
        .during(Step::Mount, "mounting a stage for private files")?;
    for (index, (path, content)) in files.iter().enumerate() {
        replace_file(path, content, index).during(Step::Mount, format!("replacing {}", path.display()))?;
    }
    let blank = Path::new(STAGE).join("blank");
    for path in masks.iter().filter(|path| path.exists()) {
        mask_file(&blank, path).during(Step::Mount, format!("masking {}", path.display()))?;
    }
    umount2(STAGE, MntFlags::MNT_DETACH).during(Step::Mount, "removing the stage for private files")
}

fn replace_file(path: &Path, content: &[u8], index: usize) -> io::Result<()> {
    if !path.exists() {
        // Its directory was masked just now, so the file can simply be made there.
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        return fs::write(path, content);
    }
    let staged = Path::new(STAGE).join(index.to_string());
    fs::write(&staged, content)?;
    bind(&staged, path)
}

fn mask_file(blank: &Path, path: &Path) -> io::Result<()> {
    if !blank.exists() {
        fs::write(blank, b"")?;
        fs::set_permissions(blank, std::os::unix::fs::PermissionsExt::from_mode(0o000))?;
    }
    bind(blank, path)
}

fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

/// Covers a directory with an empty one: a mask over a single socket would be undone when its
/// server makes the socket again.
fn mask_directory(directory: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::metadata(directory) else { return Ok(()) };
    if !metadata.is_dir() {
        return Ok(());
    }
    let options =
        format!("mode={:o},uid={},gid={},size=16m", metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    let mounted = mount(Some("tmpfs"), directory, Some("tmpfs"), flags, Some(options.as_str()));
    if mounted == Err(nix::Error::EINVAL) {
        // An owner without a mapping in this user namespace cannot be given.
        let options = format!("mode={:o},size=16m", metadata.mode() & 0o7777);
        return Ok(mount(Some("tmpfs"), directory, Some("tmpfs"), flags, Some(options.as_str()))?);
    }
    Ok(mounted?)
}

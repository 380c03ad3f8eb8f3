//! What looks different to the job: name resolution files, masked sockets, its own `/proc`.

use std::ffi::{CStr, CString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};

use crate::error::{During, Result, Step};

/// Where the private files are built before they are bound to their places; every system has it,
/// and the fresh `/proc` covers it afterwards. It stays mounted beneath: unmounting would wait for
/// an RCU grace period, most of a millisecond, and the job can take the cover off no more than any
/// other mask.
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
    /// Sockets that stay visible, also beneath a mask.
    pub kept: Vec<PathBuf>,
    /// A directory of the job's user that is made anew beneath a mask.
    pub runtime_directory: Option<PathBuf>,
    /// The job may be root, so that what the kernel offers to root in the file system is read-only.
    pub guard_kernel: bool,
}

/// Directories and files by which a job could act outside its namespaces, or ask for names behind
/// the gateway's back: name service caches, buses, container engines, agents. Those that do not
/// exist are skipped.
pub fn default_masks() -> (Vec<PathBuf>, Vec<PathBuf>) {
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
        "/run/user",
        "/run/libvirt",
        "/run/screen",
        "/run/tmux",
        "/tmp/.X11-unix",
    ];
    let files = ["/run/docker.sock", "/run/snapd.socket", "/run/snapd-snap.socket", "/run/acpid.socket"];
    let paths = |texts: &[&str]| texts.iter().map(PathBuf::from).collect();
    (paths(&directories), paths(&files))
}

/// Carries the plan out in the calling process's mount namespace and mounts a fresh `/proc`.
pub(super) fn apply(plan: &MountPlan) -> Result<()> {
    let none = None::<&str>;
    // Nothing that is mounted outside later may cover a mask, and nothing of ours may leak out.
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .during(Step::Mount, "making the mounts private")?;
    staged(plan)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, none)
        .during(Step::Mount, "mounting the job's own /proc")?;
    if plan.guard_kernel {
        guard_kernel()?;
    }
    Ok(())
}

/// Makes read-only what root could change the kernel by without any capability: a program named in
/// `core_pattern` runs outside every namespace.
fn guard_kernel() -> Result<()> {
    for path in ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/sys"] {
        let path = Path::new(path);
        if path.exists() {
            read_only(path).during(Step::Mount, format!("making {} read-only", path.display()))?;
        }
    }
    Ok(())
}

/// Makes a file or directory read-only with everything mounted beneath it.
fn read_only(path: &Path) -> io::Result<()> {
    let target = CString::new(path.as_os_str().as_bytes())?;
    match set_read_only(&target) {
        // Not a mount yet.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            bind(path, path)?;
            set_read_only(&target)
        }
        result => result,
    }
}

fn set_read_only(target: &CStr) -> io::Result<()> {
    // SAFETY: all zeroes is a valid mount_attr, which asks for nothing.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: the path is a C string and the structure lives here; the kernel reads both
    // (mount_setattr(2)).
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_RECURSIVE,
            &raw mut attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes the private files and directories in one file system in memory and binds them to their
/// places: a bind costs a fraction of a mount of its own.
pub(super) fn staged(plan: &MountPlan) -> Result<()> {
    // A link is followed before its target's directory is masked.
    let files: Vec<(PathBuf, &[u8])> = plan
        .files
        .iter()
        .filter_map(|(path, content)| Some((fs::canonicalize(path).ok()?, content.as_slice())))
        .collect();
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("tmpfs"), STAGE, Some("tmpfs"), flags, Some("mode=0755,size=64m"))
        .during(Step::Mount, "mounting a stage for private files")?;
    // What stays visible is held in the stage while its directory is covered.
    let kept: Vec<(&PathBuf, PathBuf)> = plan
        .kept
        .iter()
        .filter(|path| path.exists())
        .enumerate()
        .map(|(index, path)| (path, Path::new(STAGE).join(format!("kept-{index}"))))
        .collect();
    for (path, held) in &kept {
        hold(path, held).during(Step::Mount, format!("keeping {}", path.display()))?;
    }
    for (index, directory) in plan.masked_directories.iter().enumerate() {
        mask_directory(directory, index).during(Step::Mount, format!("masking {}", directory.display()))?;
    }
    if let Some(directory) = &plan.runtime_directory {
        runtime_directory(directory).during(Step::Mount, format!("making {}", directory.display()))?;
    }
    for (path, held) in &kept {
        if !path.exists() {
            show(held, path).during(Step::Mount, format!("keeping {}", path.display()))?;
        }
    }
    for path in plan.masked_files.iter().filter(|path| !plan.kept.contains(path)) {
        mask_file(path).during(Step::Mount, format!("masking {}", path.display()))?;
    }
    for (index, (path, content)) in files.iter().enumerate() {
        replace_file(path, content, index).during(Step::Mount, format!("replacing {}", path.display()))?;
    }
    Ok(())
}

/// Binds a socket to a place in the stage.
fn hold(path: &Path, held: &Path) -> io::Result<()> {
    fs::write(held, b"")?;
    bind(path, held)
}

/// Binds a held socket back to its place, beneath a mask.
fn show(held: &Path, path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, b"")?;
    bind(held, path)
}

/// Programs of the job keep their own files there; it is empty, and the job's alone.
fn runtime_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

fn replace_file(path: &Path, content: &[u8], index: usize) -> io::Result<()> {
    if !path.exists() {
        // Its directory was masked just now, so the file can simply be made there.
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        return fs::write(path, content);
    }
    let staged = Path::new(STAGE).join(format!("file-{index}"));
    fs::write(&staged, content)?;
    bind(&staged, path)
}

fn mask_file(path: &Path) -> io::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let blank = Path::new(STAGE).join("blank");
    if !blank.exists() {
        fs::write(&blank, b"")?;
        fs::set_permissions(&blank, Permissions::from_mode(0o000))?;
    }
    bind(&blank, path)
}

/// Covers a directory with an empty one of the same owner and mode: a mask over a single socket
/// would be undone when its server makes the socket again.
fn mask_directory(directory: &Path, index: usize) -> io::Result<()> {
    let Ok(metadata) = fs::metadata(directory) else { return Ok(()) };
    if !metadata.is_dir() {
        return Ok(());
    }
    let empty = Path::new(STAGE).join(format!("directory-{index}"));
    fs::create_dir(&empty)?;
    // An owner that the user namespace does not map cannot be given; ours is as good then.
    let _ = chown(&empty, Some(metadata.uid()), Some(metadata.gid()));
    fs::set_permissions(&empty, Permissions::from_mode(metadata.mode() & 0o7777))?;
    bind(&empty, directory)
}

fn bind(source: &Path, target: &Path) -> io::Result<()> {
    Ok(mount(Some(source), target, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

//! What looks different to the job: name resolution files, masked sockets, its own `/proc`.

mod copies;
mod devices;
mod executed;
mod guard;
mod masks;
mod own;
mod replaced;
mod run;
mod socket_masks;
mod stage;

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, umask};

use crate::error::{During, Result, Step};
use crate::userns::is_initial_user_namespace;

use copies::Copies;
use devices::CallerTerminal;
use masks::{Kept, mask_directory, mask_file};
pub use own::{OwnFiles, own_directory};
use replaced::{Files, copy_directories, mount_points, replace_files};
use socket_masks::Found;

/// The changes to the job's view of the file system.
#[derive(Debug, Clone, Default)]
pub struct MountPlan {
    /// Files that get another content. One that does not exist is left alone.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Directories whose files tools of root replace. Where the job may be root and the kernel makes copies,
    /// it has one of each, and `files` in them can be replaced.
    pub copied: Vec<PathBuf>,
    /// Files that copies of directories have besides.
    pub added: Vec<(PathBuf, Vec<u8>)>,
    /// Files that only the job has.
    pub own: Option<OwnFiles>,
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
/// the gateway's back: name service caches, buses, service managers, container engines, agents. Those
/// that do not exist are skipped.
pub fn default_masks() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let directories = [
        "/run/nscd",
        "/run/systemd",
        "/run/openrc",
        "/run/runit",
        "/run/s6",
        "/run/s6-rc",
        "/run/service",
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

/// Carries the plan out in the calling process's mount namespace and mounts a fresh `/proc`. The
/// process must still be in the caller's network namespace, and is in the root directory afterwards.
pub(super) fn apply(plan: &MountPlan) -> Result<()> {
    make_private()?;
    let before = Before::look().during(Step::Mount, "looking at what the caller has")?;
    let caller_umask = umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let mut copies = Copies::new(plan.guard_kernel && before.is_initial_user_namespace);
    stage(plan, &before, &mut copies)?;
    if plan.guard_kernel {
        devices::cover(before.terminal.as_ref(), before.is_initial_user_namespace)
            .during(Step::Mount, "making the job's own /dev")?;
    } else {
        devices::separate(before.terminal.as_ref())
            .during(Step::Mount, "making parts of /dev the job's own")?;
    }
    if let Some(own) = &plan.own {
        own.make().during(Step::Mount, format!("making {}", own.directory.display()))?;
    }
    umask(caller_umask);
    env::set_current_dir("/").during(Step::Mount, "leaving the covered directories")?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
        .during(Step::Mount, "mounting the job's own /proc")?;
    let guarded = if plan.guard_kernel { &guard::KERNEL_FILES[..] } else { &guard::FILES_OF_USERS[..] };
    for path in guarded.iter().map(Path::new) {
        guard::read_only(path).during(Step::Mount, format!("making {} read-only", path.display()))?;
    }
    Ok(())
}

/// Nothing that is mounted outside later may cover a mask, and nothing of ours may leak out.
pub(super) fn make_private() -> Result<()> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .during(Step::Mount, "making the mounts private")
}

/// What has to be known before the stage covers the caller's `/proc`.
struct Before {
    sockets: Found,
    terminal: Option<CallerTerminal>,
    directory: PathBuf,
    is_initial_user_namespace: bool,
    mount_points: Vec<PathBuf>,
}

impl Before {
    fn look() -> io::Result<Before> {
        Ok(Before {
            sockets: Found::read()?,
            terminal: CallerTerminal::find(),
            // A caller without one has no directory to lose.
            directory: env::current_dir().unwrap_or_default(),
            is_initial_user_namespace: is_initial_user_namespace(),
            mount_points: mount_points()?,
        })
    }
}

/// Mounts the stage and shows what the plan wants from it.
fn stage(plan: &MountPlan, before: &Before, copies: &mut Copies) -> Result<()> {
    // A link is followed before its target's directory is masked.
    let files: Files<'_> = plan
        .files
        .iter()
        .filter_map(|(path, content)| Some((fs::canonicalize(path).ok()?, content.as_slice())))
        .collect();
    let added: Files<'_> = plan
        .added
        .iter()
        .filter_map(|(path, content)| {
            Some((fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?), content.as_slice()))
        })
        .collect();
    stage::mount_stage().during(Step::Mount, "mounting a stage for private files")?;
    // Before the masks, which they would take off.
    if plan.guard_kernel {
        executed::cover(copies)?;
    }
    let copied = copy_directories(plan, copies, &before.mount_points)?;
    let mut kept = Vec::new();
    for (index, path) in plan.kept.iter().enumerate() {
        let held = Kept::hold(path, index).during(Step::Mount, format!("keeping {}", path.display()))?;
        kept.extend(held);
    }
    mask_directories(plan, before)?;
    if let Some(directory) = &plan.runtime_directory {
        runtime_directory(directory).during(Step::Mount, format!("making {}", directory.display()))?;
    }
    for socket in &kept {
        socket.show().during(Step::Mount, format!("keeping {}", socket.path.display()))?;
    }
    let is_kept = |path: &Path| kept.iter().any(|kept| kept.is_at(path));
    for path in plan.masked_files.iter().filter(|path| !is_kept(path)) {
        mask_file(path).during(Step::Mount, format!("masking {}", path.display()))?;
    }
    before.sockets.mask(&kept, &before.directory).during(Step::Mount, "masking the sockets of the host")?;
    replace_files(&files, &added, &copied)
}

/// In `/run` all at once, and one by one elsewhere.
fn mask_directories(plan: &MountPlan, before: &Before) -> Result<()> {
    let (in_run, elsewhere): (Vec<&PathBuf>, Vec<&PathBuf>) =
        plan.masked_directories.iter().partition(|path| run::holds(path));
    let mut names = before.sockets.directories_of_run(&before.directory);
    names.extend(in_run.iter().filter_map(|path| path.file_name()).map(OsStr::to_owned));
    run::cover(&names).during(Step::Mount, "making the job's own /run")?;
    for (index, directory) in elsewhere.into_iter().enumerate() {
        mask_directory(directory, &format!("directory-{index}"))
            .during(Step::Mount, format!("masking {}", directory.display()))?;
    }
    Ok(())
}

/// Programs of the job keep their own files there; it is empty, and the job's alone.
fn runtime_directory(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, Permissions::from_mode(0o700))
}

/// Mounts the stage, and shows another file at the path of one that exists.
pub(super) fn replaced(file: Option<(&Path, &[u8])>) -> Result<()> {
    stage::mount_stage().during(Step::Mount, "mounting a stage for private files")?;
    let files = file.into_iter().map(|(path, content)| (path.to_owned(), content)).collect();
    replace_files(&files, &Vec::new(), &[])
}

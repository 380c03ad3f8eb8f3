//! The job's `/dev`: no shared memory or message queues in common with the host, no terminal but the
//! caller's, and in root mode no devices but those that every program may need.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, mknod, umask};
use nix::unistd::{chdir, isatty};

use super::masks::{mask_directory, mask_file};
use super::stage::{bind, empty_like, place};

const DEV: &str = "/dev";
const TERMINALS: &str = "/dev/pts";
/// Where programs find the caller's terminal if its own name belongs to the host's `/dev/pts`.
const CONSOLE: &str = "/dev/console";

/// What a job of root finds in its `/dev`, as far as the host has it.
const DEVICES: [&str; 9] = ["null", "zero", "full", "random", "urandom", "tty", "kvm", "fuse", "net/tun"];
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];
/// Memory and queues that every user may make files in.
const SHARED: [&str; 2] = ["shm", "mqueue"];

/// Devices that a user may often open, and that reach other machines round every network namespace, or
/// type for the person at this one.
const WAYS_OUT: [&str; 3] = ["/dev/vhost-vsock", "/dev/vsock", "/dev/uinput"];
const INFINIBAND: &str = "/dev/infiniband";

/// The caller's terminal, by a path that shows that very one.
pub(super) struct CallerTerminal(PathBuf);

impl CallerTerminal {
    /// The one that the standard descriptors are, if any is. To be called while `/proc` is there.
    pub(super) fn find() -> Option<CallerTerminal> {
        let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
        [input.as_fd(), output.as_fd(), error.as_fd()].into_iter().enumerate().find_map(
            |(number, descriptor)| {
                if !isatty(descriptor).is_ok_and(|is_one| is_one) {
                    return None;
                }
                let shown = File::from(descriptor.try_clone_to_owned().ok()?).metadata().ok()?;
                let path = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
                // The path may be that of another mount namespace, and lead to another terminal in this one.
                [path, PathBuf::from(CONSOLE)].into_iter().find_map(|path| {
                    let there = fs::metadata(&path).ok()?;
                    let is_same = (there.dev(), there.ino()) == (shown.dev(), shown.ino());
                    (is_same && path != Path::new("/dev/tty")).then_some(CallerTerminal(path))
                })
            },
        )
    }

    /// Its place in a `/dev` with other terminals.
    fn place(&self) -> &Path {
        if self.0.starts_with(TERMINALS) || !self.0.starts_with(DEV) { Path::new(CONSOLE) } else { &self.0 }
    }
}

/// Covers `/dev` with a small one. Leaves the working directory in the old one.
pub(super) fn cover(terminal: Option<&CallerTerminal>, has_all_groups: bool) -> io::Result<()> {
    let dev = Path::new(DEV);
    let small = place("dev");
    empty_like(&fs::metadata(dev)?, &small)?;
    // What is bound back is found from here, beneath the cover.
    chdir(dev)?;
    let terminal = terminal.map(|terminal| {
        (terminal.0.strip_prefix(DEV).unwrap_or(&terminal.0).to_owned(), terminal.place().to_owned())
    });
    bind(&small, dev)?;
    let caller_umask = umask(Mode::empty());
    for device in DEVICES {
        show_device(Path::new(device), &dev.join(device))?;
    }
    for (name, target) in LINKS {
        symlink(target, dev.join(name))?;
    }
    for name in SHARED {
        DirBuilder::new().mode(0o1777).create(dev.join(name))?;
    }
    umask(caller_umask);
    if let Some((old, new)) = terminal {
        fs::write(&new, b"")?;
        bind(&old, &new)?;
    }
    fs::create_dir(TERMINALS)?;
    mount_terminals(has_all_groups)
}

/// Leaves the devices of the host, with the user's own rights to them, but what he would share with
/// the outside through them.
pub(super) fn separate(terminal: Option<&CallerTerminal>) -> io::Result<()> {
    for name in SHARED {
        mask_directory(&Path::new(DEV).join(name), name)?;
    }
    mask_directory(Path::new(INFINIBAND), "infiniband")?;
    for device in WAYS_OUT {
        mask_file(Path::new(device))?;
    }
    if !Path::new(TERMINALS).is_dir() {
        return Ok(());
    }
    if let Some(terminal) = terminal.filter(|terminal| terminal.0 != terminal.place()) {
        if !Path::new(CONSOLE).exists() {
            // Without a place for the caller's terminal, it stays among its neighbours.
            return Ok(());
        }
        bind(&terminal.0, Path::new(CONSOLE))?;
    }
    mount_terminals(false)
}

/// Makes a node for the device of this name in the working directory, or shows that one where nodes
/// cannot be made. The umask must be empty.
fn show_device(old: &Path, new: &Path) -> io::Result<()> {
    let Ok(metadata) = fs::metadata(old) else { return Ok(()) };
    if !metadata.file_type().is_char_device() {
        return Ok(());
    }
    if old.components().count() > 1
        && let Some(directory) = new.parent()
    {
        DirBuilder::new().mode(0o755).create(directory)?;
    }
    match mknod(new, SFlag::S_IFCHR, Mode::from_bits_truncate(metadata.mode()), metadata.rdev()) {
        Err(nix::Error::EPERM) => {
            fs::write(new, b"")?;
            return bind(old, new);
        }
        result => result?,
    }
    if (metadata.uid(), metadata.gid()) != (0, 0) {
        chown(new, Some(metadata.uid()), Some(metadata.gid()))?;
    }
    Ok(())
}

/// Mounts a `/dev/pts` with no terminal in it yet.
fn mount_terminals(has_all_groups: bool) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
    // The group that terminals have everywhere, if it is one in the user namespace.
    let group = if has_all_groups { ",gid=5" } else { "" };
    let options = format!("newinstance,ptmxmode=0666,mode=0620{group}");
    Ok(mount(Some("devpts"), TERMINALS, Some("devpts"), flags, Some(options.as_str()))?)
}

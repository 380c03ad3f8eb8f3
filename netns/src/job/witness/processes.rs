//! Reads of procfs that a job may have prepared for: each has a bound, and none waits for the job.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use nix::dir::Dir;
use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;
use nix::unistd::read;

use super::lines::Image;
use super::{INIT, Program, arguments, lines};

/// Numbers that are read of one directory.
const LISTED: usize = 65_536;

/// The job's `/proc`.
#[derive(Debug)]
pub(in crate::job) struct Processes {
    proc: OwnedFd,
    /// The mount that all sockets are in, if the kernel shows it.
    sockets: Option<u64>,
}

/// The descriptors of a process.
pub(super) enum Descriptors {
    /// `/proc/PID/fd`: links.
    Links(Dir),
    /// `/proc/PID/fdinfo`, which asks for the right to look, and not for the user as well: what is not
    /// dumpable belongs to a root that a user namespace does not know.
    Infos(Dir, u64),
}

impl Processes {
    /// Opens `/proc` as the calling process sees it, to which `socket` belongs.
    ///
    /// # Errors
    /// There is none.
    pub(in crate::job) fn open(socket: &OwnedFd) -> io::Result<Processes> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let proc = nix::fcntl::open("/proc", flags, Mode::empty())?;
        let own = content(&proc, &format!("self/fdinfo/{}", socket.as_raw_fd()), 512);
        let sockets = own.and_then(|text| lines::fdinfo(&text)).map(|(mount, _)| mount);
        Ok(Processes { proc, sockets })
    }

    /// Those that a `/proc` shows, which may have numbers of its own. Sockets are not looked for there.
    pub(in crate::job) fn at(proc: OwnedFd) -> Processes {
        Processes { proc, sockets: None }
    }

    /// The `/proc` itself.
    pub(in crate::job) fn proc(&self) -> &OwnedFd {
        &self.proc
    }

    /// The process that a thread belongs to.
    pub(in crate::job) fn process_of(&self, thread: u32) -> Option<u32> {
        lines::process(&self.content(&format!("{thread}/status"), 512)?)
    }

    /// A thread's numbers, in this PID namespace and in each within it that it is in.
    pub(in crate::job) fn numbers(&self, thread: u32) -> Vec<u32> {
        let status = self.content(&format!("{thread}/status"), 4096);
        status.map(|text| lines::numbers(&text)).unwrap_or_default()
    }

    /// All processes but init, which is ours, the newest numbers first.
    pub(super) fn list(&self) -> Vec<u32> {
        let mut found = directory(&self.proc, ".").map(|mut all| numbers(&mut all)).unwrap_or_default();
        found.retain(|&pid| pid != INIT);
        found
    }

    /// The inode of the socket behind one descriptor, if it is a socket.
    pub(super) fn socket(&self, pid: u32, descriptor: u32) -> Option<u64> {
        let link = readlinkat(&self.proc, format!("{pid}/fd/{descriptor}").as_str()).ok()?;
        lines::socket(link.as_bytes())
    }

    pub(super) fn descriptors(&self, pid: u32) -> Option<Descriptors> {
        let links = directory(&self.proc, &format!("{pid}/fd")).map(Descriptors::Links);
        links.or_else(|| {
            Some(Descriptors::Infos(directory(&self.proc, &format!("{pid}/fdinfo"))?, self.sockets?))
        })
    }

    /// What is known of a process; `None` if it is gone, or may not be looked at.
    pub(in crate::job) fn describe(&self, pid: u32) -> Option<Program> {
        let exe = self.executable(pid)?;
        // The kernel gives out nothing that a file is mapped over, so no file system of the job's can keep
        // the reader waiting (CVE-2018-1120).
        let cmdline = self.content(&format!("{pid}/cmdline"), arguments::READ).unwrap_or_default();
        Some(Program { pid, exe, args: arguments::shown(&cmdline), parents: self.parents(pid) })
    }

    /// Which program a process runs; `None` as for [`Processes::describe`].
    pub(in crate::job) fn image(&self, pid: u32) -> Option<Image> {
        lines::image(&self.content(&format!("{pid}/stat"), 512)?)
    }

    /// Where a process has what the kernel gave its program at random; `None` as for [`Processes::describe`].
    pub(in crate::job) fn seed_address(&self, pid: u32) -> Option<u64> {
        lines::seed_address(&self.content(&format!("{pid}/auxv"), 1024)?)
    }

    fn parents(&self, pid: u32) -> Vec<String> {
        self.parent(pid).map(|parent| self.line_of(parent)).unwrap_or_default()
    }

    /// The executables of a process and of its ancestors.
    pub(in crate::job) fn line_of(&self, mut pid: u32) -> Vec<String> {
        let mut line = Vec::new();
        while line.len() < lines::MAX_PARENTS
            && pid > INIT
            && let Some(exe) = self.executable(pid)
        {
            line.push(exe);
            let Some(parent) = self.parent(pid) else { break };
            pid = parent;
        }
        line
    }

    pub(in crate::job) fn parent(&self, pid: u32) -> Option<u32> {
        lines::parent(&self.content(&format!("{pid}/stat"), 512)?)
    }

    pub(in crate::job) fn executable(&self, pid: u32) -> Option<String> {
        let link = readlinkat(&self.proc, format!("{pid}/exe").as_str()).ok()?;
        Some(lines::path(link.as_bytes()))
    }

    /// The first octets of a file.
    fn content(&self, path: &str, limit: usize) -> Option<Vec<u8>> {
        content(&self.proc, path, limit)
    }
}

impl Descriptors {
    /// Their numbers, the highest first.
    pub(super) fn numbers(&mut self) -> Vec<u32> {
        match self {
            Descriptors::Links(all) | Descriptors::Infos(all, _) => numbers(all),
        }
    }

    /// The inode of the file behind one of them, if it is a socket.
    pub(super) fn socket(&self, descriptor: u32) -> Option<u64> {
        let name = descriptor.to_string();
        match self {
            Descriptors::Links(all) => lines::socket(readlinkat(all, name.as_str()).ok()?.as_bytes()),
            Descriptors::Infos(all, sockets) => {
                let (mount, inode) = lines::fdinfo(&content(all, &name, 512)?)?;
                (mount == *sockets).then_some(inode)
            }
        }
    }
}

fn directory(at: impl AsFd, path: &str) -> Option<Dir> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Dir::openat(at, path, flags, Mode::empty()).ok()
}

/// The entries that are numbers, the highest first.
fn numbers(directory: &mut Dir) -> Vec<u32> {
    let entries = directory.iter().flatten();
    let mut numbers: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str().ok()?.parse().ok()).take(LISTED).collect();
    numbers.sort_unstable_by(|left, right| right.cmp(left));
    numbers
}

fn content(at: impl AsFd, path: &str, limit: usize) -> Option<Vec<u8>> {
    let file = openat(at, path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mut bytes = vec![0; limit];
    let mut length = 0;
    while length < limit {
        match read(&file, &mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(nix::Error::EINTR) => {}
            Err(_) => return None,
        }
    }
    bytes.truncate(length);
    Some(bytes)
}

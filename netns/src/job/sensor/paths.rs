//! Where a path that a process names leads, in its root, from its directories: the thin part of
//! [`super::resolve`].

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use libc::AT_FDCWD;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::Mode;
use nix::sys::statfs::{FUSE_SUPER_MAGIC, FsType, PROC_SUPER_MAGIC, fstatfs};

use super::super::witness::processes::Processes;
use super::calls::{Base, Last};
use super::resolve::{Hidden, Named, Wanted, normalised, resolved};

/// The job's `/proc`, for looking into processes that wait.
#[derive(Debug)]
pub(super) struct Paths(Processes);

/// Where a path leads, from the root of the job, or of the mount namespace that the process has made
/// itself. Both are absolute and without `.` and `..`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As it was named, with no link followed.
    pub(super) named: Vec<u8>,
    /// With every link followed; absent if there is no such file.
    pub(super) real: Option<Vec<u8>>,
}

/// A thread's view of the file system.
struct View<'p> {
    paths: &'p Paths,
    thread: u32,
    /// The root of its mount namespace.
    top: OwnedFd,
}

const PLACE: OFlag = OFlag::O_PATH.union(OFlag::O_CLOEXEC);

impl Paths {
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn open() -> nix::Result<Paths> {
        let proc = nix::fcntl::open("/proc", PLACE | OFlag::O_DIRECTORY, Mode::empty())?;
        Ok(Paths(Processes::at(proc)))
    }

    /// Looks a path up as a thread that waits would. `None` if it begins in no directory.
    ///
    /// # Errors
    /// It leads somewhere where only the thread itself can look.
    pub(super) fn find(&self, thread: u32, base: Base, text: &[u8], last: Last) -> io::Result<Option<Found>> {
        let Some(root) = self.link(&format!("{thread}/root"))? else { return Ok(None) };
        let start = match base.directory {
            // Nobody looks at it.
            _ if text.first() == Some(&b'/') && !base.is_root => Some(root.clone()),
            AT_FDCWD => self.link(&format!("{thread}/cwd"))?,
            descriptor => self.link(&format!("{thread}/fd/{descriptor}"))?,
        };
        // What is no directory has no slash in front: `pipe:[1]`.
        let Some(start) = start.filter(|start| start.first() == Some(&b'/')) else { return Ok(None) };
        let floor = if base.is_root { &start } else { &root };
        let path = if text.is_empty() { start.clone() } else { [&start, &b"/"[..], text].concat() };
        let Some(view) = View::of(self, thread, &root)? else { return Ok(None) };
        let real = view.real(&path, floor, last)?;
        Ok(Some(Found { named: normalised(&path, floor), real }))
    }

    /// The number of the process that a thread belongs to.
    pub(super) fn process(&self, thread: u32) -> Option<u32> {
        // A number that is a process's can be opened, one that is only a thread's cannot (pidfd_open(2)).
        // SAFETY: the call takes numbers alone.
        let opened = unsafe { libc::syscall(libc::SYS_pidfd_open, thread, 0) };
        if opened >= 0 {
            // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
            drop(unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(opened as i32) });
            return Some(thread);
        }
        self.0.process_of(thread)
    }

    /// What a link in `/proc` says; `None` if there is none.
    fn link(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match readlinkat(self.0.proc(), name) {
            Ok(text) => Ok(Some(text.into_vec())),
            // No text has room for a directory that is so deep.
            Err(nix::Error::ENAMETOOLONG) => Err(nix::Error::ENAMETOOLONG.into()),
            Err(error) => absent(error),
        }
    }
}

/// What is not there, as the error says.
///
/// # Errors
/// It says nothing of the kind, but that there are no descriptors or no memory.
fn absent<T>(error: nix::Error) -> io::Result<Option<T>> {
    match error {
        nix::Error::EMFILE | nix::Error::ENFILE | nix::Error::ENOMEM => Err(error.into()),
        _ => Ok(None),
    }
}

impl View<'_> {
    fn of<'p>(paths: &'p Paths, thread: u32, root: &[u8]) -> io::Result<Option<View<'p>>> {
        // A thread whose root is not its namespace's may have directories above it. Our own root does not stop us there.
        let above = root.split(|byte| *byte == b'/').filter(|name| !name.is_empty()).map(|_| "/..");
        let top = format!("{thread}/root{}", above.collect::<String>());
        match openat(paths.0.proc(), top.as_str(), PLACE | OFlag::O_DIRECTORY, Mode::empty()) {
            Ok(top) => Ok(Some(View { paths, thread, top })),
            Err(error) => absent(error),
        }
    }

    fn real(&self, path: &[u8], floor: &[u8], last: Last) -> io::Result<Option<Vec<u8>>> {
        let follows = last != Last::Itself;
        if floor == b"/" {
            // Most paths have no links, which the kernel finds out at once.
            let nofollow = if follows { OFlag::empty() } else { OFlag::O_NOFOLLOW };
            let how = OpenHow::new()
                .flags(PLACE | nofollow)
                .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
            match openat2(&self.top, OsStr::from_bytes(path), how) {
                Ok(_) => return Ok(Some(normalised(path, floor))),
                // A container's filter may refuse the call itself.
                Err(nix::Error::ELOOP | nix::Error::ENOSYS | nix::Error::EPERM) => {}
                // And it gives up on `..` while anything on the machine is renamed or mounted.
                Err(nix::Error::EAGAIN | nix::Error::EACCES | nix::Error::ENAMETOOLONG) => {}
                // Nothing but the last name can be missing if the call is to succeed.
                Err(nix::Error::ENOENT) if last != Last::Followed => {}
                Err(error) => return absent(error),
            }
        }
        let wanted = Wanted { floor, follows, may_be_missing: last == Last::Made };
        let real = resolved(path, &wanted, |name| self.what_is(name));
        real.map_err(|Hidden| io::ErrorKind::PermissionDenied.into())
    }

    fn what_is(&self, name: &[u8]) -> Named {
        let inner = OsStr::from_bytes(&name[1..]);
        let text = match readlinkat(&self.top, inner) {
            Ok(text) => text.into_vec(),
            Err(nix::Error::EINVAL) => return Named::Other,
            Err(nix::Error::ENAMETOOLONG) => return Named::Hidden,
            // A file system of the job's may be open to the job alone (`allow_other` of FUSE).
            Err(nix::Error::EACCES) if self.is_on(above(inner), FUSE_SUPER_MAGIC) => return Named::Hidden,
            Err(_) => Vec::new(),
        };
        let (directory, last) = (above(inner), name.rsplit(|byte| *byte == b'/').next());
        let own = match last {
            // These lead to whoever asks, which would be us; and nowhere where we have no number.
            Some(b"self" | b"thread-self") if self.is_on(directory, PROC_SUPER_MAGIC) => {
                self.own(directory, last == Some(b"thread-self"))
            }
            _ => None,
        };
        match own {
            Some(own) => Named::Link(own),
            None if text.is_empty() => Named::Missing,
            // Links of `/proc` lead to a place, not to a name, wherever the root is.
            None if text.first() == Some(&b'/') && self.is_on(directory, PROC_SUPER_MAGIC) => {
                Named::Place(text)
            }
            None => Named::Link(text),
        }
    }

    /// The thread's own directory in a `/proc`, which may number processes otherwise than ours.
    fn own(&self, directory: &OsStr, is_thread: bool) -> Option<Vec<u8>> {
        let place = openat(&self.top, directory, PLACE, Mode::empty()).ok()?;
        let theirs = Processes::at(place);
        let ours = &self.paths.0;
        let number = |thread: u32| {
            let image = ours.image(thread)?;
            let is_it = |number: &u32| theirs.image(*number).is_some_and(|other| other == image);
            ours.numbers(thread).into_iter().find(is_it)
        };
        let process = number(self.paths.process(self.thread)?)?;
        let text =
            if is_thread { format!("{process}/task/{}", number(self.thread)?) } else { process.to_string() };
        Some(text.into_bytes())
    }

    fn is_on(&self, directory: &OsStr, kind: FsType) -> bool {
        let place = openat(&self.top, directory, PLACE, Mode::empty());
        place.and_then(fstatfs).is_ok_and(|found| found.filesystem_type() == kind)
    }
}

/// The directory of a name that is relative to the top.
fn above(inner: &OsStr) -> &OsStr {
    let end = inner.as_bytes().iter().rposition(|byte| *byte == b'/');
    end.map_or(OsStr::new("."), |end| OsStr::from_bytes(&inner.as_bytes()[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_process_means() {
        let paths = Paths::open().unwrap();
        let own = std::process::id();
        let base = |directory: i32| Base { directory, is_root: false };
        let find = |text: &[u8], last| paths.find(own, base(AT_FDCWD), text, last).unwrap().unwrap();
        let here = std::env::current_dir().unwrap();
        let manifest = here.join("Cargo.toml").into_os_string().into_vec();
        let found = find(b"./src/../Cargo.toml", Last::Followed);
        assert_eq!(found, Found { named: manifest.clone(), real: Some(manifest) });
        assert_eq!(find(b"no/such", Last::Made).real, None);
        assert_eq!(find(b"nosuch", Last::Followed).real, None);
        assert!(find(b"nosuch", Last::Made).real.is_some());
        let status = format!("/proc/{own}/status").into_bytes();
        assert_eq!(find(b"/proc/self/status", Last::Followed).real, Some(status));
        assert!(paths.find(own, base(i32::MAX), b"x", Last::Followed).unwrap().is_none());
    }

    #[test]
    fn threads_belong_to_their_process() {
        let paths = Paths::open().unwrap();
        // A test runs in a thread of its own.
        let thread = nix::unistd::gettid().as_raw() as u32;
        assert_ne!(thread, std::process::id());
        assert_eq!(paths.process(thread), Some(std::process::id()));
        assert_eq!(paths.process(std::process::id()), Some(std::process::id()));
    }
}

//! Where a path that a process names leads, in its root, from its directories: the thin part of
//! [`super::resolve`].

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use libc::{AT_FDCWD, c_int};
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::Mode;

use super::calls::Last;
use super::resolve::{Named, normalised, resolved};

/// The job's `/proc`, for looking into processes that wait.
#[derive(Debug)]
pub(super) struct Paths(OwnedFd);

/// Where a path leads, from the root of the job, or of the mount namespace that the process has made
/// itself. Both are absolute and without `.` and `..`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// As it was named, with no link followed.
    pub(super) named: Vec<u8>,
    /// With every link followed; absent if there is no such file.
    pub(super) real: Option<Vec<u8>>,
}

impl Paths {
    /// # Errors
    /// There is no `/proc`.
    pub(super) fn open() -> nix::Result<Paths> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        nix::fcntl::open("/proc", flags, Mode::empty()).map(Paths)
    }

    /// Looks a path up as a thread that waits would. It begins at `directory`, a descriptor of its process.
    /// `None` if there is no such directory.
    pub(super) fn find(&self, thread: u32, directory: c_int, text: &[u8], last: Last) -> Option<Found> {
        let outer = self.link(&format!("{thread}/root"))?;
        let path = if text.first() == Some(&b'/') {
            text.to_vec()
        } else {
            let start = match directory {
                AT_FDCWD => self.link(&format!("{thread}/cwd"))?,
                descriptor => self.link(&format!("{thread}/fd/{descriptor}"))?,
            };
            // What is no directory has no slash in front: `pipe:[1]`.
            let start = beneath(&start, &outer).filter(|start| start.first() == Some(&b'/'))?;
            if text.is_empty() { start.to_vec() } else { [start, b"/", text].concat() }
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = openat(&self.0, format!("{thread}/root").as_str(), flags, Mode::empty()).ok()?;
        let real = self.real(&root, thread, &path, last);
        let outside = |path: Vec<u8>| if outer == b"/" { path } else { [&outer[..], &path].concat() };
        Some(Found { named: outside(normalised(&path)), real: real.map(outside) })
    }

    fn real(&self, root: &OwnedFd, thread: u32, path: &[u8], last: Last) -> Option<Vec<u8>> {
        let follows = last != Last::Itself;
        // Most paths have no links, which the kernel finds out at once.
        let nofollow = if follows { OFlag::empty() } else { OFlag::O_NOFOLLOW };
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | nofollow)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_SYMLINKS);
        match openat2(root, OsStr::from_bytes(path), how) {
            Ok(_) => return Some(normalised(path)),
            // A container's filter may refuse the call itself.
            Err(nix::Error::ELOOP | nix::Error::ENOSYS | nix::Error::EPERM) => {}
            // Nothing but the last name can be missing if the call is to succeed.
            Err(nix::Error::ENOENT) if last != Last::Followed => {}
            Err(_) => return None,
        }
        resolved(path, follows, last == Last::Made, |name| self.what_is(root, thread, name))
    }

    fn what_is(&self, root: &OwnedFd, thread: u32, name: &[u8]) -> Named {
        // These lead to whoever asks, which would be us.
        let own = match name {
            b"/proc/self" => self.process(thread).map(|process| process.to_string()),
            b"/proc/thread-self" => self.process(thread).map(|process| format!("{process}/task/{thread}")),
            _ => None,
        };
        if let Some(own) = own {
            return Named::Link(own.into_bytes());
        }
        match readlinkat(root, OsStr::from_bytes(&name[1..])) {
            Ok(text) => Named::Link(text.into_vec()),
            Err(nix::Error::EINVAL) => Named::Other,
            Err(_) => Named::Missing,
        }
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
        let status = openat(
            &self.0,
            format!("{thread}/status").as_str(),
            OFlag::O_RDONLY | OFlag::O_CLOEXEC,
            Mode::empty(),
        );
        let mut text = [0; 512];
        let length = nix::unistd::read(status.ok()?, &mut text).ok()?;
        let text = String::from_utf8_lossy(&text[..length]);
        text.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
    }

    fn link(&self, name: &str) -> Option<Vec<u8>> {
        readlinkat(&self.0, name).ok().map(OsStringExt::into_vec)
    }
}

/// A path of ours as it is within a root.
fn beneath<'p>(path: &'p [u8], root: &[u8]) -> Option<&'p [u8]> {
    if root == b"/" {
        return Some(path);
    }
    match path.strip_prefix(root)? {
        b"" => Some(b"/"),
        inner => (inner[0] == b'/').then_some(inner),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_seen_from_within_a_root() {
        assert_eq!(beneath(b"/a/b", b"/"), Some(&b"/a/b"[..]));
        assert_eq!(beneath(b"/a/b", b"/a"), Some(&b"/b"[..]));
        assert_eq!(beneath(b"/a", b"/a"), Some(&b"/"[..]));
        assert_eq!(beneath(b"/ab", b"/a"), None);
        assert_eq!(beneath(b"/x", b"/a"), None);
    }

    #[test]
    fn finds_what_a_process_means() {
        let paths = Paths::open().unwrap();
        let own = std::process::id();
        let find = |text: &[u8], last| paths.find(own, AT_FDCWD, text, last).unwrap();
        let here = std::env::current_dir().unwrap();
        let manifest = here.join("Cargo.toml").into_os_string().into_vec();
        let found = find(b"./src/../Cargo.toml", Last::Followed);
        assert_eq!(found, Found { named: manifest.clone(), real: Some(manifest) });
        assert_eq!(find(b"no/such", Last::Made).real, None);
        assert_eq!(find(b"nosuch", Last::Followed).real, None);
        assert!(find(b"nosuch", Last::Made).real.is_some());
        let status = format!("/proc/{own}/status").into_bytes();
        assert_eq!(find(b"/proc/self/status", Last::Followed).real, Some(status));
        assert_eq!(paths.find(own, c_int::MAX, b"x", Last::Followed), None);
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

//! The system calls that are observed, and what each does to which paths. Pure.

use libc::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_FOLLOW, O_CREAT, O_NOFOLLOW, O_TMPFILE, O_TRUNC};
use libc::{MS_BIND, MS_MOVE, O_ACCMODE, O_RDONLY, c_int, c_long};

use super::Access;

/// What a program is executed and ended by. The end is where it is still there to be seen.
pub(super) const PROGRAMS: &[c_long] = &[libc::SYS_execve, libc::SYS_execveat, libc::SYS_exit_group];

/// What files are opened and changed by, as far as it takes a path.
pub(super) const FILES: &[c_long] = &[
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_truncate,
    libc::SYS_renameat2,
    libc::SYS_renameat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_mount,
    libc::SYS_mknodat,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
];

/// Calls that newer architectures do without.
#[cfg(target_arch = "x86_64")]
pub(super) const OLD_FILES: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_rmdir,
    libc::SYS_mknod,
];
#[cfg(not(target_arch = "x86_64"))]
pub(super) const OLD_FILES: &[c_long] = &[];

/// linux/mount.h; libc has no name for it.
const OPEN_TREE_CLONE: u64 = 1;
/// open_tree_attr of Linux 6.15, which has one number everywhere (asm-generic/unistd.h).
const OPEN_TREE_ATTR: c_long = 467;

/// Where a path begins if it is relative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    /// The descriptor of the directory, or AT_FDCWD.
    pub(super) directory: c_int,
    /// Whether absolute paths begin there too, and nothing leads out of it (RESOLVE_IN_ROOT of openat2(2)).
    pub(super) is_root: bool,
}

/// A path in the caller's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) base: Base,
    /// Where its text is.
    pub(super) address: u64,
    /// Whether an empty text means the descriptor itself.
    pub(super) may_be_empty: bool,
}

impl Place {
    fn new(directory: c_int, address: u64) -> Place {
        Place { base: Base { directory, is_root: false }, address, may_be_empty: false }
    }
}

/// What happens if the path is a symbolic link, or not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// The link is followed.
    Followed,
    /// The link is followed, and what is not there is made.
    Made,
    /// The name itself is meant.
    Itself,
}

/// What is done with one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Touch {
    pub(super) place: Place,
    pub(super) access: Access,
    pub(super) last: Last,
}

/// A call, as far as its registers tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// A program is executed; where its arguments are.
    Execute { place: Place, last: Last, arguments: u64 },
    /// The program ends.
    End,
    /// Files are used.
    Files([Option<Touch>; 2]),
    /// A file is opened, and its flags are in the caller's memory.
    OpenHow { place: Place, how: u64 },
}

/// What the call is; nothing of interest is no files.
pub(super) fn read(number: c_long, args: [u64; 6]) -> Call {
    let at = |directory: usize, path: usize| Place::new(args[directory] as c_int, args[path]);
    let from_here = |path: usize| Place::new(AT_FDCWD, args[path]);
    let itself = |place, access| Some(Touch { place, access, last: Last::Itself });
    let has = |argument: usize, flag: c_int| args[argument] & flag as u64 != 0;
    let one = |touch| Call::Files([touch, None]);
    match number {
        libc::SYS_execve => Call::Execute { place: from_here(0), last: Last::Followed, arguments: args[1] },
        libc::SYS_execveat => {
            let place = Place { may_be_empty: has(4, AT_EMPTY_PATH), ..at(0, 1) };
            let last = if has(4, libc::AT_SYMLINK_NOFOLLOW) { Last::Itself } else { Last::Followed };
            Call::Execute { place, last, arguments: args[2] }
        }
        libc::SYS_exit_group => Call::End,
        libc::SYS_openat => one(opened(at(0, 1), args[2])),
        libc::SYS_openat2 => Call::OpenHow { place: at(0, 1), how: args[2] },
        libc::SYS_truncate => {
            one(Some(Touch { place: from_here(0), access: Access::Write, last: Last::Followed }))
        }
        libc::SYS_renameat | libc::SYS_renameat2 => {
            Call::Files([itself(at(0, 1), Access::Rename), itself(at(2, 3), Access::Rename)])
        }
        libc::SYS_linkat => {
            let old = Place { may_be_empty: has(4, AT_EMPTY_PATH), ..at(0, 1) };
            let last = if has(4, AT_SYMLINK_FOLLOW) { Last::Followed } else { Last::Itself };
            let old = Touch { place: old, access: Access::Link, last };
            Call::Files([Some(old), itself(at(2, 3), Access::Link)])
        }
        libc::SYS_symlinkat => one(itself(at(1, 2), Access::Link)),
        libc::SYS_mknodat => one(itself(at(0, 1), Access::Write)),
        libc::SYS_unlinkat => one(itself(at(0, 1), Access::Remove)),
        libc::SYS_mount if args[3] & (MS_BIND | MS_MOVE) != 0 => {
            one(Some(Touch { place: from_here(0), access: Access::Mount, last: Last::Followed }))
        }
        libc::SYS_open_tree | OPEN_TREE_ATTR if args[2] & OPEN_TREE_CLONE != 0 => {
            let place = Place { may_be_empty: has(2, AT_EMPTY_PATH), ..at(0, 1) };
            one(Some(Touch { place, access: Access::Mount, last: Last::Followed }))
        }
        _ => old(number, args),
    }
}

#[cfg(target_arch = "x86_64")]
fn old(number: c_long, args: [u64; 6]) -> Call {
    let from_here = |path: usize| Place::new(AT_FDCWD, args[path]);
    let itself = |path, access| Some(Touch { place: from_here(path), access, last: Last::Itself });
    Call::Files(match number {
        libc::SYS_open => [opened(from_here(0), args[1]), None],
        libc::SYS_creat => [opened(from_here(0), (O_CREAT | libc::O_WRONLY | O_TRUNC) as u64), None],
        libc::SYS_rename => [itself(0, Access::Rename), itself(1, Access::Rename)],
        libc::SYS_link => [itself(0, Access::Link), itself(1, Access::Link)],
        libc::SYS_symlink => [itself(1, Access::Link), None],
        libc::SYS_mknod => [itself(0, Access::Write), None],
        libc::SYS_unlink | libc::SYS_rmdir => [itself(0, Access::Remove), None],
        _ => [None, None],
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn old(_: c_long, _: [u64; 6]) -> Call {
    Call::Files([None, None])
}

/// What openat2(2) with these flags does, and how it resolves.
pub(super) fn opened_how(place: Place, flags: u64, resolve: u64) -> Option<Touch> {
    let is_root = resolve & libc::RESOLVE_IN_ROOT != 0;
    let base = Base { is_root, ..place.base };
    opened(Place { base, ..place }, flags)
}

/// What open(2) with these flags does. O_PATH counts as reading: such a descriptor can be opened again
/// without its name. A file that never had a name is of nobody's interest.
fn opened(place: Place, flags: u64) -> Option<Touch> {
    let flags = flags as c_int;
    if flags & O_TMPFILE == O_TMPFILE {
        return None;
    }
    let writes = flags & libc::O_PATH == 0 && (flags & O_ACCMODE != O_RDONLY || flags & O_TRUNC != 0);
    let last = match (flags & O_NOFOLLOW != 0, flags & O_CREAT != 0) {
        (true, _) => Last::Itself,
        (false, true) => Last::Made,
        (false, false) => Last::Followed,
    };
    Some(Touch { place, access: if writes { Access::Write } else { Access::Read }, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touches(number: c_long, args: [u64; 6]) -> Vec<(c_int, u64, Access, Last)> {
        let Call::Files(touches) = read(number, args) else { panic!("call {number}") };
        let told = |touch: Touch| (touch.place.base.directory, touch.place.address, touch.access, touch.last);
        touches.into_iter().flatten().map(told).collect()
    }

    #[test]
    fn opening_tells_by_its_flags() {
        let here = AT_FDCWD as u32 as u64;
        for (flags, access, last) in [
            (O_RDONLY, Access::Read, Last::Followed),
            (libc::O_PATH | libc::O_RDWR, Access::Read, Last::Followed),
            (libc::O_RDWR, Access::Write, Last::Followed),
            (libc::O_WRONLY | O_CREAT, Access::Write, Last::Made),
            (O_RDONLY | O_TRUNC, Access::Write, Last::Followed),
            (O_RDONLY | O_CREAT | O_NOFOLLOW, Access::Read, Last::Itself),
            (libc::O_DIRECTORY, Access::Read, Last::Followed),
        ] {
            let args = [here, 7, flags as u64, 0, 0, 0];
            assert_eq!(touches(libc::SYS_openat, args), [(AT_FDCWD, 7, access, last)], "{flags:#o}");
        }
        assert_eq!(touches(libc::SYS_openat, [here, 7, (O_TMPFILE | libc::O_RDWR) as u64, 0, 0, 0]), []);
    }

    #[test]
    fn both_names_are_told() {
        let args = [3, 7, 4, 8, 0, 0];
        for (number, access) in [(libc::SYS_renameat2, Access::Rename), (libc::SYS_linkat, Access::Link)] {
            let wanted = [(3, 7, access, Last::Itself), (4, 8, access, Last::Itself)];
            assert_eq!(touches(number, args), wanted);
        }
        assert_eq!(touches(libc::SYS_symlinkat, args), [(7, 4, Access::Link, Last::Itself)]);
    }

    #[test]
    fn only_mounts_that_show_files_elsewhere_count() {
        assert_eq!(touches(libc::SYS_mount, [7, 8, 0, 0, 0, 0]), []);
        assert_eq!(touches(libc::SYS_mount, [7, 8, 0, MS_BIND, 0, 0]).len(), 1);
        assert_eq!(touches(libc::SYS_open_tree, [3, 7, 0, 0, 0, 0]), []);
        assert_eq!(touches(libc::SYS_open_tree, [3, 7, OPEN_TREE_CLONE, 0, 0, 0]).len(), 1);
    }

    #[test]
    fn every_observed_call_is_known() {
        // With every flag set, so that none is left out by a flag.
        for number in FILES.iter().chain(OLD_FILES) {
            let args = [1, 2, OPEN_TREE_CLONE, MS_BIND, 0, 0];
            assert_ne!(read(*number, args), Call::Files([None, None]), "call {number}");
        }
        assert!(PROGRAMS.iter().all(|number| !matches!(read(*number, [0; 6]), Call::Files(_))));
    }
}

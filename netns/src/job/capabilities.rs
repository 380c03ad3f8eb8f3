//! What the job and its init may still do with the kernel.

use std::io;

use nix::unistd::{setgid, setgroups, setuid};

use super::User;

/// The capabilities that a root-mode job keeps, so that `chown`, `dpkg`, `sudo` and servers that
/// drop their privileges work (numbers from linux/capability.h). None of them reaches links, rules,
/// namespaces, mounts, devices or other processes' memory.
const KEPT: &[u32] = &[
    0,  // CAP_CHOWN
    1,  // CAP_DAC_OVERRIDE
    3,  // CAP_FOWNER
    4,  // CAP_FSETID
    5,  // CAP_KILL
    6,  // CAP_SETGID
    7,  // CAP_SETUID
    8,  // CAP_SETPCAP
    10, // CAP_NET_BIND_SERVICE
    14, // CAP_IPC_LOCK
    18, // CAP_SYS_CHROOT
    23, // CAP_SYS_NICE
    24, // CAP_SYS_RESOURCE
    28, // CAP_LEASE
    29, // CAP_AUDIT_WRITE
    31, // CAP_SETFCAP
];
const CAP_KILL: u32 = 5;
const CAP_NET_RAW: u32 = 13;
/// To look at processes of other users and at what is not dumpable.
const CAP_SYS_PTRACE: u32 = 19;
/// To be served before others; the witness gives it up once it is.
const CAP_SYS_NICE: u32 = 23;
/// To list the descriptors of processes of other users, whose directory only they may read.
const CAP_DAC_READ_SEARCH: u32 = 2;
/// The kernel refuses to look at capabilities past its last one, which ends the loop before this.
const LAST_POSSIBLE: u32 = 63;
/// _LINUX_CAPABILITY_VERSION_3 (linux/capability.h).
const VERSION_3: u32 = 0x2008_0522;

/// Takes every capability that is not kept out of the bounding set, so that no program of the
/// job, set-user-id or not, can ever have it (capabilities(7)), and empties the inheritable set.
pub(super) fn limit_bounding_set() -> io::Result<()> {
    for capability in 0..=LAST_POSSIBLE {
        if KEPT.contains(&capability) {
            continue;
        }
        // SAFETY: prctl with integer arguments touches no memory of ours.
        let result = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if result == -1 {
            let error = io::Error::last_os_error();
            // EINVAL: past the kernel's last capability.
            if error.raw_os_error() == Some(libc::EINVAL) {
                break;
            }
            return Err(error);
        }
    }
    // SAFETY: as above; clears the ambient set, which would survive execve.
    if unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) } == -1 {
        return Err(io::Error::last_os_error());
    }
    let kept = KEPT.iter().fold(0, |set: u64, capability| set | 1 << capability);
    let mut sets = read_sets()?;
    sets.inheritable = 0;
    sets.permitted &= kept;
    sets.effective &= kept;
    write_sets(sets)
}

/// Leaves programs that the calling thread would execute no capability.
pub(crate) fn forget_bounding_set() {
    for capability in 0..=LAST_POSSIBLE {
        // SAFETY: prctl with integer arguments touches no memory of ours.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } == -1 {
            // Past the kernel's last one, or without CAP_SETPCAP, which the sets below do not need.
            break;
        }
    }
}

/// Leaves the calling thread these capabilities of those that it has, a bit each.
pub(crate) fn drop_all_but(kept: u64) -> io::Result<()> {
    let mut sets = read_sets()?;
    // The ambient set follows.
    sets.inheritable = 0;
    sets.permitted &= kept;
    sets.effective = sets.permitted;
    write_sets(sets)
}

/// Leaves a process nothing but the power to signal the job's processes.
pub(super) fn keep_only_kill() -> io::Result<()> {
    let mut sets = read_sets()?;
    sets.inheritable = 0;
    sets.permitted &= 1 << CAP_KILL;
    sets.effective &= 1 << CAP_KILL;
    write_sets(sets)
}

/// Leaves init what it and its witness need, before the one starts the other.
pub(super) fn keep_for_witness() -> io::Result<()> {
    drop_all_but(witness_set()? | 1 << CAP_KILL | 1 << CAP_SYS_NICE)
}

/// Leaves the calling thread the power to look at the job's processes.
pub(super) fn keep_only_witness() -> io::Result<()> {
    drop_all_but(witness_set()?)
}

/// A container may lack CAP_SYS_PTRACE. Then it takes what the process has that is looked at, which is no more
/// than the job's (ptrace(2), "Ptrace access mode checking").
fn witness_set() -> io::Result<u64> {
    let looking = 1 << CAP_SYS_PTRACE | 1 << CAP_DAC_READ_SEARCH;
    if read_sets()?.permitted & 1 << CAP_SYS_PTRACE != 0 {
        return Ok(looking);
    }
    Ok(KEPT.iter().fold(looking, |set, capability| set | 1 << capability))
}

/// Lets the programs that the calling thread starts open raw sockets, whoever it runs as: they
/// would lose that capability otherwise, as they are not root in their user namespace.
pub(crate) fn bequeath_raw_sockets() -> io::Result<()> {
    let mut sets = read_sets()?;
    sets.inheritable |= 1 << CAP_NET_RAW;
    write_sets(sets)?;
    // SAFETY: prctl with integer arguments touches no memory of ours.
    let result = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Becomes another user, for good.
pub(super) fn become_user(user: &User) -> io::Result<()> {
    setgroups(&user.groups)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    Ok(())
}

/// Joins a new session keyring, so that the job shares none with the caller (keyrings(7)). A
/// kernel without keys has nothing to share.
pub(super) fn own_session_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_long = 1;
    // SAFETY: a null name asks for an anonymous keyring; no memory is passed.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0usize) };
}

/// The capabilities that the calling thread can use now.
pub(crate) fn effective() -> io::Result<u64> {
    Ok(read_sets()?.effective)
}

struct Sets {
    effective: u64,
    permitted: u64,
    inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn read_sets() -> io::Result<Sets> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 reads one header and writes two data records, all of which live here.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
    })
}

fn write_sets(sets: Sets) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let part = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [part(0), part(32)];
    // SAFETY: version 3 reads one header and two data records, all of which live here.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! The job's system call filter: refuses what namespaces and capabilities do not cover.
//!
//! [`program`] is pure; [`install`] hands it to the kernel. The filter compares numbers, never what a
//! pointer points at: another thread could change that after the check (seccomp(2)).

use std::io;
use std::mem::offset_of;

use libc::{c_int, c_long, seccomp_data, sock_filter};

/// What the filter answers to system calls of the machine's own architecture (linux/audit.h).
#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;

/// The first number of x32, a second table of the same calls that no filter of ours numbers.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;
/// What a tracer sets to skip a call: there is nothing to refuse, and its answer stays.
#[cfg(target_arch = "x86_64")]
const SKIPPED: u32 = u32::MAX;

/// Puts the calling thread, and all that it starts, under the filter for good. It must have
/// CAP_SYS_ADMIN in its user namespace still: without it the kernel demands `no_new_privs`, and then
/// `sudo` in the job would not work.
pub(super) fn install() -> io::Result<()> {
    let mut instructions = program();
    let program = libc::sock_fprog {
        len: instructions.len().try_into().map_err(io::Error::other)?,
        filter: instructions.as_mut_ptr(),
    };
    // Without the flag, kernels before 5.16 slow the job down against speculation: a filter for code
    // that shares an address space with its judge needs that, this one does not.
    let flags = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    // SAFETY: the program and its instructions live here, and the kernel copies both.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The whole filter. Every call that is not named is allowed by its number alone, which the kernel
/// finds out once and remembers: those calls cost nothing.
pub(super) fn program() -> Vec<sock_filter> {
    let mut program = vec![
        load(offset_of!(seccomp_data, arch)),
        jump(libc::BPF_JEQ, ARCHITECTURE, 1, 0),
        // i386 passes the arguments of `socket` behind a pointer.
        answer(libc::SECCOMP_RET_KILL_PROCESS),
        load(offset_of!(seccomp_data, nr)),
    ];
    #[cfg(target_arch = "x86_64")]
    program.extend([
        jump(libc::BPF_JGE, X32, 0, 3),
        jump(libc::BPF_JEQ, SKIPPED, 0, 1),
        answer(libc::SECCOMP_RET_ALLOW),
        refuse(libc::ENOSYS),
    ]);
    let mut judged = judged_calls();
    judged.sort_by_key(|judged| judged.call);
    program.extend(search(&judged));
    program
}

/// A system call and the instructions that judge it, which end in an answer.
struct Judged {
    call: u32,
    body: Vec<sock_filter>,
}

fn judged_calls() -> Vec<Judged> {
    let judged = |call: c_long, body| Judged { call: call as u32, body };
    let mut calls = vec![
        judged(libc::SYS_ioctl, judge_request()),
        judged(libc::SYS_socket, judge_family()),
        judged(libc::SYS_socketpair, judge_family()),
    ];
    calls.extend(ABSENT.iter().map(|call| judged(*call, vec![refuse(libc::ENOSYS)])));
    calls.extend(FORBIDDEN.iter().map(|call| judged(*call, vec![refuse(libc::EPERM)])));
    calls
}

/// Refused as by a kernel without them, so that programs take another way: operations in a ring pass
/// no filter, and keys of a user are shared between namespaces.
const ABSENT: &[c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
];

/// Refused as to a process without the capability: they load code into the kernel, look past the
/// mounts, or have let jobs out of jails before.
const FORBIDDEN: &[c_long] = &[
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
];

/// Requests that put words into a terminal's input, or change what it takes for input: the caller's
/// shell would read them when the job has ended (ioctl_tty(2)).
const TYPING: &[libc::Ioctl] = &[libc::TIOCSTI, libc::TIOCLINUX, libc::TIOCSETD];

/// The kernel looks at the low half of the request alone, and so does this.
fn judge_request() -> Vec<sock_filter> {
    let mut body = vec![load(argument(1))];
    for request in TYPING {
        body.extend([jump(libc::BPF_JEQ, *request as u32, 0, 1), refuse(libc::EPERM)]);
    }
    body.push(answer(libc::SECCOMP_RET_ALLOW));
    body
}

/// Families whose sockets belong to a network namespace or to the file system.
const FAMILIES: &[c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// AF_VSOCK reaches the hypervisor from any network namespace; the others are not known to, but no
/// job needs them. A packet socket is refused as to anybody without CAP_NET_RAW, also to a root that
/// the job makes itself in a namespace of its own.
fn judge_family() -> Vec<sock_filter> {
    let mut body = vec![load(argument(0))];
    for family in FAMILIES {
        body.extend([jump(libc::BPF_JEQ, *family as u32, 0, 1), answer(libc::SECCOMP_RET_ALLOW)]);
    }
    body.extend([
        jump(libc::BPF_JEQ, libc::AF_PACKET as u32, 0, 1),
        refuse(libc::EPERM),
        refuse(libc::EAFNOSUPPORT),
    ]);
    body
}

/// A binary search over sorted calls: installing makes the kernel run the program once for every
/// call there is.
fn search(calls: &[Judged]) -> Vec<sock_filter> {
    match calls {
        [] => vec![answer(libc::SECCOMP_RET_ALLOW)],
        [one] => {
            let mut found = vec![jump(libc::BPF_JEQ, one.call, 0, one.body.len())];
            found.extend(&one.body);
            found.push(answer(libc::SECCOMP_RET_ALLOW));
            found
        }
        _ => {
            let (low, high) = calls.split_at(calls.len() / 2);
            let below = search(low);
            let mut both = vec![jump(libc::BPF_JGE, high[0].call, below.len(), 0)];
            both.extend(below);
            both.extend(search(high));
            both
        }
    }
}

/// Where the low half of an argument lies; both architectures store it first.
fn argument(index: usize) -> usize {
    offset_of!(seccomp_data, args) + index * size_of::<u64>()
}

fn load(offset: usize) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset as u32)
}

/// Goes `then` instructions on if the comparison holds, `otherwise` if it does not.
fn jump(comparison: u32, with: u32, then: usize, otherwise: usize) -> sock_filter {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, then, otherwise, with)
}

fn refuse(errno: c_int) -> sock_filter {
    answer(libc::SECCOMP_RET_ERRNO | errno as u32)
}

fn answer(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, 0, action)
}

fn instruction(code: u32, then: usize, otherwise: usize, k: u32) -> sock_filter {
    // The program is far shorter than a jump can be long, which the tests run through.
    sock_filter { code: code as u16, jt: then as u8, jf: otherwise as u8, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;

    /// Runs the program as the kernel does: bpf(4), with the data of one system call.
    fn judge(call: u32, architecture: u32, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend(call.to_ne_bytes());
        data.extend(architecture.to_ne_bytes());
        data.extend([0; 8]);
        arguments.iter().for_each(|argument| data.extend(argument.to_ne_bytes()));
        let program = program();
        let (mut accumulator, mut next) = (0, 0);
        loop {
            let at: sock_filter = program[next];
            next += 1;
            let is_true = match u32::from(at.code) {
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    let from = at.k as usize;
                    accumulator = u32::from_ne_bytes(data[from..from + 4].try_into().unwrap());
                    continue;
                }
                code if code == libc::BPF_RET | libc::BPF_K => return at.k,
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => accumulator == at.k,
                code if code == libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K => accumulator >= at.k,
                code => panic!("an instruction {code:#x} that the kernel may not take"),
            };
            next += usize::from(if is_true { at.jt } else { at.jf });
        }
    }

    fn native(call: c_long, first: u64, second: u64) -> u32 {
        judge(call as u32, ARCHITECTURE, [first, second, 0, 0, 0, 0])
    }

    fn errno(number: c_int) -> u32 {
        libc::SECCOMP_RET_ERRNO | number as u32
    }

    #[test]
    fn refuses_what_is_named_and_nothing_else() {
        for call in 0..2000 {
            let judged = [libc::SYS_ioctl, libc::SYS_socket, libc::SYS_socketpair];
            let wanted = match call {
                // With arguments of zero: no request, no family.
                call if judged[1..].contains(&call) => errno(libc::EAFNOSUPPORT),
                call if ABSENT.contains(&call) => errno(libc::ENOSYS),
                call if FORBIDDEN.contains(&call) => errno(libc::EPERM),
                _ => ALLOW,
            };
            assert_eq!(native(call, 0, 0), wanted, "call {call}");
        }
    }

    #[test]
    fn judges_every_family() {
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            for family in 0..64 {
                let wanted = match family {
                    1 | 2 | 10 | 16 => ALLOW,
                    17 => errno(libc::EPERM),
                    _ => errno(libc::EAFNOSUPPORT),
                };
                assert_eq!(native(call, family, 1), wanted, "family {family}");
                assert_eq!(native(call, family | 0xdead_beef << 32, 1), wanted, "the kernel takes an int");
            }
        }
    }

    #[test]
    fn refuses_typing_by_the_low_half() {
        for request in [0x5412, 0x541c, 0x5423] {
            assert_eq!(native(libc::SYS_ioctl, 0, request), errno(libc::EPERM));
            assert_eq!(native(libc::SYS_ioctl, 0, request | 1 << 32), errno(libc::EPERM));
            assert_eq!(native(libc::SYS_ioctl, request, 0), ALLOW);
        }
        for request in [libc::TIOCGWINSZ, libc::TCGETS, libc::TIOCSPGRP, libc::FIONREAD] {
            assert_eq!(native(libc::SYS_ioctl, 0, request), ALLOW);
        }
    }

    #[test]
    fn kills_foreign_architectures() {
        // i386, ARM, and numbers that mean something else there.
        for architecture in [0x4000_0003, 0x4000_0028, 0, !ARCHITECTURE] {
            for call in [0, 41, 102, 359] {
                assert_eq!(judge(call, architecture, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn knows_no_x32() {
        for call in [X32, X32 | 41, X32 | 16, X32 | 512, X32 | 547, SKIPPED - 1] {
            assert_eq!(judge(call, ARCHITECTURE, [0; 6]), errno(libc::ENOSYS), "call {call:#x}");
        }
        assert_eq!(judge(SKIPPED, ARCHITECTURE, [0; 6]), ALLOW);
    }

    #[test]
    fn jumps_stay_inside() {
        let program = program();
        assert!(program.len() < 256, "jumps are of eight bits");
        assert!(program.iter().all(|at| usize::from(at.jt.max(at.jf)) < program.len()));
    }
}

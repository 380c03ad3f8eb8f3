//! The job's system call filter: refuses what namespaces and capabilities do not cover.

use std::io;
use std::os::fd::OwnedFd;

use libc::{EAFNOSUPPORT, ENOSYS, EPERM, c_int, c_long, sock_filter};

use super::witness;
use crate::syscall_filter::{self, Answer, LAST_NATIVE, Rule};

/// Puts the calling thread, and all that it starts, under the filter for good. It must have
/// CAP_SYS_ADMIN in its user namespace still: without it the kernel demands `no_new_privs`, and then
/// `sudo` in the job would not work.
pub(super) fn install() -> io::Result<()> {
    // Without the flag, kernels before 5.16 slow the job down against speculation: a filter for code
    // that shares an address space with its judge needs that, this one does not.
    syscall_filter::install(&program(&[]), libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW)
}

/// The same, with a descriptor for who looks at these calls before they go on. What is refused stays so.
pub(super) fn install_observed(calls: &[c_long]) -> io::Result<OwnedFd> {
    syscall_filter::install_with_listener(&program(calls), libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW)
}

fn program(observed: &[c_long]) -> Vec<sock_filter> {
    let mut rules = vec![
        Rule::no_typing(),
        by_family(libc::SYS_socket),
        by_family(libc::SYS_socketpair),
        no_other_name(),
        own_limits(!observed.is_empty()),
    ];
    rules.extend(ABSENT.iter().map(|call| Rule::always(*call, Answer::Refuse(ENOSYS))));
    rules.extend(FORBIDDEN.iter().map(|call| Rule::always(*call, Answer::Refuse(EPERM))));
    rules.extend(observed.iter().map(|call| Rule::always(*call, Answer::Ask)));
    syscall_filter::build(rules, LAST_NATIVE)
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

/// `/proc/PID/exe` and where the stack began, which a root that the job makes itself could set to another program's
/// otherwise (PR_SET_MM of prctl(2)).
fn no_other_name() -> Rule {
    let set = (libc::PR_SET_MM as u32, Answer::Refuse(EPERM));
    Rule::by_value(libc::SYS_prctl, 0, [set], Answer::Allow)
}

/// Whoever has the user of init could set its limits otherwise, by the number of any of its threads, and without
/// descriptors it looks at nothing (prlimit(2)). The sensor's threads come and go, so where there is one, processes set their
/// own limits alone.
fn own_limits(is_observed: bool) -> Rule {
    let refused = Answer::Refuse(EPERM);
    if is_observed {
        return Rule::by_value(libc::SYS_prlimit64, 0, [(0, Answer::Allow)], refused);
    }
    let of_init = [witness::INIT, witness::THREAD].map(|number| (number, refused));
    Rule::by_value(libc::SYS_prlimit64, 0, of_init, Answer::Allow)
}

/// Families whose sockets belong to a network namespace or to the file system.
const FAMILIES: &[c_int] = &[libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// AF_VSOCK reaches the hypervisor from any network namespace; the others are not known to, but no
/// job needs them. A packet socket is refused as to anybody without CAP_NET_RAW, also to a root that
/// the job makes itself in a namespace of its own.
fn by_family(call: c_long) -> Rule {
    let packet = (libc::AF_PACKET as u32, Answer::Refuse(EPERM));
    let families = FAMILIES.iter().map(|family| (*family as u32, Answer::Allow)).chain([packet]);
    Rule::by_value(call, 0, families, Answer::Refuse(EAFNOSUPPORT))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::job::{Watch, WatchedFiles};
    use crate::syscall_filter::Run;

    const JUDGED: [c_long; 5] =
        [libc::SYS_ioctl, libc::SYS_prctl, libc::SYS_prlimit64, libc::SYS_socket, libc::SYS_socketpair];

    fn answer(call: c_long, first: u64, second: u64) -> Answer {
        Run::of(program(&[])).answer(call as u32, [first, second, 0, 0, 0, 0])
    }

    #[test]
    fn refuses_what_is_named_and_nothing_else() {
        for call in 0..2000 {
            let wanted = match call {
                // With arguments of zero: no request, no family.
                call if JUDGED[3..].contains(&call) => Answer::Refuse(EAFNOSUPPORT),
                call if ABSENT.contains(&call) => Answer::Refuse(ENOSYS),
                call if FORBIDDEN.contains(&call) => Answer::Refuse(EPERM),
                _ => Answer::Allow,
            };
            assert_eq!(answer(call, 0, 0), wanted, "call {call}");
        }
    }

    #[test]
    fn costs_nothing_but_where_arguments_decide() {
        let run = Run::of(program(&[]));
        for call in 0..2000 {
            assert_eq!(run.knows_by_number(call as u32), !JUDGED.contains(&call), "call {call}");
        }
    }

    #[test]
    fn what_is_observed_is_neither_refused_nor_looked_at_otherwise() {
        let watch = Watch { programs: true, files: Some(Arc::new(Everything)) };
        let (plain, observed) = (Run::of(program(&[])), Run::of(program(&watch.calls())));
        let mut asked = 0;
        for call in 0..2000 {
            let (before, after) = (plain.answer(call, [1; 6]), observed.answer(call, [1; 6]));
            match after {
                Answer::Ask => {
                    assert_eq!(before, Answer::Allow, "call {call}");
                    asked += 1;
                }
                after => assert_eq!(before, after, "call {call}"),
            }
        }
        assert_eq!(asked, watch.calls().len());
    }

    #[derive(Debug)]
    struct Everything;

    impl WatchedFiles for Everything {
        fn has(&self, _: &[u8]) -> bool {
            true
        }

        fn may_be_beneath(&self, _: &[u8]) -> bool {
            true
        }
    }

    #[test]
    fn judges_every_family() {
        for call in [libc::SYS_socket, libc::SYS_socketpair] {
            for family in 0..64 {
                let wanted = match family {
                    1 | 2 | 10 | 16 => Answer::Allow,
                    17 => Answer::Refuse(EPERM),
                    _ => Answer::Refuse(EAFNOSUPPORT),
                };
                assert_eq!(answer(call, family, 1), wanted, "family {family}");
                assert_eq!(answer(call, family | 0xdead_beef << 32, 1), wanted, "the kernel takes an int");
            }
        }
    }

    #[test]
    fn refuses_typing_by_the_low_half() {
        for request in [0x5412, 0x541c, 0x5423] {
            assert_eq!(answer(libc::SYS_ioctl, 0, request), Answer::Refuse(EPERM));
            assert_eq!(answer(libc::SYS_ioctl, 0, request | 1 << 32), Answer::Refuse(EPERM));
            assert_eq!(answer(libc::SYS_ioctl, request, 0), Answer::Allow);
        }
        for request in [libc::TIOCGWINSZ, libc::TCGETS, libc::TIOCSPGRP, libc::FIONREAD] {
            assert_eq!(answer(libc::SYS_ioctl, 0, request), Answer::Allow);
        }
    }

    #[test]
    fn programs_keep_their_names() {
        for high in [0, 1 << 32] {
            let option = libc::PR_SET_MM as u64 | high;
            assert_eq!(answer(libc::SYS_prctl, option, 13), Answer::Refuse(EPERM), "the kernel takes an int");
        }
        for option in [libc::PR_SET_NAME, libc::PR_SET_PDEATHSIG, libc::PR_SET_NO_NEW_PRIVS] {
            assert_eq!(answer(libc::SYS_prctl, option as u64, 13), Answer::Allow);
        }
    }

    #[test]
    fn limits_of_init_are_its_own() {
        let watch = Watch { programs: true, files: None };
        let (plain, observed) = (Run::of(program(&[])), Run::of(program(&watch.calls())));
        for high in [0, 1 << 32] {
            let limits = |run: &Run, process: u64| {
                run.answer(libc::SYS_prlimit64 as u32, [process | high, 7, 0, 0, 0, 0])
            };
            for (process, wanted) in [(0, true), (1, false), (2, true), (3, false), (70_000, true)] {
                assert_eq!(
                    limits(&plain, process) == Answer::Allow,
                    wanted,
                    "{process}: the kernel takes an int"
                );
                assert_eq!(limits(&observed, process) == Answer::Allow, process == 0, "{process}");
            }
        }
    }

    #[test]
    fn knows_no_x32() {
        for call in [0x4000_0000, 0x4000_0029, 0x4000_0010, 0x4000_0200, u32::MAX - 1] {
            assert_eq!(answer(call.into(), 0, 0), Answer::Refuse(ENOSYS), "call {call:#x}");
        }
        // What a tracer skipped.
        assert_eq!(answer(u32::MAX.into(), 0, 0), Answer::Allow);
    }
}

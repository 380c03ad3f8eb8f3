//! The system calls that a gateway which serves never makes. What is not known is refused as well.

use libc::{ENOSYS, EPERM, c_long, sock_filter};

use crate::syscall_filter::{Answer, Rule, build};

/// The highest number of the oldest headers that this is built with.
const LAST: u32 = libc::SYS_mseal as u32;

const REFUSED: Answer = Answer::Refuse(EPERM);

/// Programs and processes other than threads; other processes' memory, descriptors and schedule.
const PROCESSES: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_kcmp,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
    libc::SYS_personality,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_setpgid,
    libc::SYS_setsid,
    libc::SYS_tkill,
];

/// Namespaces and mounts.
const PLACES: &[c_long] = &[
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_setns,
    libc::SYS_umount2,
    libc::SYS_unshare,
];

/// The machine, its clock and parts of the kernel that a job's guard has no use for.
const MACHINE: &[c_long] = &[
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_adjtimex,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_fanotify_init,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_perf_event_open,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_userfaultfd,
    libc::SYS_vhangup,
];

/// Changes to the file system, and ways to files that pass by the check of paths.
const FILES: &[c_long] = &[
    libc::SYS_fchmodat,
    libc::SYS_fchownat,
    libc::SYS_linkat,
    libc::SYS_lsetxattr,
    libc::SYS_memfd_create,
    libc::SYS_mkdirat,
    libc::SYS_mknodat,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_renameat2,
    libc::SYS_setxattr,
    libc::SYS_symlinkat,
    libc::SYS_truncate,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
];

/// Other identities, and servers of our own in the host's network namespace.
const ROLES: &[c_long] = &[
    libc::SYS_listen,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
];

/// Calls that newer architectures do without.
#[cfg(target_arch = "x86_64")]
const OLD: &[c_long] = &[
    libc::SYS_chmod,
    libc::SYS_chown,
    libc::SYS_creat,
    libc::SYS_fork,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    libc::SYS_lchown,
    libc::SYS_link,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_modify_ldt,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_rmdir,
    libc::SYS_symlink,
    libc::SYS_unlink,
    libc::SYS_uselib,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[c_long] = &[];

/// The filter of a gateway whose job has this init.
pub(super) fn program(init: i32) -> Vec<sock_filter> {
    let plain = [PROCESSES, PLACES, MACHINE, FILES, ROLES, OLD].into_iter().flatten();
    let mut rules: Vec<Rule> = plain.map(|call| Rule::always(*call, REFUSED)).collect();
    rules.extend(missing());
    rules.extend(checked(init));
    build(rules, LAST)
}

/// Calls whose structures a filter cannot read: callers fall back to the plain ones.
fn missing() -> [Rule; 2] {
    [libc::SYS_clone3, libc::SYS_openat2].map(|call| Rule::always(call, Answer::Refuse(ENOSYS)))
}

fn checked(init: i32) -> Vec<Rule> {
    let own = std::process::id();
    let namespaces = libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWUTS;
    let thread = libc::CLONE_THREAD as u32;
    let writing = (libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC) as u32;
    let mut rules = vec![
        Rule::if_bits(libc::SYS_clone, 0, namespaces as u32 | thread, thread, REFUSED),
        Rule::no_typing(),
        // Zero is the own process group.
        one_of(libc::SYS_kill, [0, own, init as u32]),
        without(libc::SYS_mmap, 2, libc::PROT_EXEC as u32),
        without(libc::SYS_mprotect, 2, libc::PROT_EXEC as u32),
        without(libc::SYS_openat, 2, writing),
        without(libc::SYS_pkey_mprotect, 2, libc::PROT_EXEC as u32),
        one_of(libc::SYS_socket, [libc::AF_INET as u32, libc::AF_INET6 as u32]),
        one_of(libc::SYS_tgkill, [own]),
    ];
    #[cfg(target_arch = "x86_64")]
    rules.push(without(libc::SYS_open, 1, writing));
    rules
}

/// Only with one of these as the first argument.
fn one_of<const N: usize>(call: c_long, values: [u32; N]) -> Rule {
    Rule::by_value(call, 0, values.map(|value| (value, Answer::Allow)), REFUSED)
}

/// Only without these bits in the argument.
fn without(call: c_long, argument: usize, bits: u32) -> Rule {
    Rule::if_bits(call, argument, bits, 0, REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall_filter::Run;

    #[test]
    fn costs_nothing_but_where_arguments_decide() {
        let run = Run::of(program(7));
        let looked_at: Vec<c_long> =
            (0..=LAST.into()).filter(|call| !run.knows_by_number(*call as u32)).collect();
        assert_eq!(looked_at.len(), checked(7).len(), "{looked_at:?}");
        for call in [libc::SYS_read, libc::SYS_writev, libc::SYS_recvmsg, libc::SYS_splice, libc::SYS_connect]
        {
            assert_eq!(run.answer(call as u32, [0; 6]), Answer::Allow);
            assert!(!looked_at.contains(&call));
        }
    }

    #[test]
    fn signals_only_itself_and_init() {
        let run = Run::of(program(7));
        let kill = |pid: u32| run.answer(libc::SYS_kill as u32, [pid.into(), 9, 0, 0, 0, 0]);
        for pid in [0, 7, std::process::id()] {
            assert_eq!(kill(pid), Answer::Allow);
        }
        // All processes, and init's group.
        for pid in [1, 8, u32::MAX, 7u32.wrapping_neg()] {
            assert_eq!(kill(pid), REFUSED);
        }
    }

    #[test]
    fn has_no_calls_that_are_newer_than_itself() {
        let run = Run::of(program(7));
        for call in [LAST + 1, 0x4000_0000] {
            assert_eq!(run.answer(call, [0; 6]), Answer::Refuse(ENOSYS));
        }
    }
}

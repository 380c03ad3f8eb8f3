//! The system calls that a gateway which serves never makes. What is not known is refused as well.

use libc::{EPERM, c_long, sock_filter};

use super::filter::{Check, Rule, Test, build};

/// The highest number of the oldest headers that this is built with.
const LAST: u32 = libc::SYS_mseal as u32;

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
    let mut rules: Vec<Rule> = plain.map(|&number| Rule { number, errno: EPERM, check: None }).collect();
    rules.extend(missing());
    rules.extend(checked(init));
    build(rules, LAST)
}

/// Calls whose structures a filter cannot read: callers fall back to the plain ones.
fn missing() -> [Rule; 2] {
    [libc::SYS_clone3, libc::SYS_openat2].map(|number| Rule { number, errno: libc::ENOSYS, check: None })
}

fn checked(init: i32) -> Vec<Rule> {
    let rule = |number, argument, test| Rule { number, errno: EPERM, check: Some(Check { argument, test }) };
    let own = std::process::id();
    let namespaces = libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWUTS;
    let thread = libc::CLONE_THREAD as u32;
    let threads_only = Test::Masked { mask: namespaces as u32 | thread, value: thread };
    // Zero is the own process group.
    let own_processes = Test::OneOf(vec![0, own, init as u32]);
    let internet = Test::OneOf(vec![libc::AF_INET as u32, libc::AF_INET6 as u32]);
    let no_typing = Test::NoneOf(vec![libc::TIOCSTI as u32, libc::TIOCLINUX as u32]);
    let no_code = || Test::Masked { mask: libc::PROT_EXEC as u32, value: 0 };
    let writing = libc::O_WRONLY | libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC;
    let reading = || Test::Masked { mask: writing as u32, value: 0 };
    let mut rules = vec![
        rule(libc::SYS_clone, 0, threads_only),
        rule(libc::SYS_ioctl, 1, no_typing),
        rule(libc::SYS_kill, 0, own_processes),
        rule(libc::SYS_mmap, 2, no_code()),
        rule(libc::SYS_mprotect, 2, no_code()),
        rule(libc::SYS_openat, 2, reading()),
        rule(libc::SYS_pkey_mprotect, 2, no_code()),
        rule(libc::SYS_socket, 0, internet),
        rule(libc::SYS_tgkill, 0, Test::OneOf(vec![own])),
    ];
    #[cfg(target_arch = "x86_64")]
    rules.push(rule(libc::SYS_open, 1, reading()));
    rules
}

//! What the machine says about itself, as far as it tells which remedy helps. No check trusts it.

use std::fs;
use std::path::{Path, PathBuf};

/// Directories below `/proc` that the kernel keeps empty for mounts: those hide nothing.
const MADE_FOR_MOUNTS: [&str; 3] = ["/proc/sys/fs/binfmt_misc", "/proc/fs/nfsd", "/proc/openprom"];
/// Limits on namespaces (namespaces(7), "The /proc/sys/user directory"), and how many one run takes.
const LIMITS: [(&str, u64); 6] = [
    ("max_user_namespaces", 2),
    ("max_net_namespaces", 2),
    ("max_pid_namespaces", 1),
    ("max_ipc_namespaces", 1),
    ("max_uts_namespaces", 1),
    ("max_mnt_namespaces", 1),
];

/// The surroundings of the process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// This program, for an AppArmor profile.
    pub(super) program: Option<PathBuf>,
    /// The program cannot be read by its user, so the kernel closes its files in `/proc`.
    pub(super) is_unreadable: bool,
    /// Ubuntu's `kernel.apparmor_restrict_unprivileged_userns`.
    pub(super) apparmor_restricts: bool,
    /// Debian's `kernel.unprivileged_userns_clone` is 0.
    pub(super) debian_forbids: bool,
    /// Limits in `/proc/sys/user` that are lower than a run needs.
    pub(super) low_limits: Vec<&'static str>,
    /// A seccomp filter is in force.
    pub(super) is_filtered: bool,
    /// The engine of the container that the process is in.
    pub(super) container: Option<Container>,
    /// The root directory is no mount, as after chroot(2).
    pub(super) is_chroot: bool,
    /// Mounts that hide parts of `/proc`.
    pub(super) masked_proc: Vec<String>,
}

/// What made the container, as far as its options differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Docker,
    Podman,
    Kubernetes,
}

impl Circumstances {
    pub(super) fn read() -> Circumstances {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let program = std::env::current_exe().ok();
        let mounts = text("/proc/self/mountinfo");
        Circumstances {
            is_unreadable: program.as_ref().is_some_and(|path| fs::File::open(path).is_err()),
            program,
            apparmor_restricts: text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").trim() == "1",
            debian_forbids: text("/proc/sys/kernel/unprivileged_userns_clone").trim() == "0",
            low_limits: low_limits(|name| text(&format!("/proc/sys/user/{name}"))),
            is_filtered: is_filtered(&text("/proc/self/status")),
            container: container(),
            is_chroot: is_chroot(&mounts),
            masked_proc: masked_proc(&mounts),
        }
    }
}

fn low_limits(read: impl Fn(&str) -> String) -> Vec<&'static str> {
    let is_low = |name: &str, needed: u64| read(name).trim().parse::<u64>().is_ok_and(|limit| limit < needed);
    LIMITS.into_iter().filter(|(name, needed)| is_low(name, *needed)).map(|(name, _)| name).collect()
}

/// The process's seccomp mode (proc_pid_status(5)).
fn is_filtered(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("Seccomp:").is_some_and(|mode| mode.trim() == "2"))
}

fn container() -> Option<Container> {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        Some(Container::Kubernetes)
    } else if Path::new("/run/.containerenv").exists() {
        Some(Container::Podman)
    } else if Path::new("/.dockerenv").exists() {
        Some(Container::Docker)
    } else {
        None
    }
}

/// Whether none of the mounts that the process sees is its root directory.
fn is_chroot(mountinfo: &str) -> bool {
    !mountinfo.is_empty() && !mount_points(mountinfo).any(|path| path == "/")
}

fn masked_proc(mountinfo: &str) -> Vec<String> {
    let mut masks: Vec<String> = mount_points(mountinfo)
        .filter(|path| path.starts_with("/proc/") && !MADE_FOR_MOUNTS.contains(path))
        .map(str::to_owned)
        .collect();
    masks.sort();
    masks.dedup();
    masks
}

/// The fifth field (proc_pid_mountinfo(5)).
fn mount_points(mountinfo: &str) -> impl Iterator<Item = &str> {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_mounts() {
        let host = "22 27 0:21 / /proc rw - proc proc rw\n\
                    23 22 0:22 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n\
                    27 1 254:0 / / rw - ext4 /dev/vda rw\n";
        assert!(!is_chroot(host) && masked_proc(host).is_empty());
        let container = format!(
            "{host}30 22 0:21 /sys /proc/sys ro - proc proc rw\n31 22 0:5 /null /proc/kcore rw - tmpfs tmpfs rw\n"
        );
        assert_eq!(masked_proc(&container), ["/proc/kcore", "/proc/sys"]);
        assert!(is_chroot("22 27 0:21 / /proc rw - proc proc rw\n"));
        assert!(!is_chroot(""));
    }

    #[test]
    fn reads_limits_and_filters() {
        let limit =
            |name: &str| if name == "max_net_namespaces" { "1\n".to_owned() } else { "31231\n".to_owned() };
        assert_eq!(low_limits(limit), ["max_net_namespaces"]);
        assert!(low_limits(|_| String::new()).is_empty());
        assert!(is_filtered("Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"));
        assert!(!is_filtered("Seccomp:\t0\nSeccomp_filters:\t2\n"));
    }
}

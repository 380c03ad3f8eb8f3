//! What went wrong while a namespace, a link or a job was set up, and what to do about it.

use std::fmt;
use std::io;

/// A step of the set-up that the kernel refused.
#[derive(Debug, thiserror::Error)]
pub struct Error {
    step: Step,
    detail: String,
    source: io::Error,
}

/// A result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// The steps of the set-up, as far as they fail for different reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making a user namespace or writing its maps.
    UserNamespace,
    /// Making or entering a network namespace.
    NetworkNamespace,
    /// Making the job's PID, IPC, UTS and mount namespaces.
    JobNamespaces,
    /// Links, addresses and routes.
    Link,
    /// The nftables rules.
    PacketRules,
    /// A socket in the gateway or the job namespace.
    Socket,
    /// Mounts in the job's mount namespace.
    Mount,
    /// Credentials, capabilities and limits of the job.
    Credentials,
    /// The proof from inside the job namespace that enforcement works.
    Probe,
    /// Looking at the job's programs and files.
    Sensor,
    /// Talking to the job's init process.
    Control,
}

impl Error {
    pub(crate) fn new(step: Step, detail: impl Into<String>, source: impl Into<io::Error>) -> Error {
        Error { step, detail: detail.into(), source: source.into() }
    }

    /// Which step failed.
    pub fn step(&self) -> Step {
        self.step
    }

    /// The system's error number, zero if there is none.
    pub(crate) fn errno(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(0)
    }

    /// What a user can do about it, if the kernel's answer tells.
    pub fn remedy(&self) -> Option<&'static str> {
        remedy(self.step, self.source.raw_os_error()?)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Adds the step and what was being done to a system error.
pub(crate) trait During<T> {
    fn during(self, step: Step, detail: impl Into<String>) -> Result<T>;
}

impl<T, E: Into<io::Error>> During<T> for std::result::Result<T, E> {
    fn during(self, step: Step, detail: impl Into<String>) -> Result<T> {
        self.map_err(|source| Error::new(step, detail, source))
    }
}

/// What a user can do about a step that the kernel refused with this error number.
pub fn remedy(step: Step, errno: i32) -> Option<&'static str> {
    match (step, errno) {
        (Step::UserNamespace, libc::EPERM | libc::EACCES) => Some(
            "unprivileged user namespaces are refused here. On Ubuntu 24.04 and later run \
             `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0` or install an AppArmor profile with \
             `userns` for cijail-net; on Debian `sudo sysctl kernel.unprivileged_userns_clone=1`; in a container \
             start it with `--security-opt seccomp=unconfined` or `--cap-add SYS_ADMIN --cap-add NET_ADMIN`; \
             or run cijail-net as root",
        ),
        (Step::UserNamespace | Step::NetworkNamespace | Step::JobNamespaces, libc::ENOSPC) => Some(
            "the limit on namespaces is used up: raise it with `sudo sysctl user.max_user_namespaces=31231 \
             user.max_net_namespaces=31231` (two of each are needed for a run)",
        ),
        (Step::UserNamespace | Step::NetworkNamespace | Step::JobNamespaces, libc::EINVAL | libc::ENOSYS) => {
            Some(
                "the kernel lacks namespaces: it needs CONFIG_USER_NS, CONFIG_NET_NS, CONFIG_PID_NS, CONFIG_IPC_NS and CONFIG_UTS_NS",
            )
        }
        (Step::NetworkNamespace | Step::JobNamespaces, libc::EPERM) => Some(
            "making namespaces is refused although a user namespace was granted: a seccomp profile or LSM of the \
             container is in the way; start it with `--security-opt seccomp=unconfined`",
        ),
        (Step::NetworkNamespace | Step::JobNamespaces, libc::EAGAIN) => Some(
            "no process or thread can be started: the user's limit (`ulimit -u`) or the container's (`pids.max`) is reached, \
             or the caller is scheduled by deadline (`chrt -d`) and must not fork",
        ),
        (Step::Link, libc::EOPNOTSUPP) => {
            Some("the kernel lacks veth links: load the module with `sudo modprobe veth`")
        }
        (Step::PacketRules, libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT) => Some(
            "the kernel lacks nftables TPROXY: load the modules with `sudo modprobe -a nf_tables nft_tproxy nfnetlink_log nft_log`",
        ),
        (Step::Mount, libc::EPERM) => Some(
            "the container masks parts of /proc, so a fresh one cannot be mounted: start it with \
             `--security-opt systempaths=unconfined` (podman: `--security-opt unmask=ALL`)",
        ),
        (Step::Sensor, libc::EBUSY) => Some(
            "what started cijail-net looks at its system calls already, and the kernel lets one do so: start it outside \
             of that program (a container engine with seccomp notification, cijail-net with --watch-exec), or without \
             --watch-exec and --watch-path",
        ),
        (Step::Sensor, libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP) => Some(
            "the kernel lacks seccomp's user notification: Linux 5.5 is the first to have what --watch-exec and \
             --watch-path take",
        ),
        (Step::Sensor, libc::EPERM | libc::EACCES) => Some(
            "looking into the job's processes is refused: in a container start it with --cap-add SYS_PTRACE; elsewhere \
             lower `sysctl kernel.yama.ptrace_scope` to 2 or less, or run without --watch-exec and --watch-path",
        ),
        _ => None,
    }
}

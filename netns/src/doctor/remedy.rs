//! What to do about each failure. Pure: it depends on the system's error number and the
//! circumstances alone.

use super::circumstances::{Circumstances, Container};

/// The kernel's own default on a machine with 8 GiB, and far more than a run needs.
const PLENTY: &str = "31231";

pub(super) fn readable_proc(_: i32, _: &Circumstances) -> String {
    "mount it: sudo mount -t proc proc /proc".to_owned()
}

/// For namespaces of every kind.
pub(super) fn namespace(errno: i32, around: &Circumstances) -> String {
    match errno {
        libc::EPERM | libc::EACCES => permission(around),
        libc::ENOSPC | libc::EUSERS => limits(around),
        libc::EINVAL | libc::ENOSYS => kernel("USER_NS, NET_NS, PID_NS, IPC_NS and UTS_NS"),
        _ => other(),
    }
}

pub(super) fn veth(errno: i32, around: &Circumstances) -> String {
    lacking(errno, around, "veth", "VETH")
}

pub(super) fn routing(errno: i32, around: &Circumstances) -> String {
    match errno {
        libc::EPERM | libc::EACCES => permission(around),
        libc::EOPNOTSUPP | libc::EAFNOSUPPORT => kernel("IP_MULTIPLE_TABLES and IPV6_MULTIPLE_TABLES"),
        _ => other(),
    }
}

pub(super) fn nftables(errno: i32, around: &Circumstances) -> String {
    lacking(errno, around, "nf_tables", "NF_TABLES and NF_TABLES_INET")
}

pub(super) fn tproxy(errno: i32, around: &Circumstances) -> String {
    lacking(errno, around, "nft_tproxy", "NFT_TPROXY")
}

pub(super) fn nflog(errno: i32, around: &Circumstances) -> String {
    lacking(errno, around, "-a nft_log nfnetlink_log", "NFT_LOG and NETFILTER_NETLINK_LOG")
}

pub(super) fn sockets(errno: i32, around: &Circumstances) -> String {
    match (errno, around.container) {
        (libc::EPERM | libc::EACCES, Some(Container::Kubernetes)) => {
            "the container needs the capability NET_RAW: securityContext: {capabilities: {add: [NET_RAW]}}"
                .to_owned()
        }
        (libc::EPERM | libc::EACCES, _) => {
            "the process lacks CAP_NET_RAW: in a container start it with --cap-add NET_RAW".to_owned()
        }
        _ => other(),
    }
}

pub(super) fn mounts(errno: i32, around: &Circumstances) -> String {
    match errno {
        // The root directory is not a mount.
        libc::EINVAL if around.is_chroot => {
            "the process is in a chroot: before entering it make its directory a mount, with mount --bind DIR DIR"
                .to_owned()
        }
        libc::EPERM | libc::EACCES => permission(around),
        libc::ENODEV => kernel("TMPFS"),
        _ => other(),
    }
}

pub(super) fn fresh_proc(errno: i32, around: &Circumstances) -> String {
    if !matches!(errno, libc::EPERM | libc::EACCES) {
        return other();
    }
    if around.masked_proc.is_empty() {
        return permission(around);
    }
    let masks = around.masked_proc.join(" ");
    let way = match around.container {
        Some(Container::Docker) => "start the container with --security-opt systempaths=unconfined",
        Some(Container::Podman) => "start the container with --security-opt unmask=ALL",
        Some(Container::Kubernetes) => "set securityContext: {procMount: Unmasked} and hostUsers: false",
        None => {
            "unmount them, or in a container start it with --security-opt systempaths=unconfined (Docker) or --security-opt unmask=ALL (Podman)"
        }
    };
    format!("parts of /proc are hidden, and the kernel then mounts no other one ({masks}): {way}")
}

pub(super) fn resolv_conf(errno: i32, around: &Circumstances) -> String {
    match errno {
        libc::EPERM | libc::EACCES => permission(around),
        _ => "make /etc/resolv.conf a plain file that the user can read".to_owned(),
    }
}

/// Capabilities as root, another user namespace otherwise.
pub(super) fn credentials(errno: i32, around: &Circumstances) -> String {
    match errno {
        libc::EPERM if around.container.is_some() && !around.is_filtered => {
            "the process lacks CAP_SETPCAP: start the container with --cap-add SETPCAP".to_owned()
        }
        _ => namespace(errno, around),
    }
}

pub(super) fn seccomp(errno: i32, around: &Circumstances) -> String {
    match errno {
        libc::EINVAL | libc::ENOSYS => kernel("SECCOMP_FILTER"),
        libc::EPERM | libc::EACCES => permission(around),
        _ => other(),
    }
}

pub(super) fn close_range(errno: i32, around: &Circumstances) -> String {
    match errno {
        libc::EPERM | libc::EACCES => permission(around),
        _ => "update the kernel: Linux 5.11 is the first to have it".to_owned(),
    }
}

/// For a check that nothing fails.
pub(super) fn nothing(_: i32, _: &Circumstances) -> String {
    other()
}

/// For what is refused, the first that explains it.
fn permission(around: &Circumstances) -> String {
    if around.is_unreadable {
        let program = program(around);
        return format!(
            "the user cannot read the program, so the kernel trusts it less: chmod a+r {program}"
        );
    }
    if around.debian_forbids {
        return format!(
            "{} (in /etc/sysctl.d/ to keep it), or run as root",
            sysctl("kernel.unprivileged_userns_clone=1", around)
        );
    }
    if around.is_chroot {
        return "the process is in a chroot, where the kernel refuses user namespaces: run cijail-net outside of it, run as root, or enter the tree with systemd-nspawn or bwrap instead".to_owned();
    }
    if around.apparmor_restricts {
        return format!(
            "AppArmor restricts user namespaces. Allow them for this program: echo 'abi <abi/4.0>, \
             profile cijail-net {} flags=(unconfined) {{ userns, }}' | sudo tee /etc/apparmor.d/cijail-net && \
             sudo apparmor_parser -r /etc/apparmor.d/cijail-net; or for all: {}; or run as root",
            program(around),
            sysctl("kernel.apparmor_restrict_unprivileged_userns=0", around),
        );
    }
    match around.container {
        Some(Container::Docker) => "the container's seccomp or AppArmor profile refuses it: start it with \
             --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
            .to_owned(),
        Some(Container::Podman) => "the container's seccomp profile refuses it: start it with \
             --security-opt seccomp=unconfined --security-opt unmask=ALL"
            .to_owned(),
        Some(Container::Kubernetes) => "the pod's profiles refuse it: set hostUsers: false and securityContext: \
             {seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}, procMount: Unmasked}"
            .to_owned(),
        None if around.is_filtered => "a seccomp filter of what started the process refuses it: start it without \
             (systemd unit: RestrictNamespaces=no; Docker: --security-opt seccomp=unconfined)"
            .to_owned(),
        None => "a security policy of the machine refuses it, which dmesg or the audit log may name: allow it there, or run as root".to_owned(),
    }
}

fn limits(around: &Circumstances) -> String {
    if around.low_limits.is_empty() {
        return format!(
            "a limit on namespaces is used up, here or in a namespace around this one: end other jobs, or {}",
            sysctl(&format!("user.max_user_namespaces={PLENTY} user.max_net_namespaces={PLENTY}"), around)
        );
    }
    let settings: Vec<String> =
        around.low_limits.iter().map(|name| format!("user.{name}={PLENTY}")).collect();
    sysctl(&settings.join(" "), around)
}

fn lacking(errno: i32, around: &Circumstances, modules: &str, options: &str) -> String {
    if matches!(errno, libc::EPERM | libc::EACCES) {
        return permission(around);
    }
    let place = if around.container.is_some() { "on the host: " } else { "" };
    format!("{place}sudo modprobe {modules}; if there is no such module: {}", kernel(options))
}

fn sysctl(settings: &str, around: &Circumstances) -> String {
    let place = if around.container.is_some() { "on the host: " } else { "" };
    format!("{place}sudo sysctl -w {settings}")
}

fn kernel(options: &str) -> String {
    format!("use a kernel that is built with {options}")
}

fn program(around: &Circumstances) -> String {
    around
        .program
        .as_ref()
        .map_or_else(|| "/path/to/cijail-net".to_owned(), |path| path.display().to_string())
}

fn other() -> String {
    "this is not known to happen: please report it with the output of cijail-net doctor".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_in_the_way() {
        let plain = Circumstances::default();
        let permission = |around: &Circumstances| namespace(libc::EPERM, around);
        assert!(permission(&plain).contains("dmesg"));
        assert!(
            permission(&Circumstances { is_filtered: true, ..plain.clone() })
                .contains("RestrictNamespaces=no")
        );
        assert!(permission(&Circumstances { is_chroot: true, ..plain.clone() }).contains("chroot"));
        let debian =
            Circumstances { debian_forbids: true, container: Some(Container::Docker), ..plain.clone() };
        assert!(
            permission(&debian).starts_with("on the host: sudo sysctl -w kernel.unprivileged_userns_clone=1")
        );
        let ubuntu =
            Circumstances { apparmor_restricts: true, program: Some("/opt/cijail-net".into()), ..plain };
        assert!(
            permission(&ubuntu).contains("profile cijail-net /opt/cijail-net flags=(unconfined) { userns, }")
        );
    }

    #[test]
    fn names_the_limit() {
        let low = Circumstances { low_limits: vec!["max_net_namespaces"], ..Circumstances::default() };
        assert_eq!(namespace(libc::ENOSPC, &low), "sudo sysctl -w user.max_net_namespaces=31231");
        assert!(namespace(libc::ENOSPC, &Circumstances::default()).contains("used up"));
    }

    #[test]
    fn names_the_option_of_each_engine() {
        let around = |container| Circumstances {
            container: Some(container),
            masked_proc: vec!["/proc/kcore".to_owned()],
            ..Circumstances::default()
        };
        let wanted = [
            (Container::Docker, "systempaths=unconfined"),
            (Container::Podman, "unmask=ALL"),
            (Container::Kubernetes, "procMount: Unmasked"),
        ];
        for (container, option) in wanted {
            assert!(fresh_proc(libc::EPERM, &around(container)).contains(option));
            assert!(namespace(libc::EPERM, &around(container)).contains(option));
        }
    }
}

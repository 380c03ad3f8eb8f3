//! The checks themselves, each the real step of a run.

use std::fs;
use std::path::Path;

use nix::unistd::{getegid, geteuid};

use crate::error::{During, Error, Step};
use crate::guard::landlock_version;
use crate::job::trial as job;
use crate::net::{Family, trial as net};
use crate::userns::{Privilege, acquire, map_identity};

use super::{Attempt, MOUNTS, NETWORK_NAMESPACES, PROC, Stop, USER_NAMESPACE, VETH};

const STATUS: &str = "/proc/self/status";
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a run does first.
pub(super) fn privileged(held: Option<Privilege>) -> Result<Privilege, Error> {
    // A process whose mapping was refused has every capability in a namespace that is of no use.
    if fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.trim().is_empty()) {
        map_identity(geteuid(), getegid())
            .during(Step::UserNamespace, "mapping the user into its namespace")?;
    }
    match held {
        Some(privilege) => Ok(privilege),
        None => acquire(),
    }
}

fn pair(held: Option<Privilege>) -> Result<net::Pair, Stop> {
    privileged(held).map_err(|_| Stop::Unreached(USER_NAMESPACE))?;
    net::namespaces().map_err(|_| Stop::Unreached(NETWORK_NAMESPACES))
}

pub(super) fn readable_proc(_: Option<Privilege>) -> Attempt {
    fs::read(STATUS).during(Step::Credentials, format!("reading {STATUS}"))?;
    Ok(String::new())
}

pub(super) fn user_namespace(held: Option<Privilege>) -> Attempt {
    fs::metadata(STATUS).map_err(|_| Stop::Unreached(PROC))?;
    Ok(match privileged(held)? {
        Privilege::Root => "not needed: CAP_SYS_ADMIN and CAP_NET_ADMIN are held".to_owned(),
        Privilege::UserNamespace => String::new(),
    })
}

pub(super) fn network_namespaces(held: Option<Privilege>) -> Attempt {
    privileged(held).map_err(|_| Stop::Unreached(USER_NAMESPACE))?;
    net::namespaces()?;
    Ok(String::new())
}

pub(super) fn veth(held: Option<Privilege>) -> Attempt {
    net::link(&mut pair(held)?)?;
    Ok(String::new())
}

pub(super) fn routing(held: Option<Privilege>) -> Attempt {
    let mut pair = pair(held)?;
    net::link(&mut pair).map_err(|_| Stop::Unreached(VETH))?;
    net::routing(&mut pair)?;
    Ok(String::new())
}

pub(super) fn ipv6(held: Option<Privilege>) -> Attempt {
    let _pair = pair(held)?;
    Ok(match net::family() {
        Family::Both => String::new(),
        Family::V4Only => "off on this machine: the job gets IPv4 alone".to_owned(),
    })
}

pub(super) fn nftables(held: Option<Privilege>) -> Attempt {
    let _pair = pair(held)?;
    net::chains()?;
    Ok(String::new())
}

pub(super) fn tproxy(held: Option<Privilege>) -> Attempt {
    let _pair = pair(held)?;
    net::tproxy()?;
    Ok(String::new())
}

pub(super) fn nflog(held: Option<Privilege>) -> Attempt {
    let _pair = pair(held)?;
    net::drop_log()?;
    Ok(String::new())
}

pub(super) fn sockets(held: Option<Privilege>) -> Attempt {
    let _pair = pair(held)?;
    net::gateway_sockets()?;
    Ok(String::new())
}

/// The place itself is what is tried.
pub(super) fn nothing_more(_: Option<Privilege>) -> Attempt {
    Ok(String::new())
}

pub(super) fn mounts(_: Option<Privilege>) -> Attempt {
    job::private_mounts()?;
    Ok(String::new())
}

pub(super) fn fresh_proc(_: Option<Privilege>) -> Attempt {
    job::own_mounts().map_err(|_| Stop::Unreached(MOUNTS))?;
    job::fresh_proc()?;
    Ok(String::new())
}

pub(super) fn resolv_conf(_: Option<Privilege>) -> Attempt {
    let path = Path::new(RESOLV_CONF);
    if !path.exists() {
        let what = if path.is_symlink() { "a dangling link" } else { "missing" };
        return Ok(format!("{what}: the job finds the DNS at 127.0.0.1 instead"));
    }
    job::private_mounts().map_err(|_| Stop::Unreached(MOUNTS))?;
    job::replaced_file(path)?;
    Ok(String::new())
}

pub(super) fn credentials(held: Option<Privilege>) -> Attempt {
    if held == Some(Privilege::UserNamespace) {
        job::nested_user_namespace()?;
    }
    job::limited_capabilities()?;
    Ok(String::new())
}

pub(super) fn seccomp(_: Option<Privilege>) -> Attempt {
    job::system_call_filter()?;
    Ok(String::new())
}

/// Not needed for a run without it. Its threads look with capabilities that a run's init has.
pub(super) fn sensor(_: Option<Privilege>) -> Attempt {
    if job::own_mounts().and_then(|()| job::fresh_proc()).is_err() {
        return Err(Stop::Unreached("a fresh /proc"));
    }
    Ok(match job::sensor() {
        Ok(()) => String::new(),
        Err(error) => {
            let cause =
                std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            let remedy = error.remedy().map(|remedy| format!("; {remedy}")).unwrap_or_default();
            format!("not there, and optional: no --watch-exec and --watch-path ({error}{cause}{remedy})")
        }
    })
}

pub(super) fn close_range(_: Option<Privilege>) -> Attempt {
    job::closed_descriptors()?;
    Ok(String::new())
}

/// Not needed for a run.
pub(super) fn landlock(_: Option<Privilege>) -> Attempt {
    Ok(match landlock_version() {
        Some(version) => format!("version {version}"),
        None => "not there, and optional: the gateway does without that wall around itself".to_owned(),
    })
}

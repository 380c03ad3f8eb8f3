//! Long, many, slow and broken: the gateway stays up, stays small, and lets nothing out meanwhile.
//!
//! `CIJAIL_NET_TEST_FULL=1` takes the full numbers; without it each test is done within seconds.

mod connections;
mod floods;
mod pauses;
mod resolvers;
mod runs;
mod shortage;
mod upstreams;

use std::fs;

use nix::unistd::Pid;

use crate::suite::Suite;

pub(crate) fn add(suite: &mut Suite) {
    for add in
        [connections::add, floods::add, pauses::add, resolvers::add, runs::add, shortage::add, upstreams::add]
    {
        add(suite);
    }
}

/// The full number where it is asked for, and otherwise the one that is quick.
pub(crate) fn scaled<T>(quick: T, full: T) -> T {
    if std::env::var_os("CIJAIL_NET_TEST_FULL").is_some() { full } else { quick }
}

/// Memory of a process that is not swapped out, in KiB (`proc_pid_status(5)`).
#[track_caller]
pub(crate) fn resident(pid: Pid) -> usize {
    memory(pid, "VmRSS:")
}

/// The most that it ever was.
#[track_caller]
pub(crate) fn peak(pid: Pid) -> usize {
    memory(pid, "VmHWM:")
}

#[track_caller]
fn memory(pid: Pid, key: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Descriptors that a process has open.
#[track_caller]
fn descriptors(pid: Pid) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

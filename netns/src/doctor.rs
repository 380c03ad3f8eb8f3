//! What this machine can do: every step of a run, tried for real in a child, with the remedy for
//! each that fails.
//!
//! What a check finds comes from the kernel's own answers; files such as sysctls only choose the
//! remedy. A check changes nothing outside its child.

mod attempts;
mod child;
mod circumstances;
mod remedy;

use std::thread;
use std::time::Duration;

use crate::error::{Error, Step};
use crate::job::{clone_init, separate};
use crate::userns::Privilege;

use attempts::privileged;
use child::Report;
use circumstances::Circumstances;

/// How often a check is tried again while an earlier one's namespaces are taken apart.
const PATIENCE: usize = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// One thing that a run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is, in a word or two.
    pub name: &'static str,
    /// What the check found.
    pub finding: Finding,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It works.
    Works {
        /// What there is to say about it; may be empty.
        note: String,
    },
    /// It does not work, so a run cannot.
    Missing {
        /// What was being done, and what the system said.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// It cannot be tried before something else works.
    Untested {
        /// What it needs.
        needs: String,
    },
}

/// Tries everything. `held` is what [`acquire`](crate::acquire) has given the process already, if it
/// was called. The calling process must have one thread.
pub fn examine(held: Option<Privilege>) -> Vec<Check> {
    let circumstances = Circumstances::read();
    let mut checks: Vec<Check> = Vec::with_capacity(PROBES.len());
    for probe in &PROBES {
        let finding = probe.find(held, &circumstances, &checks);
        checks.push(Check { name: probe.name, finding });
    }
    checks
}

/// Whether a run works: nothing is missing, and nothing remained untested.
pub fn is_fit(checks: &[Check]) -> bool {
    checks.iter().all(|check| matches!(check.finding, Finding::Works { .. }))
}

/// A check and the remedy for its failure, by the system's error number.
struct Probe {
    name: &'static str,
    place: Place,
    attempt: AttemptFn,
    remedy: RemedyFn,
}

type AttemptFn = fn(Option<Privilege>) -> Attempt;
type RemedyFn = fn(i32, &Circumstances) -> String;

/// Where a check runs.
enum Place {
    /// In a child.
    Child,
    /// In a child of a child that has the privilege of a run, and there in namespaces like the job's.
    JobNamespaces,
}

/// A note, or why there is none.
type Attempt = Result<String, Stop>;

enum Stop {
    Refused(Error),
    Unreached(&'static str),
}

const PROC: &str = "/proc";
const USER_NAMESPACE: &str = "user namespace";
const NETWORK_NAMESPACES: &str = "network namespaces";
const VETH: &str = "veth link";
const JOB_NAMESPACES: &str = "job namespaces";
const MOUNTS: &str = "mounts";

static PROBES: [Probe; 19] = [
    probe(PROC, attempts::readable_proc, remedy::readable_proc),
    probe(USER_NAMESPACE, attempts::user_namespace, remedy::namespace),
    probe(NETWORK_NAMESPACES, attempts::network_namespaces, remedy::namespace),
    probe(VETH, attempts::veth, remedy::veth),
    probe("routes and rules", attempts::routing, remedy::routing),
    probe("IPv6", attempts::ipv6, remedy::namespace),
    probe("nftables", attempts::nftables, remedy::nftables),
    probe("TPROXY", attempts::tproxy, remedy::tproxy),
    probe("NFLOG", attempts::nflog, remedy::nflog),
    probe("gateway sockets", attempts::sockets, remedy::sockets),
    inside(JOB_NAMESPACES, attempts::nothing_more, remedy::namespace),
    inside(MOUNTS, attempts::mounts, remedy::mounts),
    inside("a fresh /proc", attempts::fresh_proc, remedy::fresh_proc),
    inside("resolv.conf", attempts::resolv_conf, remedy::resolv_conf),
    inside("job's privileges", attempts::credentials, remedy::credentials),
    inside("seccomp", attempts::seccomp, remedy::seccomp),
    inside("program sensor", attempts::sensor, remedy::nothing),
    probe("close_range", attempts::close_range, remedy::close_range),
    probe("Landlock", attempts::landlock, remedy::nothing),
];

const fn probe(name: &'static str, attempt: AttemptFn, remedy: RemedyFn) -> Probe {
    Probe { name, place: Place::Child, attempt, remedy }
}

/// In namespaces like the job's.
const fn inside(name: &'static str, attempt: AttemptFn, remedy: RemedyFn) -> Probe {
    Probe { name, place: Place::JobNamespaces, attempt, remedy }
}

impl Probe {
    fn find(&self, held: Option<Privilege>, circumstances: &Circumstances, earlier: &[Check]) -> Finding {
        let mut report = self.run(held);
        for _ in 0..PATIENCE {
            if !may_settle(&report, earlier, circumstances) {
                break;
            }
            thread::sleep(PAUSE);
            report = self.run(held);
        }
        match report {
            Report::Works(note) => Finding::Works { note },
            Report::Unreached(needs) => Finding::Untested { needs },
            Report::Refused { errno, problem } => {
                Finding::Missing { problem, remedy: (self.remedy)(errno, circumstances) }
            }
        }
    }

    fn run(&self, held: Option<Privilege>) -> Report {
        let reported = match self.place {
            Place::Child => child::run(child::plain, || report((self.attempt)(held))),
            Place::JobNamespaces => child::run(child::plain, || self.run_in_job_namespaces(held)),
        };
        // That says nothing about what was to be checked.
        reported.unwrap_or_else(|error| Report::Unreached(format!("a process of its own ({error})")))
    }

    fn run_in_job_namespaces(&self, held: Option<Privilege>) -> Report {
        let privilege = match privileged(held) {
            Ok(privilege) => privilege,
            Err(_) => return Report::Unreached(USER_NAMESPACE.to_owned()),
        };
        let in_namespaces = || match separate() {
            Ok(()) => report((self.attempt)(Some(privilege))),
            Err(error) => self.without_namespaces(error),
        };
        child::run(clone_init, in_namespaces).unwrap_or_else(|error| {
            self.without_namespaces(Error::new(Step::JobNamespaces, "making the job's PID namespace", error))
        })
    }

    fn without_namespaces(&self, error: Error) -> Report {
        if self.name == JOB_NAMESPACES {
            Report::from(&error)
        } else {
            Report::Unreached(JOB_NAMESPACES.to_owned())
        }
    }
}

fn report(attempt: Attempt) -> Report {
    match attempt {
        Ok(note) => Report::Works(note),
        Err(Stop::Refused(error)) => Report::from(&error),
        Err(Stop::Unreached(needs)) => Report::Unreached(needs.to_owned()),
    }
}

/// The kernel takes namespaces apart in the background, so those of an earlier check may still count
/// against a limit. Where the limit is too low anyway, or an earlier check failed for the same need,
/// nothing is waited for.
fn may_settle(report: &Report, earlier: &[Check], circumstances: &Circumstances) -> bool {
    match report {
        Report::Works(_) => false,
        Report::Refused { errno, .. } => *errno == libc::ENOSPC && circumstances.low_limits.is_empty(),
        Report::Unreached(needs) => {
            earlier.iter().any(|check| check.name == needs && matches!(check.finding, Finding::Works { .. }))
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Refused(error)
    }
}

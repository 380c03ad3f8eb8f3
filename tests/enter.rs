//! Gives the test process a machine of its own: user (when unprivileged), mount, PID and IPC namespaces.
//!
//! Whatever tests make, mounts, processes, files, System V objects and namespaces, lives in these and is
//! gone with the process, however it ends.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::OnceLock;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getegid, geteuid};

static MACHINE: OnceLock<Machine> = OnceLock::new();

struct Machine {
    /// A tmpfs that only this process and its children see.
    scratch: PathBuf,
    real_root: bool,
    /// The namespaces that the tests were started in.
    outside: [PathBuf; PRIVATE.len()],
}

/// The kinds of namespaces that the tests have of their own, whoever starts them.
pub(crate) const PRIVATE: [&str; 3] = ["mnt", "pid", "ipc"];

/// The calling process's namespaces of these kinds, by what names them.
pub(crate) fn namespaces() -> [PathBuf; PRIVATE.len()] {
    PRIVATE.map(|kind| fs::read_link(format!("/proc/self/ns/{kind}")).expect("/proc is there"))
}

/// The namespaces that the tests were started in.
pub(crate) fn namespaces_outside() -> &'static [PathBuf; PRIVATE.len()] {
    &MACHINE.get().expect("the tests run in their private machine").outside
}

/// Where the tests keep files; readable by every user.
pub(crate) fn scratch() -> &'static Path {
    &MACHINE.get().expect("the tests run in their private machine").scratch
}

/// Whether the tests were started by root, as opposed to root of a user namespace that they made.
pub(crate) fn as_real_root() -> bool {
    MACHINE.get().expect("the tests run in their private machine").real_root
}

/// `cijail-net`, where every user can reach it.
pub(crate) fn binary() -> PathBuf {
    scratch().join("bin/cijail-net")
}

/// This test binary, for its helper programs, where every user can reach it.
pub(crate) fn helper() -> PathBuf {
    scratch().join("bin/helper")
}

/// The Rust toolchain that built the tests, where every user can reach it.
pub(crate) fn toolchain() -> PathBuf {
    scratch().join("rust")
}

/// Must be called while the process has one thread. Ends the process where the machine cannot be made:
/// a test that did not run must not look like one that passed.
pub(crate) fn private_machine() {
    heed_interrupts();
    let (real_root, outside) = (geteuid().is_root(), namespaces());
    let entered = enter(real_root).and_then(|()| furnish());
    match entered {
        Ok(scratch) => {
            MACHINE.set(Machine { scratch, real_root, outside }).ok().expect("entered once");
        }
        Err(error) => {
            eprintln!("the tests need namespaces of their own (user, mount, pid, ipc): {error}");
            eprintln!("run them as root, or allow unprivileged user namespaces");
            process::exit(101);
        }
    }
}

/// A shell that starts the tests in the background has them ignore these, and what they start as well.
fn heed_interrupts() {
    for interrupt in [Signal::SIGINT, Signal::SIGQUIT] {
        // SAFETY: the default action runs no code of this process.
        unsafe { signal(interrupt, SigHandler::SigDfl) }.expect("these can be set");
    }
}

fn enter(real_root: bool) -> io::Result<()> {
    if !real_root {
        become_namespace_root()?;
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)?;
    fork_and_mirror(wait_for)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)?;
    fork_and_mirror(reap_until)
}

fn become_namespace_root() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Goes on in a child; the parent only waits for it, in its own way, and ends with the child's status.
fn fork_and_mirror(wait: fn(Pid) -> i32) -> io::Result<()> {
    // SAFETY: the process has one thread, so the child finds no lock held.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => process::exit(wait(child)),
        ForkResult::Child => Ok(prctl::set_pdeathsig(Signal::SIGKILL)?),
    }
}

fn wait_for(child: Pid) -> i32 {
    loop {
        match waitpid(child, None) {
            Ok(status) => match exit_code(status) {
                Some(code) => return code,
                None => continue,
            },
            Err(nix::Error::EINTR) => continue,
            Err(_) => return 101,
        }
    }
}

/// As the namespace's first process: buries every orphan until the tests have ended.
fn reap_until(tests: Pid) -> i32 {
    loop {
        match waitpid(None, None) {
            Ok(status) if status.pid() == Some(tests) => {
                if let Some(code) = exit_code(status) {
                    return code;
                }
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return 101,
        }
    }
}

fn exit_code(status: WaitStatus) -> Option<i32> {
    match status {
        WaitStatus::Exited(_, code) => Some(code),
        WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
        _ => None,
    }
}

fn furnish() -> io::Result<PathBuf> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let scratch = ["/media", "/srv", "/mnt"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.is_dir())
        .ok_or_else(|| io::Error::other("none of /media, /srv and /mnt is there to be mounted over"))?;
    mount(Some("tmpfs"), &scratch, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))?;
    fs::create_dir(scratch.join("bin"))?;
    // Another build can be tested: a release, or an installed one.
    let tested = std::env::var_os("CIJAIL_NET_BINARY").map(PathBuf::from);
    bind(
        &tested.unwrap_or_else(|| env!("CARGO_BIN_EXE_cijail-net").into()),
        &scratch.join("bin/cijail-net"),
    )?;
    bind(&std::env::current_exe()?, &scratch.join("bin/helper"))?;
    // Without it, only the tests of cargo as a client fail.
    if let Some(toolchain) = sysroot() {
        bind(&toolchain, &scratch.join("rust"))?;
    }
    Ok(scratch)
}

/// As `rustc` of the path answers, which under `cargo test` is the one that built the tests.
fn sysroot() -> Option<PathBuf> {
    let output = process::Command::new("rustc").args(["--print", "sysroot"]).output().ok()?;
    Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
}

/// Shows a file or directory at another place, which is made.
pub(crate) fn bind(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
    } else {
        fs::write(to, "")?;
    }
    Ok(mount(Some(from), to, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)?)
}

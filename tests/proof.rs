//! Enforcement that breaks while the job runs, by somebody with power over the gateway's namespace: the run
//! ends and says so.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both, once};
use crate::world::World;

/// Longer than between two proofs.
const OVER_A_PROOF: Duration = Duration::from_secs(7);
/// The gateway's end of the link.
const LINK: &str = "cj0";

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, flushed_rules_end_the_run, job_cannot_fail_the_proof, suspended_run_goes_on);
    once!(suite, refusal_by_others_ends_the_run);
}

/// Nothing gets out then, but nothing is proved either.
fn flushed_rules_end_the_run(mode: Mode) {
    let world = World::new();
    let running = Jail::new(&world, mode).start(["sh", "-c", "echo ready; sleep 1000"]);
    running.wait_for("ready");
    in_gateway_namespace(running.pid(), &["nft", "flush", "ruleset"]);
    let outcome = running.finish();
    outcome.assert_code(125).assert_says("the job was killed: 192.0.0.8 was not denied any more: no answer");
    assert!(outcome.duration > Duration::from_secs(30), "silence is given time: {outcome}");
    world.assert_nothing_left();
}

/// Somebody else than the gateway refuses, which is no proof.
fn refusal_by_others_ends_the_run() {
    let world = World::new();
    let running = Jail::new(&world, Mode::Root).start(["sh", "-c", "echo ready; sleep 1000"]);
    running.wait_for("ready");
    let rule = "insert rule inet cijail capture meta l4proto tcp reject with tcp reset";
    in_gateway_namespace(running.pid(), &["nft", rule]);
    let outcome = running.finish();
    outcome.assert_code(125).assert_says("192.0.0.8 was not denied any more: Connection refused");
    outcome.assert_faster_than(Duration::from_secs(25));
}

/// It takes every port that it can, keeps both processors busy and sends into the void.
fn job_cannot_fail_the_proof(mode: Mode) {
    let world = World::new();
    let script = format!(
        "import os, resource, socket, time\n\
         resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)\n\
         taken = []\n\
         sender = socket.socket(2, 2)\n\
         for port in range(1, 65536):\n\
         \x20   for family, kind in ((2, 1), (2, 2), (10, 1)):\n\
         \x20       try:\n\
         \x20           s = socket.socket(family, kind)\n\
         \x20           taken.append(s)\n\
         \x20           s.bind(('', port))\n\
         \x20       except OSError: pass\n\
         end = time.monotonic() + {}\n\
         os.fork()\n\
         while time.monotonic() < end:\n\
         \x20   try: sender.sendto(b'x', ('192.0.0.8', 443))\n\
         \x20   except OSError: pass\n\
         print('done')\n",
        OVER_A_PROOF.as_secs()
    );
    let outcome = Jail::new(&world, mode).option("--quiet").python(&script);
    outcome.assert_success().assert_says("done");
}

fn suspended_run_goes_on(mode: Mode) {
    let world = World::new();
    let running = Jail::new(&world, mode).start(["sh", "-c", "echo ready; sleep 14; echo done"]);
    running.wait_for("ready");
    running.signal(Signal::SIGSTOP);
    thread::sleep(OVER_A_PROOF);
    running.signal(Signal::SIGCONT);
    let outcome = running.finish();
    outcome.assert_success().assert_says("done");
    assert!(outcome.denied().is_empty(), "{outcome}");
}

/// Runs a program in the namespace that no process is in: by way of the gateway's own sockets.
fn in_gateway_namespace(gateway: Pid, command: &[&str]) {
    let namespace = sockets_of(gateway)
        .iter()
        .filter_map(|socket| namespace_of(socket).ok())
        .find(|namespace| interfaces(namespace).iter().any(|name| name == LINK))
        .expect("the gateway has sockets in its namespace");
    let output = thread::scope(|scope| {
        let run = || {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
            Command::new(command[0]).args(&command[1..]).output().unwrap()
        };
        scope.spawn(run).join().unwrap()
    });
    assert!(output.status.success(), "{command:?}: {output:?}");
}

fn sockets_of(process: Pid) -> Vec<OwnedFd> {
    // SAFETY: numbers only; the descriptor that comes back is ours.
    let pidfd = unsafe { made(libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0)) }.unwrap();
    let names = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let numbers = names
        .filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        })
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    let copies = numbers.map(|number| {
        // SAFETY: as above.
        unsafe { made(libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0)) }
    });
    copies.filter_map(Result::ok).collect()
}

/// The network namespace of a socket (SIOCGSKNS in linux/sockios.h).
fn namespace_of(socket: &OwnedFd) -> io::Result<OwnedFd> {
    const SIOCGSKNS: libc::c_ulong = 0x894c;
    // SAFETY: the request takes no argument, and the descriptor that comes back is ours.
    unsafe { made(libc::c_long::from(libc::ioctl(socket.as_raw_fd(), SIOCGSKNS as _))) }
}

fn interfaces(namespace: &OwnedFd) -> Vec<String> {
    thread::scope(|scope| {
        let list = || {
            setns(namespace.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
            let interfaces = nix::net::if_::if_nameindex().unwrap();
            interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
        };
        scope.spawn(list).join().unwrap()
    })
}

/// # Safety
/// A number that is not negative is a new descriptor that nobody else owns.
unsafe fn made(result: libc::c_long) -> io::Result<OwnedFd> {
    let number = i32::try_from(result).map_err(io::Error::other)?;
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

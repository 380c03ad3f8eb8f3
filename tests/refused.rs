//! Datagrams that somebody refuses: those of the job, and those for it.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::udp::send;
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        closed_port_is_refused,
        refused_flow_may_begin_again,
        firewalled_datagrams_are_told,
        late_answers_are_no_denial,
    );
}

/// Whoever sends to a port that nobody listens on is told, as without us, and so is the log.
fn closed_port_is_refused(mode: Mode) {
    let world = World::new();
    let (heard, address) = world.udp_echo("time.test", 123);
    let jail = Jail::new(&world, mode).allow(&format!("{address}:*/udp"));
    let target = format!("{address}:124");
    // Kernels send few such messages a second (icmp(7), `icmp_ratelimit`).
    for _ in 0..3 {
        let outcome = jail.run(send(&[&target]));
        outcome.assert_stdout("ConnectionRefusedError\n");
        let events: Vec<_> =
            outcome.events.iter().map(|event| (&*event.verdict, event.reason.as_deref())).collect();
        assert_eq!(events, [("allow", Some("upstream-failed"))]);
    }
    assert_eq!(heard.connections(), 0);
}

/// A service that comes up later hears the next datagram, and is heard.
fn refused_flow_may_begin_again(mode: Mode) {
    let world = World::new();
    let (_, address) = world.udp_echo("time.test", 123);
    let script = "\
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.3)
s.connect((sys.argv[1], 124))
for attempt in range(4):
    if attempt == 3: input()
    try:
        s.send(b'secret')
        print(s.recv(2000).decode(), flush=True)
    except OSError as error:
        print(type(error).__name__, attempt, flush=True)
";
    let jail = Jail::new(&world, mode).allow(&format!("{address}:*/udp"));
    let mut running = jail.start(["/usr/bin/python3", "-c", script, &address.to_string()]);
    // Kernels send few such messages a second (icmp(7), `icmp_ratelimit`), so later ones may not come.
    running.wait_for("ConnectionRefusedError 0");
    running.wait_for(" 2");
    let heard = world.udp_echo_at(address, 124);
    running.type_in(b"\n");
    let outcome = running.finish();
    assert!(outcome.stdout.ends_with("secret\n"), "{outcome}");
    assert_eq!(heard.connections(), 1);
    let up: u64 = outcome.events.iter().filter_map(|event| event.bytes_up).sum();
    assert_eq!(up, 4 * 6, "{outcome}");
    let last = outcome.events.last().unwrap();
    assert_eq!((last.reason.as_deref(), last.bytes_down), (None, Some(6)), "{outcome}");
}

/// What the machine's own firewall refuses or drops, the kernel tells whoever sends it.
fn firewalled_datagrams_are_told(mode: Mode) {
    let world = World::new();
    let (_, address) = world.udp_echo("time.test", 123);
    for (port, verdict) in [(124, "reject"), (125, "drop"), (126, "reject with icmp type admin-prohibited")] {
        let table = format!(
            "add table ip t{port}; add chain ip t{port} out {{ type filter hook output priority 0; }}; \
             add rule ip t{port} out udp dport {port} {verdict}"
        );
        Jail::direct(&world, Mode::Root).run(["nft", &table]).assert_success();
        let target = format!("{address}:{port}");
        let outcome = Jail::new(&world, mode).allow(&format!("{target}/udp")).run(send(&[&target]));
        outcome.assert_stdout("ConnectionRefusedError\n");
        let events: Vec<_> =
            outcome.events.iter().map(|event| (&*event.verdict, event.reason.as_deref())).collect();
        assert_eq!(events, [("allow", Some("upstream-failed"))], "{outcome}");
    }
}

/// A client that does not wait for the answer has done nothing that is not allowed, though its kernel refuses it.
fn late_answers_are_no_denial(mode: Mode) {
    let world = World::new();
    let (_, address) = world.udp_echo("time.test", 123);
    let script = format!(
        "import socket, time\n\
         for _ in range(20): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('{address}', 123))\n\
         time.sleep(0.3)\n"
    );
    let jail = Jail::new(&world, mode).allow(&format!("{address}:123/udp")).option("--fail-on-blocked");
    let outcome = jail.run(["/usr/bin/python3", "-c", &script]);
    outcome.assert_success();
    assert!(outcome.denied().is_empty(), "{outcome}");
    let answered: u64 = outcome.events.iter().filter_map(|event| event.bytes_down).sum();
    assert_eq!(answered, 20, "{outcome}");
}

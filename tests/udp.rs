//! UDP, ICMP and whatever else IP can carry.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::jail::Jail;
use crate::namespace;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        allowed_pair_is_relayed,
        other_datagrams_stay_inside,
        every_call_that_sends,
        odd_destinations_are_told,
        quic_is_refused_at_once,
        quic_by_rule,
        echo_requests_stay_inside,
        raw_packets_stay_inside,
        one_record_for_many_datagrams,
        packets_without_a_record_are_counted,
    );
}

/// Sends a datagram to each HOST:PORT of the arguments, and prints what comes back.
const SEND: &str = "\
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(':', 1)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(0.5)
    try:
        s.connect((host, int(port)))
        s.send(b'secret')
        print(s.recv(2000).decode())
    except OSError as error:
        print(type(error).__name__)
";

pub(crate) fn send<'a>(targets: &[&'a str]) -> Vec<&'a str> {
    [&["/usr/bin/python3", "-c", SEND], targets].concat()
}

fn allowed_pair_is_relayed(mode: Mode) {
    let world = World::new();
    let (heard, address) = world.udp_echo("time.test", 123);
    let by_name = Jail::new(&world, mode).allow("time.test:123/udp").run(send(&["time.test:123"]));
    by_name.assert_success().assert_stdout("secret\n").assert_allowed("udp", &address.to_string());
    let target = format!("{address}:123");
    let by_address = Jail::new(&world, mode).allow(&format!("{target}/udp")).run(send(&[&target]));
    by_address.assert_success().assert_stdout("secret\n");
    let as_tcp = Jail::new(&world, mode).allow(&target).run(send(&[&target]));
    assert!(!as_tcp.says("secret"), "{as_tcp}");
    assert_eq!(heard.connections(), 2);
}

fn other_datagrams_stay_inside(mode: Mode) {
    let world = World::new();
    let (_, address) = world.udp_echo("time.test", 123);
    let targets = [
        "198.51.100.66:123",
        "198.51.100.66:53",
        "198.51.100.66:9999",
        "224.0.0.251:5353",
        "255.255.255.255:9",
    ];
    let outcome = Jail::new(&world, mode).allow("time.test:123/udp").run(send(&targets));
    assert!(!outcome.says("secret"), "{outcome}");
    world.assert_attacker_saw_nothing();
    assert!(!world.wire().saw_bytes(b"secret"));
    let other_port = format!("{address}:124");
    Jail::new(&world, mode).allow("time.test:123/udp").run(send(&[&other_port]));
    assert!(!world.wire().saw_bytes(b"secret"));
    Jail::direct(&world, mode).run(send(&["198.51.100.66:123"])).assert_stdout("secret\n");
}

/// Addresses of groups, of nobody and beside the link: none is dropped unseen.
fn odd_destinations_are_told(mode: Mode) {
    let world = World::new();
    let addresses = [
        "0.1.2.3",
        "192.0.0.0",
        "192.0.0.7",
        "192.0.0.3",
        "224.0.0.9",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "169.254.1.1",
        "ff02::9",
        "ff05::9",
        "ff0e::9",
        "100::9",
        "64:ff9b::c633:6442",
    ];
    let script = format!(
        "import socket, time\n\
         for address in {addresses:?}:\n\
         \x20   family = socket.AF_INET6 if ':' in address else socket.AF_INET\n\
         \x20   s = socket.socket(family, socket.SOCK_DGRAM)\n\
         \x20   s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n\
         \x20   scope = '%eth0' if address[:4] == 'ff02' else ''\n\
         \x20   s.sendto(b'secret', socket.getaddrinfo(address + scope, 9, family, socket.SOCK_DGRAM)[0][4])\n\
         time.sleep(0.3)\n"
    );
    let outcome = Jail::new(&world, mode).allow("good.test").python(&script);
    outcome.assert_success();
    let told = |address: &&&str| outcome.denied().iter().any(|event| event.dst.as_deref() == Some(**address));
    let untold: Vec<_> = addresses.iter().filter(|address| !told(address)).collect();
    assert!(untold.is_empty(), "{untold:?}: {outcome}");
    assert!(!world.wire().saw_bytes(b"secret"));
    world.assert_attacker_saw_nothing();
}

/// One datagram by each call there is.
fn every_call_that_sends(mode: Mode) {
    let world = World::new();
    let script = "\
import ctypes, socket
libc = ctypes.CDLL(None, use_errno=True)
class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_char_p), ('length', ctypes.c_size_t)]
class Message(ctypes.Structure):
    _fields_ = [('name', ctypes.c_void_p), ('namelen', ctypes.c_uint), ('parts', ctypes.POINTER(Part)), ('count', ctypes.c_size_t),
                ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_int), ('sent', ctypes.c_uint)]
def to(port): return ('198.51.100.66', port)
def connected(port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect(to(port))
    return s
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'secret', to(1001))
connected(1002).send(b'secret')
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b'sec', b'ret'], [], 0, to(1003))
import os
four, five, six, seven = (connected(port) for port in range(1004, 1008))
os.write(four.fileno(), b'secret')
os.writev(five.fileno(), [b'sec', b'ret'])
two = (Message * 2)()
part = Part(b'secret', 6)
for message in two: message.parts, message.count = ctypes.pointer(part), 1
# The refusal of the first may be the answer to the second.
assert libc.sendmmsg(six.fileno(), two, 2, 0) >= 1
file = os.memfd_create('x'); os.write(file, b'secret')
os.sendfile(seven.fileno(), file, 0, 6)
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b'secret', ('::ffff:198.51.100.66', 1008))
udplite = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
udplite.sendto(b'secret', to(1009))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', to(1010))
print('sent')
import time; time.sleep(0.3)
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success().assert_stdout("sent\n");
    for port in (1001..=1008).chain([1010]) {
        let told = outcome.denied().iter().any(|event| event.kind == "udp" && event.port == Some(port));
        assert!(told, "port {port}: {outcome}");
    }
    assert!(outcome.denied().iter().any(|event| event.kind == "other"), "UDP-Lite: {outcome}");
    assert!(!world.wire().saw_bytes(b"secret"));
    world.assert_attacker_saw_nothing();
}

fn quic_is_refused_at_once(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let outcome = Jail::new(&world, mode).allow("good.test").run(send(&["good.test:443"]));
    outcome.assert_stdout("ConnectionRefusedError\n").assert_faster_than(AT_ONCE);
    assert!(!world.wire().saw_bytes(b"secret"));
}

fn quic_by_rule(mode: Mode) {
    let world = World::new();
    world.udp_echo("h3.test", 443);
    Jail::new(&world, mode).allow("h3.test:443/udp").run(send(&["h3.test:443"])).assert_stdout("secret\n");
}

fn echo_requests_stay_inside(mode: Mode) {
    let world = World::new();
    let ping = ["ping", "-c", "1", "-W", "1", "-p", "736563726574", "198.51.100.66"];
    Jail::new(&world, mode).run(ping);
    Jail::new(&world, mode).run(["ping", "-c", "1", "-W", "1", "-p", "736563726574", "203.0.113.53"]);
    world.assert_attacker_saw_nothing();
    assert!(!world.wire().saw_bytes(b"secret"));
    if mode == Mode::Root {
        Jail::direct(&world, mode).run(ping);
        assert!(world.wire().saw_bytes(b"secret"), "without a jail it gets out");
    }
}

fn raw_packets_stay_inside(mode: Mode) {
    let world = World::new();
    let script = "\
import socket
for kind in (socket.IPPROTO_ICMP, 132, 47, 4, 41, socket.IPPROTO_RAW):
    try:
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, kind)
        s.sendto(b'secret', ('198.51.100.66', 0))
    except OSError as error: print(error)
try:
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind(('eth0', 0))
    s.send(b'\\xff' * 12 + b'\\x08\\x00' + b'secret' * 10)
except OSError as error: print(error)
";
    Jail::new(&world, mode).python(script).assert_success();
    world.assert_attacker_saw_nothing();
    assert!(!world.wire().saw_bytes(b"secret"));
    let as_fake_root = Jail::new(&world, mode).run(["unshare", "-Ur", "/usr/bin/python3", "-c", script]);
    assert!(!world.wire().saw_bytes(b"secret"), "{as_fake_root}");
}

fn one_record_for_many_datagrams(mode: Mode) {
    let world = World::new();
    let targets = vec!["198.51.100.66:9999"; 20];
    let outcome = Jail::new(&world, mode).run(send(&targets));
    let denials = outcome.denied().iter().filter(|event| event.kind == "udp").count();
    assert!((1..=20).contains(&denials), "{outcome}");
    outcome.assert_denied("udp", "198.51.100.66", "ip-not-allowed");
    let text = Jail::new(&world, mode).without_log_file().run(send(&targets));
    let lines = text.stderr.lines().filter(|line| line.contains("198.51.100.66")).count();
    assert!((1..=3).contains(&lines), "repeats are folded: {text}");
}

/// More flows than get an event each, sent while the gateway reads nothing: each packet is accounted for.
fn packets_without_a_record_are_counted(mode: Mode) {
    const FLOWS: u64 = 12_000;
    let world = World::new();
    let mut running = Jail::new(&world, mode).start(["sh", "-c", "echo ready; read line"]);
    running.wait_for("ready");
    let script = format!(
        "import socket\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 253)\n\
         for n in range({FLOWS}): s.sendto(b'secret', (f'198.18.{{n >> 8}}.{{n & 255}}', 0))\n"
    );
    running.signal(Signal::SIGSTOP);
    namespace::of_job(running.pid()).run(&["/usr/bin/python3", "-c", &script]);
    running.signal(Signal::SIGCONT);
    running.type_in(b"\n");
    let outcome = running.finish();
    outcome.assert_success();
    let flows = outcome.denied().iter().filter(|event| event.dst.is_some()).count() as u64;
    let details = outcome.denied().into_iter().filter_map(|event| event.detail.as_deref());
    let untold: Vec<&str> =
        details.filter_map(|detail| detail.strip_suffix(" packets were dropped without a record")).collect();
    assert_eq!(untold.len(), 1, "{outcome}");
    // What the job's kernel tells its neighbours of its own accord is not known as such without a record.
    let total = flows + untold[0].parse::<u64>().unwrap();
    assert!((FLOWS..FLOWS + 4).contains(&total), "{total}: {outcome}");
    outcome.assert_says(&format!("deny other ({} packets were dropped without a record) limit", untold[0]));
    assert!(!world.wire().saw_bytes(b"secret"));
}

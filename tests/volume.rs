//! What events say about octets and time.

use std::time::Duration;

use crate::jail::Jail;
use crate::outcome::{Event, Outcome};
use crate::suite::{Mode, Suite, both};
use crate::world::World;

/// A request's or a response's head is at most this long here.
const HEAD: u64 = 500;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        opaque_bytes_are_counted_exactly,
        tls_is_counted_as_it_is_on_the_wire,
        each_request_has_its_own_count,
        upgraded_bytes_are_counted,
        datagrams_are_counted_exactly,
        cut_off_at_the_end,
        duration_is_that_of_the_connection,
        denials_carry_nothing,
    );
}

#[track_caller]
fn only<'o>(outcome: &'o Outcome, kind: &str) -> &'o Event {
    let all: Vec<_> = outcome.events.iter().filter(|event| event.kind == kind).collect();
    let [event] = all[..] else { panic!("one event of {kind}: {outcome}") };
    event
}

fn volume(event: &Event) -> (u64, u64) {
    (event.bytes_up.unwrap(), event.bytes_down.unwrap())
}

fn opaque_bytes_are_counted_exactly(mode: Mode) {
    let world = World::new();
    world.tcp_echo("quiet.test", 7007, b"");
    world.tcp_echo("mail.test", 7007, b"220 mail.test\r\n");
    let script = "\
import socket, sys
host, size, first = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
s = socket.create_connection((host, 7007), 5)
answers = s.makefile('rb')
answers.read(first)
for start in range(0, size, 1000):
    part = b'\\xff' * min(1000, size - start)
    s.sendall(part)
    assert answers.read(len(part)) == part
s.shutdown(socket.SHUT_WR)
assert answers.read() == b''
";
    for (host, size, banner) in
        [("quiet.test", 1, 0), ("quiet.test", 54_321, 0), ("mail.test", 6, 15), ("mail.test", 54_321, 15)]
    {
        let (size_word, banner_word) = (size.to_string(), banner.to_string());
        let outcome = Jail::new(&world, mode).allow(&format!("{host}:7007")).run([
            "/usr/bin/python3",
            "-c",
            script,
            host,
            &size_word,
            &banner_word,
        ]);
        outcome.assert_success();
        assert_eq!(volume(only(&outcome, "tcp")), (size, size + banner), "{outcome}");
    }
}

/// The job counts what its end of the connection carries, handshake and records included.
fn tls_is_counted_as_it_is_on_the_wire(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
import socket, ssl
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = ssl.create_default_context().wrap_bio(into, out, server_hostname='good.test')
s = socket.create_connection(('good.test', 443), 5)
up = down = 0
def flush():
    global up
    data = out.read()
    s.sendall(data)
    up += len(data)
def step(work):
    global down
    while True:
        try:
            result = work()
            flush()
            return result
        except ssl.SSLWantReadError:
            flush()
            data = s.recv(65536)
            down += len(data)
            if data: into.write(data)
            else: into.write_eof()
step(tls.do_handshake)
tls.write(b'GET /bytes/100000 HTTP/1.1\\r\\nHost: good.test\\r\\nConnection: close\\r\\n\\r\\n')
try:
    while step(lambda: tls.read(65536)): pass
except ssl.SSLError: pass
while data := s.recv(65536): down += len(data)
print(up, down)
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success();
    let (up, down) = volume(only(&outcome, "tls"));
    assert_eq!(outcome.stdout, format!("{up} {down}\n"), "{outcome}");
    assert!(down > 100_000, "{outcome}");
}

fn each_request_has_its_own_count(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "\
import http.client
c = http.client.HTTPConnection('good.test')
for size in (100000, 10, 3000):
    c.request('POST', '/echo', body=b'x' * size)
    assert len(c.getresponse().read()) == size
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success();
    assert_eq!(site.connections(), 1);
    let events: Vec<_> = outcome.events.iter().filter(|event| event.kind == "http").map(volume).collect();
    assert_eq!(events.len(), 3, "{outcome}");
    for (size, (up, down)) in [100_000, 10, 3000].into_iter().zip(events) {
        for (what, count) in [("up", up), ("down", down)] {
            assert!((size + 1..size + HEAD).contains(&count), "{count} {what} for {size}: {outcome}");
        }
    }
}

fn upgraded_bytes_are_counted(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
import socket
s = socket.create_connection(('good.test', 80), 3)
s.sendall(b'GET /ws HTTP/1.1\\r\\nHost: good.test\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
head = b''
while not head.endswith(b'\\r\\n\\r\\n'): head += s.recv(1)
s.sendall(b'x' * 50000)
assert len(s.makefile('rb').read(50000)) == 50000
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success();
    let (up, down) = volume(only(&outcome, "http"));
    for count in [up, down] {
        assert!((50_001..50_000 + HEAD).contains(&count), "{up} {down} {outcome}");
    }
}

fn datagrams_are_counted_exactly(mode: Mode) {
    let world = World::new();
    world.udp_echo("time.test", 123);
    let script = "\
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(9)
s.connect(('time.test', 123))
for size in (1, 1000, 8000):
    s.send(b'x' * size)
    assert len(s.recv(9000)) == size
";
    let outcome = Jail::new(&world, mode).allow("time.test:123/udp").python(script);
    outcome.assert_success();
    assert_eq!(volume(only(&outcome, "udp")), (9001, 9001), "{outcome}");
}

/// A connection that is open when the job ends has its record all the same.
fn cut_off_at_the_end(mode: Mode) {
    let world = World::new();
    world.tcp_echo("echo.test", 7007, b"");
    let script = "\
import os, signal, socket
s = socket.create_connection(('echo.test', 7007), 5)
s.sendall(b'\\xff' * 4321)
assert len(s.makefile('rb').read(4321)) == 4321
os.kill(os.getpid(), signal.SIGKILL)
";
    let outcome = Jail::new(&world, mode).allow("echo.test:7007").python(script);
    outcome.assert_code(128 + 9);
    assert_eq!(volume(only(&outcome, "tcp")), (4321, 4321), "{outcome}");
}

fn duration_is_that_of_the_connection(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.tcp_echo("echo.test", 7007, b"220 ready");
    let script = "\
import socket, time
s = socket.create_connection(('echo.test', 7007), 5)
s.recv(9)
began = time.monotonic()
time.sleep(0.4)
print(time.monotonic() - began)
s.close()
";
    let jail = Jail::new(&world, mode).allow("echo.test:7007").allow("good.test");
    let outcome = jail.python(script);
    let held: f64 = outcome.assert_success().stdout.trim().parse().unwrap();
    let logged = only(&outcome, "tcp").duration_ms.unwrap();
    let whole = outcome.duration.as_secs_f64() * 1000.0;
    assert!((held * 1000.0 - 1.0..whole).contains(&logged), "{logged} ms of {whole}: {outcome}");
    let quick = jail.run(["curl", "-sS", "http://good.test/"]);
    let logged = only(&quick, "http").duration_ms.unwrap();
    assert!(logged < Duration::from_millis(300).as_secs_f64() * 1000.0, "{logged} ms: {quick}");
}

fn denials_carry_nothing(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).allow("dns:good.test");
    world.site("good.test");
    let outcome =
        jail.shell("curl -sS http://good.test/; curl -sS https://good.test/; getent hosts evil.test");
    for event in outcome.denied() {
        assert_eq!((event.bytes_up, event.bytes_down), (None, None), "{event:?}");
    }
    assert!(outcome.denied().len() >= 3, "{outcome}");
}

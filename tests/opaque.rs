//! TCP that is neither TLS nor HTTP: the destination decides, by the name it was resolved from or by itself.

use std::time::Duration;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const AT_ONCE: Duration = Duration::from_secs(1);
const GREETING: &[u8] = b"220 mail.test ESMTP\r\n";

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        server_that_speaks_first,
        allowed_address,
        address_literals_are_denied,
        same_port_of_another_host,
        bytes_both_ways,
        half_close_is_passed_on,
        refused_upstream,
        loopback_of_the_host,
        name_of_the_destination_by_hand,
        greeting_comes_once,
        rule_for_an_address_is_for_no_other,
        names_of_the_hosts_file,
        protocols_that_look_like_http,
        only_the_first_message_waits,
    );
}

fn server_that_speaks_first(mode: Mode) {
    let world = World::new();
    let (heard, _) = world.tcp_echo("mail.test", 25, GREETING);
    let script = "import socket\ns = socket.create_connection(('mail.test', 25), 3)\nprint(s.recv(100))\n\
                  s.sendall(b'QUIT\\r\\n')\nprint(s.recv(100))\n";
    let outcome = Jail::new(&world, mode).allow("mail.test:25").python(script);
    outcome.assert_success().assert_stdout("b'220 mail.test ESMTP\\r\\n'\nb'QUIT\\r\\n'\n");
    outcome.assert_allowed("tcp", "mail.test");
    assert!(heard.contains(b"QUIT"));
    let denied = Jail::new(&world, mode).allow("mail.test").python(script);
    denied.assert_failure().assert_faster_than(AT_ONCE);
    assert_eq!(heard.connections(), 1);
}

fn allowed_address(mode: Mode) {
    let world = World::new();
    let (heard, address) = world.tcp_echo("echo.test", 7007, b"");
    let talk = format!(
        "import socket\ns = socket.create_connection(('{address}', 7007), 3)\ns.sendall(b'hi')\nprint(s.recv(9))\n"
    );
    for rule in [format!("{address}:7007"), "203.0.113.0/24:7000-7100".to_owned(), format!("{address}:*")] {
        let outcome = Jail::new(&world, mode).allow(&rule).python(&talk);
        outcome.assert_success().assert_stdout("b'hi'\n").assert_allowed("tcp", &address.to_string());
    }
    for rule in [format!("{address}:7008"), "203.0.113.0/28:7007".to_owned(), format!("{address}:7007/udp")] {
        Jail::new(&world, mode).allow(&rule).python(&talk).assert_failure().assert_faster_than(AT_ONCE);
    }
    assert_eq!(heard.connections(), 3);
}

fn address_literals_are_denied(mode: Mode) {
    let world = World::new();
    let script = "\
import socket
for family, host in ((2, '198.51.100.66'), (10, '2001:db8:bad::66'), (10, '::ffff:198.51.100.66'), (2, '8.8.8.8')):
    for port in (1, 22, 25, 53, 80, 443, 853, 5432, 8080, 61999, 65535):
        s = socket.socket(family)
        s.settimeout(3)
        try:
            s.connect((host, port))
            s.sendall(b'secret')
            print(host, port, s.recv(100) or 'closed')
        except ConnectionError: pass
";
    let jail = Jail::new(&world, mode).allow("good.test");
    let outcome = jail.python(script);
    assert!(!outcome.says("timed out"), "a denial is not a time-out: {outcome}");
    outcome.assert_denied("tcp", "198.51.100.66", "ip-not-allowed");
    world.assert_attacker_saw_nothing();
    Jail::direct(&world, mode)
        .python("import socket\nsocket.create_connection(('198.51.100.66', 25)).sendall(b'secret')");
    assert!(!world.wire().packets_to(crate::world::ATTACKER_V4).is_empty());
}

fn same_port_of_another_host(mode: Mode) {
    let world = World::new();
    let (ours, _) = world.tcp_echo("db.test", 5432, b"");
    let (theirs, other) = world.tcp_echo("other.test", 5432, b"");
    let script = format!(
        "import socket\nsocket.create_connection(('db.test', 5432), 3).sendall(b'x')\n\
         s = socket.create_connection(('{other}', 5432), 3)\ns.sendall(b'x')\nassert s.recv(1)\n"
    );
    Jail::new(&world, mode).allow("db.test:5432").allow("dns:other.test").python(&script).assert_failure();
    assert_eq!(theirs.connections(), 0);
    assert!(ours.connections() <= 1);
}

fn bytes_both_ways(mode: Mode) {
    let world = World::new();
    world.tcp_echo("echo.test", 7007, b"");
    let script = "\
import os, socket, threading
data = os.urandom(8 << 20)
s = socket.create_connection(('echo.test', 7007), 5)
def send():
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=send).start()
got = bytearray()
while part := s.recv(1 << 16): got += part
print(bytes(got) == data)
";
    let outcome = Jail::new(&world, mode).allow("echo.test:7007").python(script);
    outcome.assert_success().assert_stdout("True\n");
    let event = outcome.events.iter().find(|event| event.kind == "tcp").expect("one record a connection");
    assert_eq!((event.bytes_up, event.bytes_down), (Some(8 << 20), Some(8 << 20)), "{outcome}");
}

fn half_close_is_passed_on(mode: Mode) {
    let world = World::new();
    world.tcp_echo("echo.test", 7007, b"");
    let script = "import socket\ns = socket.create_connection(('echo.test', 7007), 3)\ns.sendall(b'all')\n\
                  s.shutdown(socket.SHUT_WR)\nprint(s.recv(9), s.recv(9))\n";
    Jail::new(&world, mode)
        .allow("echo.test:7007")
        .python(script)
        .assert_success()
        .assert_stdout("b'all' b''\n");
}

fn refused_upstream(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let outcome = Jail::new(&world, mode).allow("good.test:9").run(["nc", "-w", "3", "-v", "good.test", "9"]);
    outcome.assert_faster_than(Duration::from_secs(4));
    let failed = outcome.events.iter().any(|event| event.reason.as_deref() == Some("upstream-failed"));
    assert!(failed, "{outcome}");
}

fn loopback_of_the_host(mode: Mode) {
    let world = World::new();
    let server = Jail::direct(&world, mode).start([
        "/usr/bin/python3",
        "-u",
        "-c",
        "import http.server\nhttp.server.test(http.server.SimpleHTTPRequestHandler, port=8123, bind='127.0.0.1')",
    ]);
    server.wait_for("Serving HTTP");
    let get = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "http://localhost:8123/"];
    Jail::new(&world, mode).run(get).assert_code(7);
    let outcome = Jail::new(&world, mode).allow("localhost:8123").run(get);
    outcome.assert_success().assert_stdout("200\n").assert_allowed("tcp", "localhost");
    assert!(outcome.events.iter().any(|event| event.exe.as_deref() == Some("/usr/bin/curl")), "{outcome}");
    let environment = Jail::new(&world, mode).env("CIJAIL_ENDPOINTS", "localhost:8123 # the test's own");
    environment.run(get).assert_success().assert_stdout("200\n");
}

/// The job brings its own idea of where an allowed name is; the gateway has another.
fn name_of_the_destination_by_hand(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let forged = [
        "curl",
        "-sS",
        "--max-time",
        "5",
        "--resolve",
        "good.test:80:198.51.100.66",
        "http://good.test/secret",
    ];
    let outcome = Jail::new(&world, mode).allow("good.test").run(forged);
    world.assert_attacker_saw_nothing();
    assert!(site.paths() == ["/secret"] || outcome.code() != 0 || outcome.says("403"), "{outcome}");
}

/// A host that speaks first, and then hears what looks like HTTP and is none: where that passes, it does so on the same
/// connection.
fn greeting_comes_once(mode: Mode) {
    let world = World::new();
    let (heard, address) = world.tcp_echo("good.test", 4222, b"INFO {}\r\n");
    let script = format!(
        "import socket\n\
         s = socket.create_connection(('{address}', 4222), 9)\n\
         said = s.recv(100)\n\
         s.sendall(b'CONNECT {{}}\\r\\nPING\\r\\n')\n\
         while not said.endswith(b'PING\\r\\n'): said += s.recv(100)\n\
         print(said.decode().split())\n"
    );
    let by_address = Jail::new(&world, mode).allow(&format!("{address}:4222"));
    let monitoring = Jail::new(&world, mode).option("--mode").option("monitor");
    for (connections, jail) in [(1, by_address), (2, monitoring)] {
        let outcome = jail.python(&script);
        outcome.assert_success().assert_stdout("['INFO', '{}', 'CONNECT', '{}', 'PING']\n");
        assert_eq!(heard.connections(), connections, "{outcome}");
        let up: u64 = outcome.events.iter().filter_map(|event| event.bytes_up).sum();
        assert_eq!(up, b"CONNECT {}\r\nPING\r\n".len() as u64, "{outcome}");
    }
}

/// A rule for an address lets pass what looks like HTTP and is none, but not to another address of the same name, to which
/// the connection went as that one was dead.
fn rule_for_an_address_is_for_no_other(mode: Mode) {
    let world = World::new();
    let (heard, _) = world.tcp_echo("spare.test", 4222, b"INFO {}\r\n");
    let (dead, _) = world.new_addresses();
    world.zone().address("good.test", dead).address("good.test", world.zone().v6_of("spare.test"));
    let script = format!(
        "import socket\n\
         socket.getaddrinfo('good.test', 4222)\n\
         s = socket.create_connection(('{dead}', 4222), 9)\n\
         s.settimeout(3)\n\
         print(s.recv(100))\n\
         try:\n\
         \x20   s.sendall(b'CONNECT secret\\r\\n')\n\
         \x20   while s.recv(100): pass\n\
         except OSError: pass\n"
    );
    let jail = Jail::new(&world, mode).allow("good.test:4222").allow(&format!("{dead}:4222"));
    let outcome = jail.python(&script);
    outcome.assert_success().assert_stdout("b'INFO {}\\r\\n'\n");
    assert_eq!(heard.connections(), 1, "{outcome}");
    assert!(!world.wire().saw_bytes(b"secret"), "{outcome}");
}

/// CI services write their service's name there, and the C library asks nobody then.
fn names_of_the_hosts_file(mode: Mode) {
    let world = World::new();
    let (heard, address) = world.tcp_echo("elsewhere.test", 5432, b"");
    world.files().add_hosts(&format!("{address} db other\n198.51.100.66 evil"));
    let talk = |name: &str| {
        format!(
            "import socket\ns = socket.create_connection(('{name}', 5432), 3)\ns.sendall(b'hi')\nprint(s.recv(9))\n"
        )
    };
    let jail = Jail::new(&world, mode).allow("db:5432");
    jail.python(&talk("db")).assert_success().assert_stdout("b'hi'\n").assert_allowed("tcp", "db");
    for name in ["evil", "elsewhere.test"] {
        jail.python(&talk(name)).assert_failure().assert_faster_than(AT_ONCE);
    }
    Jail::new(&world, mode)
        .allow("other:5433")
        .python(&talk("db"))
        .assert_failure()
        .assert_faster_than(AT_ONCE);
    assert_eq!(heard.connections(), 1);
    world.assert_attacker_saw_nothing();
}

/// memcached's requests look like HTTP without a version, gRPC's in plain text are HTTP/2: both are refused on a port that
/// a rule opens for the name, with the rule that lets them through.
fn protocols_that_look_like_http(mode: Mode) {
    let world = World::new();
    let (heard, address) = world.tcp_echo("good.test", 11211, b"");
    let requests = [
        ("get secret\\r\\n", "malformed"),
        ("PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n", "protocol-not-allowed"),
    ];
    for (before, (request, reason)) in requests.into_iter().enumerate() {
        let script = format!(
            "import socket\n\
             s = socket.create_connection((socket.gethostbyname('good.test'), 11211), 9)\n\
             s.sendall(b'{request}')\n\
             print(s.recv(1000) == b'{request}')\n"
        );
        let jail = Jail::new(&world, mode).allow("good.test:11211");
        let outcome = jail.python(&script);
        outcome.assert_success().assert_stdout("False\n").assert_faster_than(AT_ONCE);
        assert!(outcome.events.iter().any(|event| event.reason.as_deref() == Some(reason)), "{outcome}");
        let remedy = format!("{address}:11211");
        assert!(outcome.says(&format!("--allow {remedy}")), "{outcome}");
        assert_eq!(heard.connections(), before);
        jail.allow(&remedy).python(&script).assert_success().assert_stdout("True\n");
    }
}

/// What may still become an HTTP head waits for more once, not message by message.
fn only_the_first_message_waits(mode: Mode) {
    let world = World::new();
    world.tcp_echo("good.test", 7007, b"");
    let script = "\
import socket, time
s = socket.create_connection(('good.test', 7007), 9)
def talk(n):
    before = time.monotonic()
    s.sendall(b'ping %d ' % n)
    s.recv(99)
    return time.monotonic() - before
talk(0)
times = sorted(talk(n) for n in range(9))
print('soon' if times[4] < 0.05 else times)
";
    let outcome = Jail::new(&world, mode).allow("good.test:7007").python(script);
    outcome.assert_success().assert_stdout("soon\n");
}

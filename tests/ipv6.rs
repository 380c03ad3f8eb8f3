//! Hosts and names with IPv6 only, and names of which one family is dead.

mod dead_family;

use std::net::IpAddr;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{RESOLVER_V6, World};

/// Says something to HOST PORT and prints what comes back.
pub(crate) const TALK: &str = "\
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 9)
s.sendall(b'hi')
s.shutdown(socket.SHUT_WR)
print(s.makefile('rb').read())
";

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        names_without_v4_work,
        denials_are_the_same,
        resolver_of_the_options,
        allowed_addresses,
        datagrams,
    );
    dead_family::add(suite);
}

/// A site at an IPv6 address only.
fn site(world: &World, name: &str) -> crate::world::Site {
    let site = world.site(name);
    world.zone().move_to(name, site.v6);
    site
}

fn names_without_v4_work(mode: Mode) {
    let world = World::new();
    world.without_v4();
    let site = site(&world, "good.test");
    let (heard, _) = world.tcp_echo("echo.test", 7007, b"220 ready\r\n");
    world.zone().move_to("echo.test", world.zone().v6_of("echo.test"));
    let jail = Jail::new(&world, mode).allow("good.test").allow("echo.test:7007");
    for (url, kind) in [("http://good.test/", "http"), ("https://good.test/", "tls")] {
        let outcome = jail.run(["curl", "-sS", url]);
        outcome.assert_success().assert_stdout("hello from good.test\n").assert_allowed(kind, "good.test");
    }
    let outcome = jail.run(["/usr/bin/python3", "-c", TALK, "echo.test", "7007"]);
    outcome.assert_success().assert_stdout("b'220 ready\\r\\nhi'\n").assert_allowed("tcp", "echo.test");
    assert!(heard.contains(b"hi"));
    assert!(site.requests().iter().all(|request| request.server.ip() == site.v6));
    let asked = world.dns().asked();
    assert!(!asked.is_empty() && asked.iter().all(|asked| asked.server == RESOLVER_V6), "{asked:?}");
}

fn denials_are_the_same(mode: Mode) {
    let world = World::new();
    world.without_v4();
    let other = site(&world, "other.test");
    let jail = Jail::new(&world, mode).allow("dns:other.test");
    jail.run(["curl", "-sS", "http://evil.test/"]).assert_code(6).assert_denied(
        "dns",
        "evil.test",
        "not-allowed",
    );
    let outcome = jail.run(["curl", "-sS", "-f", "http://other.test/"]);
    outcome.assert_code(22).assert_denied("http", "other.test", "not-allowed");
    jail.run(["curl", "-sS", "https://other.test/"]).assert_code(35);
    let outcome = jail.run(["curl", "-sS", "-g", "-f", "http://[2001:db8:bad::66]:7007/"]);
    outcome.assert_failure().assert_denied("http", "2001:db8:bad::66", "ip-not-allowed");
    assert_eq!(other.connections(), 0);
    world.assert_attacker_saw_nothing();
}

fn resolver_of_the_options(mode: Mode) {
    let world = World::new();
    world.without_v4();
    site(&world, "good.test");
    world.files().set_resolv_conf("nameserver 2001:db8:bad::53\n");
    for resolver in [format!("[{RESOLVER_V6}]"), format!("[{RESOLVER_V6}]:53")] {
        let jail = Jail::new(&world, mode).allow("good.test").option("--resolver").option(&resolver);
        jail.run(["curl", "-sS", "http://good.test/"]).assert_success();
    }
    let bare = Jail::new(&world, mode).option("--resolver").option(RESOLVER_V6.to_string()).run(["true"]);
    bare.assert_code(125).assert_says("write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53");
    world.assert_attacker_saw_nothing();
}

fn allowed_addresses(mode: Mode) {
    let world = World::new();
    world.without_v4();
    let (heard, _) = world.tcp_echo("echo.test", 7007, b"");
    let address = world.zone().v6_of("echo.test").to_string();
    let talk = ["/usr/bin/python3", "-c", TALK, &address, "7007"];
    for rule in [format!("[{address}]:7007"), "[2001:db8::/48]:7000-7100".to_owned()] {
        let outcome = Jail::new(&world, mode).allow(&rule).run(talk);
        outcome.assert_success().assert_stdout("b'hi'\n").assert_allowed("tcp", &address);
    }
    let before = world.wire().packets_to(address.parse::<IpAddr>().unwrap()).len();
    for rule in [format!("[{address}]:7008"), "[2001:db8::/124]:7007".to_owned()] {
        let outcome = Jail::new(&world, mode).allow(&rule).run(talk);
        outcome.assert_failure().assert_denied("tcp", &address, "ip-not-allowed");
    }
    assert_eq!(world.wire().packets_to(address.parse::<IpAddr>().unwrap()).len(), before);
    assert!(heard.contains(b"hi"));
}

fn datagrams(mode: Mode) {
    let world = World::new();
    world.without_v4();
    world.udp_echo_v6("time.test", 123);
    let script = "\
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(9)
s.connect(('time.test', 123))
s.send(b'tick')
print(s.recv(100))
";
    let outcome = Jail::new(&world, mode).allow("time.test:123/udp").python(script);
    outcome.assert_success().assert_stdout("b'tick'\n").assert_allowed("udp", "time.test");
}

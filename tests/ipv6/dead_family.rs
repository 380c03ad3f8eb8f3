//! A name with an address of each family, of which one answers (Happy Eyeballs, RFC 8305).

use std::net::IpAddr;
use std::time::Duration;

use super::TALK;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{BLACK_HOLES, Site, World};

/// Well below a time-out, well above the head start of each attempt.
const SOON: Duration = Duration::from_secs(3);

pub(super) fn add(suite: &mut Suite) {
    both!(suite, v6_is_silent, v4_is_silent, v6_is_refused, v4_is_refused, opaque_bytes, both_are_silent);
}

/// The name's other address is as given. The job tries each family by itself, and as it likes.
fn reaches(mode: Mode, alive: fn(&Site) -> IpAddr, dead: fn(&World) -> IpAddr) {
    let world = World::new();
    let site = world.site_without_name("good.test", false);
    world.zone().address("good.test", alive(&site)).address("good.test", dead(&world));
    let jail = Jail::new(&world, mode).allow("good.test");
    for family in ["-4", "-6", "--no-keepalive"] {
        for url in ["http://good.test/", "https://good.test/"] {
            let outcome = jail.run(["curl", "-sS", family, url]);
            outcome.assert_success().assert_stdout("hello from good.test\n").assert_faster_than(SOON);
        }
    }
    assert!(site.requests().iter().all(|request| request.server.ip() == alive(&site)));
    assert_eq!(site.requests().len(), 6);
}

fn v6_is_silent(mode: Mode) {
    reaches(mode, |site| site.v4.into(), |_| BLACK_HOLES.1.into());
}

fn v4_is_silent(mode: Mode) {
    reaches(mode, |site| site.v6.into(), |_| BLACK_HOLES.0.into());
}

fn v6_is_refused(mode: Mode) {
    reaches(mode, |site| site.v4.into(), |world| world.new_addresses().1.into());
}

fn v4_is_refused(mode: Mode) {
    reaches(mode, |site| site.v6.into(), |world| world.new_addresses().0.into());
}

fn opaque_bytes(mode: Mode) {
    let world = World::new();
    let (_, v4) = world.tcp_echo("echo.test", 7007, b"");
    let v6 = world.zone().v6_of("echo.test");
    world.zone().address("v4.test", v4).address("v4.test", BLACK_HOLES.1);
    world.zone().address("v6.test", v6).address("v6.test", BLACK_HOLES.0);
    let jail = Jail::new(&world, mode).allow("v4.test:7007").allow("v6.test:7007");
    for name in ["v4.test", "v6.test"] {
        let outcome = jail.run(["/usr/bin/python3", "-c", TALK, name, "7007"]);
        outcome.assert_success().assert_stdout("b'hi'\n").assert_faster_than(SOON);
    }
}

fn both_are_silent(mode: Mode) {
    let world = World::new();
    world.zone().address("good.test", BLACK_HOLES.0).address("good.test", BLACK_HOLES.1);
    let policy = "[limits]\nconnect-timeout = \"1s\"\n";
    let jail = Jail::new(&world, mode).policy(policy).allow("good.test");
    let outcome = jail.run(["curl", "-sS", "https://good.test/"]);
    outcome.assert_code(35).assert_faster_than(SOON);
    outcome.assert_event("allow", "tls", "good.test", Some("upstream-failed"));
}

//! Requests inside TLS that two implementations could read differently, or that name somebody else.

use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::raw::{self, Inside};
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        request_for_another_host,
        absolute_targets_must_agree,
        ambiguous_requests_smuggle_nothing,
        pipelined_request_is_judged,
        cleartext_upgrade_hides_nothing,
        connect_inside,
        forged_server_name,
        odd_heads,
    );
}

fn talk(jail: &Jail<'_>, bytes: &str) -> Outcome {
    raw::talk(jail, Inside::Tls, bytes)
}

fn request_for_another_host(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    world.site("other.test");
    let jail = Jail::new(&world, mode)
        .allow("https://good.test/p/")
        .allow("https://other.test/p/")
        .allow("evil.test:80");
    for host in
        ["other.test", "evil.test", "GOOD.test.", "good.test:444", "198.51.100.66", "good.test@evil.test"]
    {
        let outcome = talk(&jail, &format!("GET /p/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
        if host == "GOOD.test." {
            outcome.assert_says(" 404");
        } else {
            assert!(outcome.says(" 403") || outcome.says(" 400"), "{host}: {outcome}");
        }
    }
    talk(&jail, "GET /p/ HTTP/1.1\r\n\r\n").assert_says(" 400");
    talk(&jail, "GET /p/ HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n").assert_says(" 400");
    assert_eq!(site.paths(), ["/p/"]);
    world.assert_attacker_saw_nothing();
}

fn absolute_targets_must_agree(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let get = |target: &str, host: &str| {
        talk(&jail, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    get("https://good.test/p/1", "good.test").assert_says(" 404");
    for (target, host) in [
        ("https://good.test/q/", "good.test"),
        ("http://good.test/p/", "good.test"),
        ("https://evil.test/p/", "good.test"),
        ("https://good.test/p/", "evil.test"),
        ("https://good.test:444/p/", "good.test"),
        ("https://evil.test@good.test/p/", "good.test"),
        ("ftp://good.test/p/", "good.test"),
    ] {
        let outcome = get(target, host);
        assert!(outcome.says(" 403") || outcome.says(" 400"), "{target} {host}: {outcome}");
    }
    assert_eq!(site.paths(), ["/p/1"]);
}

fn ambiguous_requests_smuggle_nothing(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: good.test\r\n\r\n";
    let length = smuggled.len();
    for head in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", length + 5),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n", length + 5),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"),
        format!("Content-Length: 0, {length}\r\n\r\n"),
        format!("Content-Length: +{length}\r\n\r\n"),
        format!("Content-Length: 0x{length:x}\r\n\r\n"),
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "X: y\nContent-Length: 0\r\n\r\n".to_owned(),
        "X: y\rContent-Length: 0\r\n\r\n".to_owned(),
        format!("X: 1\r\n Content-Length: {length}\r\n\r\n"),
        "Transfer-Encoding: chunked\r\n\r\n0;ext=\"\n\"\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\n\r\n00000000000000000\r\n\r\n".to_owned(),
        "Connection: content-length\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ] {
        talk(&jail, &format!("POST /p/outer HTTP/1.1\r\nHost: good.test\r\n{head}{smuggled}"));
        assert!(site.paths().iter().all(|path| path != "/smuggled"), "after {head:?}");
    }
}

fn pipelined_request_is_judged(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let both = "GET /p/1 HTTP/1.1\r\nHost: good.test\r\n\r\nGET /q/2 HTTP/1.1\r\nHost: good.test\r\n\r\n";
    let outcome = talk(&Jail::new(&world, mode).allow("https://good.test/p/"), both);
    outcome.assert_says("HTTP/1.1 404").assert_says("HTTP/1.1 403");
    assert_eq!(site.paths(), ["/p/1"]);
}

fn cleartext_upgrade_hides_nothing(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let upgrade = "GET /p/ HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade, HTTP2-Settings\r\n\
                   Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    talk(&jail, upgrade);
    assert_eq!(site.requests().len(), 1);
    assert_eq!(site.requests()[0].header("upgrade"), None);
    // The preface of HTTP/2 where HTTP/1 was agreed on.
    talk(&jail, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(site.requests().len(), 1);
}

fn connect_inside(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").allow("evil.test:80");
    let connect = "CONNECT evil.test:80 HTTP/1.1\r\nHost: evil.test:80\r\n\r\nGET / HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    let outcome = talk(&jail, connect);
    assert!(!outcome.says(" 200"), "{outcome}");
    assert!(site.requests().is_empty());
    world.assert_attacker_saw_nothing();
}

fn forged_server_name(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let to = "good.test:443:198.51.100.66:443";
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let outcome = jail.run(["curl", "-sS", "-i", "--connect-to", to, "https://good.test/p/secret"]);
    outcome.assert_says(" 404");
    assert_eq!(site.paths(), ["/p/secret"]);
    world.assert_attacker_saw_nothing();
}

fn odd_heads(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let long = "x".repeat(100_000);
    for head in [
        "GET /p/\tx HTTP/1.1\r\nHost: good.test\r\n\r\n".to_owned(),
        "GET /p/ /q/ HTTP/1.1\r\nHost: good.test\r\n\r\n".to_owned(),
        "GET  /q/ HTTP/1.1\r\nHost: good.test\r\n\r\n".to_owned(),
        "GET q/ HTTP/1.1\r\nHost: good.test\r\n\r\n".to_owned(),
        "GET ?q HTTP/1.1\r\nHost: good.test\r\n\r\n".to_owned(),
        "GET * HTTP/1.1\r\nHost: good.test\r\n\r\n".to_owned(),
        "GET /q/ HTTP/0.9\r\n\r\n".to_owned(),
        "GET /q/\r\n".to_owned(),
        "GET /q/#/p/ HTTP/1.1\r\nHost: good.test\r\n\r\n".to_owned(),
        format!("GET /q/ HTTP/1.1\r\nHost: good.test\r\nX: {long}\r\n\r\n"),
        format!("GET /q/{long} HTTP/1.1\r\nHost: good.test\r\n\r\n"),
    ] {
        talk(&jail, &head);
        let first: String = head.chars().take(60).collect();
        assert!(site.requests().is_empty(), "{first:?}: {:?}", site.paths());
    }
}

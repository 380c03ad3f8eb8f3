//! HTTP without TLS: every request is judged by itself.

use std::time::Duration;

use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::raw::{self, Inside};
use crate::suite::{Mode, Suite, both};
use crate::world::{PROXY_URL, Reply, Request, World};

const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        allowed_host_works,
        denial_explains_itself,
        second_request_is_judged,
        pipelined_request_is_judged,
        absolute_form_must_agree,
        host_must_be_there,
        connect_reaches_allowed_hosts_only,
        ambiguous_lengths_smuggle_nothing,
        upgrade_works,
        redirect_to_a_denied_host,
        large_bodies,
        stalled_server_does_not_stall_the_job,
        trace_is_not_sent,
        many_header_fields,
    );
}

fn allowed_host_works(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    for rule in ["good.test", "good.test:80", "http://good.test", "http://good.test/"] {
        let outcome = Jail::new(&world, mode).allow(rule).run(["curl", "-sS", "http://good.test/"]);
        outcome.assert_success().assert_stdout("hello from good.test\n").assert_allowed("http", "good.test");
    }
    assert_eq!(site.requests().len(), 4);
}

fn denial_explains_itself(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    let outcome = jail.run(["curl", "-sS", "-i", "-H", "Host: evil.test", "http://good.test/"]);
    outcome
        .assert_success()
        .assert_says("HTTP/1.1 403")
        .assert_says("cijail-net")
        .assert_says("--allow evil.test");
    outcome.assert_faster_than(AT_ONCE).assert_denied("http", "evil.test", "not-allowed");
    assert!(site.requests().is_empty());
    world.assert_attacker_saw_nothing();
}

fn talk(jail: &Jail<'_>, bytes: &str) -> Outcome {
    raw::talk(jail, Inside::Tcp, bytes)
}

fn second_request_is_judged(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "\
import http.client
c = http.client.HTTPConnection('good.test')
for host in ('good.test', 'evil.test'):
    c.request('GET', '/' + host, headers={'Host': host})
    r = c.getresponse()
    r.read()
    print(r.status)
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_stdout("404\n403\n").assert_denied("http", "evil.test", "not-allowed");
    assert_eq!(site.paths(), ["/good.test"]);
}

fn pipelined_request_is_judged(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let both = "GET /1 HTTP/1.1\r\nHost: good.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    let outcome = talk(&Jail::new(&world, mode).allow("good.test"), both);
    outcome.assert_says("HTTP/1.1 404").assert_says("HTTP/1.1 403");
    assert_eq!(site.paths(), ["/1"]);
    talk(&Jail::direct(&world, mode), both);
    assert_eq!(site.paths(), ["/1", "/1", "/2"]);
}

fn absolute_form_must_agree(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    for request in [
        "GET http://evil.test/a HTTP/1.1\r\nHost: good.test\r\nConnection: close\r\n\r\n",
        "GET http://good.test/b HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n",
    ] {
        let outcome = talk(&jail, request);
        assert!(!outcome.stdout.contains("hello from"), "{outcome}");
        assert!(!outcome.denied().is_empty(), "{outcome}");
    }
    assert!(site.paths().iter().all(|path| !path.ends_with("/a")), "{:?}", site.paths());
    world.assert_attacker_saw_nothing();
}

fn host_must_be_there(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let outcome = talk(&Jail::new(&world, mode).allow("good.test"), "GET / HTTP/1.0\r\n\r\n");
    assert!(outcome.denied().iter().any(|event| event.reason.as_deref() == Some("no-host")), "{outcome}");
    assert!(site.requests().is_empty());
}

fn connect_reaches_allowed_hosts_only(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").option("--keep-proxy-env");
    let through = |url: &'static str| jail.run(["curl", "-sS", "-x", "http://good.test:80", url]);
    through("https://good.test/").assert_success().assert_stdout("hello from good.test\n");
    through("https://evil.test/").assert_failure().assert_faster_than(AT_ONCE);
    through("https://198.51.100.66/").assert_failure().assert_faster_than(AT_ONCE);
    assert!(site.paths().iter().all(|path| path == "/"), "{:?}", site.paths());
    world.assert_attacker_saw_nothing();
}

fn ambiguous_lengths_smuggle_nothing(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: evil.test\r\n\r\n";
    let length = smuggled.len();
    for head in [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", length + 5),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n\r\n0\r\n\r\n", length + 5),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n"),
        "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "X: y\nContent-Length: 0\r\n\r\n".to_owned(),
        format!("X: 1\r\n Content-Length: {length}\r\n\r\n"),
    ] {
        talk(&jail, &format!("POST /outer HTTP/1.1\r\nHost: good.test\r\n{head}{smuggled}"));
        assert!(site.paths().iter().all(|path| path != "/smuggled"), "after {head:?}");
    }
}

fn upgrade_works(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let request = "GET /ws HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let script = format!(
        "import socket\n\
         s = socket.create_connection(('good.test', 80), 3)\n\
         s.sendall({request:?}.encode())\n\
         head = b''\n\
         while not head.endswith(b'\\r\\n\\r\\n'): head += s.recv(1)\n\
         s.sendall(b'\\x00\\xffframe')\n\
         print(head.split()[1], s.recv(100))\n"
    );
    let outcome = Jail::new(&world, mode).allow("good.test").python(&script);
    outcome.assert_success().assert_stdout("b'101' b'\\x00\\xffframe'\n");
}

fn redirect_to_a_denied_host(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let follow = ["curl", "-sSL", "http://good.test/redirect?http://evil.test/secret"];
    let outcome = Jail::new(&world, mode).allow("good.test").run(follow);
    outcome.assert_code(6).assert_faster_than(AT_ONCE);
    assert_eq!(site.requests().len(), 1);
    world.assert_attacker_saw_nothing();
    Jail::direct(&world, mode).run(follow).assert_success().assert_stdout("evil\n");
}

fn large_bodies(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    for scheme in ["http", "https"] {
        let count = jail.shell(&format!("curl -sS {scheme}://good.test/bytes/100000000 | wc -c"));
        count.assert_success().assert_stdout("100000000\n");
        let echo = jail.shell(&format!(
            "head -c 20000000 /dev/urandom >body; curl -sS --data-binary @body {scheme}://good.test/echo | cmp - body"
        ));
        echo.assert_success();
    }
    assert_eq!(site.requests().len(), 4);
}

fn stalled_server_does_not_stall_the_job(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    jail.run(["curl", "-sS", "--max-time", "1", "http://good.test/silence"]).assert_code(28);
    let hung_up = jail.run(["curl", "-sS", "http://good.test/hangup"]);
    // Either the end of the connection as it was, or a gateway's word for it.
    assert!(hung_up.code() == 52 || hung_up.says("502") || hung_up.says("upstream"), "{hung_up}");
    world.assert_nothing_left();
}

/// Its answer would show what was added on the way.
fn trace_is_not_sent(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let trace = ["curl", "-sS", "-i", "-X", "TRACE", "http://good.test/"];
    let outcome = Jail::new(&world, mode).allow("good.test").run(trace);
    outcome.assert_says("HTTP/1.1 403").assert_denied("http", "good.test", "method-not-allowed");
    Jail::new(&world, mode).option("--mode").option("monitor").run(trace);
    assert!(site.requests().is_empty(), "{:?}", site.requests());
    Jail::direct(&world, mode).run(trace);
    assert_eq!(site.requests()[0].method, "TRACE");
}

fn many_header_fields(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    site.respond(|request| {
        let count = request.query().parse().ok()?;
        Some((0..count).fold(Reply::ok("all\n"), |reply: Reply, number: u32| {
            reply.with_header(&format!("x-down-{number}"), "value")
        }))
    });
    let script = "\
import http.client, sys
http.client._MAXHEADERS = 10000
c = http.client.HTTPConnection('good.test')
for count in (101, 300, 900):
    c.request('GET', '/?%d' % count, headers={'X-Up-%d' % n: 'value' for n in range(count)})
    r = c.getresponse()
    print(r.status, sum(1 for name, _ in r.getheaders() if name.startswith('x-down-')), r.read())
";
    let proxy = world.proxy();
    proxy.knows("good.test", site.v4);
    let direct = Jail::new(&world, mode).allow("good.test");
    for jail in [direct.clone().env("HTTP_PROXY", PROXY_URL), direct] {
        let outcome = jail.python(script);
        outcome.assert_stdout("200 101 b'all\\n'\n200 300 b'all\\n'\n200 900 b'all\\n'\n");
    }
    let up = |request: &Request| request.headers.iter().filter(|(name, _)| name.starts_with("X-Up-")).count();
    assert_eq!(site.requests().iter().map(up).collect::<Vec<_>>(), [101, 300, 900, 101, 300, 900]);
    assert_eq!(proxy.asked().len(), 3);
}

//! URL rules inside TLS: every request is judged, and only the hosts of such rules are opened.

mod certificates;
mod http2;
mod patience;
mod smuggling;

use std::time::Duration;

use crate::endurance::{peak, scaled};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{PROXY_URL, Reply, World, authority};

const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        one_repository_of_a_host,
        reading_without_publishing,
        every_request_is_judged,
        other_hosts_are_not_opened,
        whole_host_rule_wins,
        deny_rule_inside_an_allowed_host,
        denied_upload_is_not_sent,
        uploads_have_a_limit,
        large_bodies,
        endless_bodies_take_no_memory,
        upgrade_works,
        redirect_to_a_denied_host,
        inside_a_tunnel,
        through_a_parent_proxy,
        other_port,
        monitor_mode,
        connections_are_used_again,
        server_that_closes_each_connection,
        queries_are_kept_and_not_logged,
    );
    certificates::add(suite);
    http2::add(suite);
    patience::add(suite);
    smuggling::add(suite);
}

fn one_repository_of_a_host(mode: Mode) {
    let world = World::new();
    let site = world.site("git.test");
    site.page("/team/repo/info", Reply::ok("refs\n"));
    let jail = Jail::new(&world, mode).allow("https://git.test/team/repo/");
    let outcome = jail.run(["curl", "-sS", "https://git.test/team/repo/info"]);
    outcome.assert_success().assert_stdout("refs\n").assert_allowed("http", "git.test");
    let outcome = jail.run(["curl", "-sS", "-i", "https://git.test/team/other/info"]);
    outcome.assert_success().assert_says(" 403").assert_says("on purpose").assert_says("path-not-allowed");
    outcome.assert_says("--allow 'GET https://git.test/team/other/info'").assert_faster_than(AT_ONCE);
    outcome.assert_denied("http", "git.test", "path-not-allowed");
    for path in [
        "/team/repository/info",
        "/team/repo/../other/info",
        "/team/repo/%2e%2e/other/info",
        "/team/repo/..%2fother/info",
        "/team/repo//../other/info",
        "/team/repo/..;/other/info",
        "/team/repo\\..\\other/info",
        "/team/repo/%25%32%65%25%32%65/other/info",
        "//git.test/team/repo/info",
    ] {
        let outcome = jail.run(["curl", "-sS", "-i", "--path-as-is", &format!("https://git.test{path}")]);
        assert!(outcome.says(" 403") || outcome.says(" 400"), "{path}: {outcome}");
    }
    assert_eq!(site.paths(), ["/team/repo/info"]);
    let direct = Jail::direct(&world, mode);
    direct.run(["curl", "-sS", "--path-as-is", "https://git.test/team/repo/../other/info"]);
    assert_eq!(site.paths().last().unwrap(), "/team/repo/../other/info");
    // It offers HTTP/1.0 alone.
    jail.run(["curl", "-sS", "-0", "https://git.test/team/repo/info"]).assert_stdout("refs\n");
}

fn reading_without_publishing(mode: Mode) {
    let world = World::new();
    let site = world.site("registry.test");
    let jail = Jail::new(&world, mode).allow("GET,HEAD https://registry.test/");
    jail.run(["curl", "-sS", "https://registry.test/"]).assert_stdout("hello from registry.test\n");
    jail.run(["curl", "-sSI", "https://registry.test/"]).assert_success().assert_says(" 200");
    for method in ["PUT", "POST", "DELETE", "PATCH", "get", "PROPFIND", "TRACE"] {
        let outcome = jail.run(["curl", "-sS", "-i", "-X", method, "-d", "x", "https://registry.test/"]);
        outcome.assert_says(" 403").assert_denied("http", "registry.test", "method-not-allowed");
    }
    let methods: Vec<String> = site.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(methods, ["GET", "HEAD"]);
}

fn every_request_is_judged(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "\
import http.client
c = http.client.HTTPSConnection('good.test')
for path in ('/p/1', '/q/2', '/p/3'):
    c.request('GET', path)
    r = c.getresponse()
    r.read()
    print(r.status)
";
    let outcome = Jail::new(&world, mode).allow("https://good.test/p/").python(script);
    outcome.assert_stdout("404\n403\n404\n").assert_denied("http", "good.test", "path-not-allowed");
    assert_eq!(site.paths(), ["/p/1", "/p/3"]);
}

fn other_hosts_are_not_opened(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.site("plain.test");
    let pem = authority().pem().to_str().unwrap();
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").allow("plain.test");
    // Its one root is that of the servers.
    jail.helper(&["bundled-roots", "plain.test", pem]).assert_success().assert_says("hello from plain.test");
    jail.helper(&["bundled-roots", "good.test", pem]).assert_failure();
}

fn whole_host_rule_wins(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let pem = authority().pem().to_str().unwrap();
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").allow("good.test");
    jail.helper(&["bundled-roots", "good.test", pem]).assert_success();
    assert_eq!(site.paths(), ["/"]);
}

fn deny_rule_inside_an_allowed_host(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").deny("POST https://good.test/");
    jail.run(["curl", "-sS", "https://good.test/"]).assert_stdout("hello from good.test\n");
    let outcome = jail.run(["curl", "-sS", "-i", "-d", "secret", "https://good.test/echo"]);
    outcome.assert_says(" 403").assert_says("denied by the rule: POST https://good.test/");
    assert_eq!(site.paths(), ["/"]);
}

fn denied_upload_is_not_sent(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let upload = "head -c 3000000 /dev/zero | curl -sS -w '%{http_code}\\n' -o /dev/null -T -";
    for version in ["--http1.1", "--http2"] {
        for expect in ["", "-H 'Expect: 100-continue'"] {
            let denied = format!("{upload} {version} {expect} https://good.test/q/");
            jail.shell(&denied).assert_stdout("403\n").assert_faster_than(AT_ONCE);
            let passes = format!("{upload} {version} {expect} https://good.test/p/");
            jail.shell(&passes).assert_stdout("404\n");
        }
    }
    assert_eq!(site.paths(), ["/p/"; 4]);
    assert!(site.requests().iter().all(|request| request.body.len() == 3_000_000));
}

fn uploads_have_a_limit(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let policy = "[[rule]]\nhost = 'good.test'\nscheme = 'https'\nmax-upload = '1MB'\n";
    let send = |version: &str, octets: u32, chunked: bool| {
        let body = if chunked { "-T -" } else { "--data-binary @-" };
        format!(
            "head -c {octets} /dev/zero | curl -sS {version} -o /dev/null -w '%{{http_code}}\\n' {body} \
             -X POST https://good.test/echo; "
        )
    };
    for version in ["--http1.1", "--http2"] {
        for chunked in [false, true] {
            let before = site.requests().len();
            let script =
                [400_000, 700_000, 400_000, 200_001].map(|octets| send(version, octets, chunked)).concat();
            let outcome = Jail::new(&world, mode).policy(policy).shell(&script);
            outcome.assert_denied("http", "good.test", "limit").assert_says("max-upload");
            let statuses: Vec<&str> = outcome.stdout.lines().collect();
            assert_eq!(
                (statuses[0], statuses[2]),
                ("200", if chunked { statuses[2] } else { "200" }),
                "{outcome}"
            );
            let requests = site.requests().split_off(before);
            let whole: usize = requests.iter().map(|request| request.body.len()).sum();
            assert!(whole <= 1_000_000, "{whole} octets, {version} {chunked}");
        }
    }
}

fn large_bodies(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("GET,POST https://good.test/");
    for version in ["--http1.1", "--http2"] {
        let count = jail.shell(&format!("curl -sS {version} https://good.test/bytes/100000000 | wc -c"));
        count.assert_success().assert_stdout("100000000\n");
        let echo = jail.shell(&format!(
            "head -c 20000000 /dev/urandom >body; \
             curl -sS {version} --data-binary @body https://good.test/echo | cmp - body"
        ));
        echo.assert_success();
    }
    assert_eq!(site.requests().len(), 4);
}

/// 10 GiB each way where the full numbers are asked for.
fn endless_bodies_take_no_memory(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let octets = scaled(300 << 20, 10_u64 << 30);
    let jail = Jail::new(&world, mode).allow("GET,PUT https://good.test/").within(Duration::from_secs(600));
    for version in ["--http1.1", "--http2"] {
        // The file has no blocks, so that its size is the only thing that is large.
        let script = format!(
            "truncate -s {octets} big; curl -sS {version} https://good.test/bytes/{octets} | wc -c; \
             curl -sS {version} -T big https://good.test/sink; echo; echo done; read end"
        );
        let mut running = jail.start(["sh", "-c", &script]);
        running.wait_for("done");
        let most = peak(running.pid());
        running.type_in(b"\n");
        let outcome = running.finish();
        outcome.assert_stdout(&format!("{octets}\n{octets}\ndone\n"));
        assert!(most < 40 * 1024, "{most} KiB at most, {version}");
    }
}

fn upgrade_works(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let request = "GET /ws HTTP/1.1\r\nHost: good.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let script = format!(
        "import socket, ssl\n\
         s = socket.create_connection(('good.test', 443), 3)\n\
         s = ssl.create_default_context().wrap_socket(s, server_hostname='good.test')\n\
         s.sendall({request:?}.encode())\n\
         head = b''\n\
         while not head.endswith(b'\\r\\n\\r\\n'): head += s.recv(1)\n\
         s.sendall(b'\\x00\\xffframe')\n\
         print(head.split()[1], s.recv(100))\n"
    );
    let outcome = Jail::new(&world, mode).allow("https://good.test/ws").python(&script);
    outcome.assert_success().assert_stdout("b'101' b'\\x00\\xffframe'\n");
    let outcome = Jail::new(&world, mode).allow("https://good.test/other").python(&script);
    outcome.assert_says("b'403'");
    assert_eq!(site.paths(), ["/ws"]);
}

fn redirect_to_a_denied_host(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let follow = ["curl", "-sSL", "https://good.test/redirect?https://evil.test/secret"];
    let outcome = Jail::new(&world, mode).allow("https://good.test/redirect").run(follow);
    outcome.assert_code(6).assert_faster_than(AT_ONCE);
    let beside = ["curl", "-sSL", "-i", "https://good.test/redirect?https://good.test/secret"];
    Jail::new(&world, mode).allow("https://good.test/redirect").run(beside).assert_says(" 403");
    assert_eq!(site.requests().len(), 2);
    world.assert_attacker_saw_nothing();
}

fn inside_a_tunnel(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").option("--keep-proxy-env");
    let through = |url: &'static str| jail.run(["curl", "-sS", "-i", "-x", "http://good.test:3128", url]);
    through("https://good.test/p/a").assert_says(" 404");
    through("https://good.test/q/a").assert_says(" 403");
    assert_eq!(site.paths(), ["/p/a"]);
}

fn through_a_parent_proxy(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let proxy = world.proxy();
    proxy.knows("good.test", site.v4);
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").env("HTTPS_PROXY", PROXY_URL);
    jail.run(["curl", "-sS", "-i", "https://good.test/p/a"]).assert_says(" 404");
    jail.run(["curl", "-sS", "-i", "https://good.test/q/a"]).assert_says(" 403");
    assert_eq!(site.paths(), ["/p/a"]);
    assert_eq!(proxy.asked().len(), 1);
}

fn other_port(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    world.open_port(&site, 8443, true);
    let jail = Jail::new(&world, mode).allow("https://good.test:8443/p/");
    jail.run(["curl", "-sS", "-i", "https://good.test:8443/p/"]).assert_says(" 404");
    jail.run(["curl", "-sS", "-i", "https://good.test:8443/q/"]).assert_says(" 403");
    let other = ["curl", "-sS", "-i", "-H", "Host: good.test", "https://good.test:8443/p/"];
    jail.run(other).assert_says(" 403").assert_denied("http", "good.test", "host-mismatch");
    jail.run(["curl", "-sS", "https://good.test/p/"]).assert_failure();
    assert_eq!(site.paths(), ["/p/"]);
}

fn monitor_mode(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").option("--mode").option("monitor");
    let outcome = jail.run(["curl", "-sS", "-i", "https://good.test/q/"]);
    outcome.assert_success().assert_says(" 404");
    outcome.assert_event("would-deny", "http", "good.test", Some("path-not-allowed"));
    assert_eq!(site.paths(), ["/q/"]);
}

fn connections_are_used_again(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("GET https://good.test/");
    let outcome = jail.shell("for n in 1 2 3 4 5 6 7 8 9 10; do curl -sS https://good.test/ || exit; done");
    outcome.assert_success();
    assert_eq!(site.requests().len(), 10);
    assert!(site.connections() <= 2, "{} connections", site.connections());
}

fn server_that_closes_each_connection(mode: Mode) {
    let world = World::new();
    let site = world.site_of_short_connections("good.test");
    let script = "\
import http.client
for _ in range(5):
    c = http.client.HTTPSConnection('good.test')
    for _ in range(4):
        c.request('POST', '/echo', b'x' * 1000)
        r = c.getresponse()
        print(r.status, len(r.read()))
";
    let outcome = Jail::new(&world, mode).allow("POST https://good.test/").python(script);
    outcome.assert_stdout(&"200 1000\n".repeat(20));
    assert_eq!(site.requests().len(), 20);
}

fn queries_are_kept_and_not_logged(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let outcome = Jail::new(&world, mode).allow("https://good.test/p/").without_log_file().shell(
        "curl -sS -H 'Authorization: Bearer hunter2' 'https://good.test/p/?token=hunter2&a=%2f..'; \
         curl -sS -H 'Authorization: Bearer hunter2' 'https://good.test/q/?token=hunter2'",
    );
    assert!(outcome.says("https://good.test/q/"), "{outcome}");
    assert!(!outcome.says("hunter2"), "{outcome}");
    assert_eq!(site.paths(), ["/p/?token=hunter2&a=%2f.."]);
}

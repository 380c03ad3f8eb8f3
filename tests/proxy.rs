//! A host that reaches the internet through a proxy only: the gateway uses it, and the job does not notice.

mod credentials;
mod exempt;
mod refusal;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{PROXY_URL, Proxy, Site, World};

const SYNTHETIC: &str = "[dns]\nanswers = \"synthetic\"\n";

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        requests_have_absolute_targets,
        requests_of_one_connection_to_two_hosts,
        tls_goes_through_connect,
        opaque_bytes_go_through_connect,
        allowed_addresses_go_through_connect,
        hosts_that_only_the_proxy_knows,
        only_requests_have_a_proxy,
        trace_is_not_sent,
    );
    credentials::add(suite);
    exempt::add(suite);
    refusal::add(suite);
}

/// A jail on a host whose environment names the proxy for everything.
fn behind<'w>(world: &'w World, mode: Mode) -> Jail<'w> {
    Jail::new(world, mode).env("HTTP_PROXY", PROXY_URL).env("HTTPS_PROXY", PROXY_URL)
}

/// A site that the proxy leads to.
fn proxied_site(world: &World, proxy: &Proxy, name: &str) -> Site {
    let site = world.site(name);
    proxy.knows(name, site.v4);
    site
}

#[track_caller]
fn assert_not_met(world: &World, site: &Site) {
    for address in site.addresses() {
        assert!(world.wire().packets_to(address).is_empty(), "the host went to {address} by itself");
    }
}

fn requests_have_absolute_targets(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let jail = behind(&world, mode).allow("good.test");
    let outcome = jail.run(["curl", "-sS", "-d", "a=1", "http://good.test/echo?q=1"]);
    outcome.assert_success().assert_stdout("a=1").assert_allowed("http", "good.test");
    assert_eq!(proxy.asked(), ["POST http://good.test/echo?q=1"]);
    assert_eq!(site.paths(), ["/echo?q=1"]);
    assert_eq!(site.requests()[0].header("host"), Some("good.test"));
    assert_not_met(&world, &site);
    jail.run(["curl", "-sS", "http://evil.test/"]).assert_code(6);
    assert_eq!(proxy.asked().len(), 1);
    world.assert_attacker_saw_nothing();
}

/// The proxy sees each request; the second is for a host that no rule allows.
fn requests_of_one_connection_to_two_hosts(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    proxied_site(&world, &proxy, "good.test");
    let other = proxied_site(&world, &proxy, "other.test");
    let script = "\
import http.client
c = http.client.HTTPConnection('good.test')
for host in ('good.test', 'other.test'):
    c.request('GET', '/', headers={'Host': host})
    r = c.getresponse()
    r.read()
    print(r.status)
";
    let outcome = behind(&world, mode).allow("good.test").python(script);
    outcome.assert_stdout("200\n403\n").assert_denied("http", "other.test", "not-allowed");
    assert_eq!(proxy.asked(), ["GET http://good.test/"]);
    assert_eq!(other.connections(), 0);
}

fn tls_goes_through_connect(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let jail = behind(&world, mode).allow("good.test");
    let outcome = jail.run(["curl", "-sS", "https://good.test/"]);
    outcome.assert_success().assert_stdout("hello from good.test\n").assert_allowed("tls", "good.test");
    assert_eq!(proxy.asked(), ["CONNECT good.test:443"]);
    assert_eq!(site.requests()[0].sni.as_deref(), Some("good.test"));
    assert_not_met(&world, &site);
    jail.run(["curl", "-sS", "https://evil.test/"]).assert_code(6);
    assert_eq!(proxy.asked().len(), 1);
    world.assert_attacker_saw_nothing();
}

/// The server speaks first: its words may come together with the proxy's answer.
fn opaque_bytes_go_through_connect(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let (heard, address) = world.tcp_echo("mail.test", 25, b"220 mail.test\r\n");
    proxy.knows("mail.test", address);
    let script = "import socket\ns = socket.create_connection(('mail.test', 25), 3)\nprint(s.recv(100))\n\
                  s.sendall(b'QUIT')\nprint(s.recv(100))\n";
    let outcome = behind(&world, mode).allow("mail.test:25").python(script);
    outcome.assert_success().assert_stdout("b'220 mail.test\\r\\n'\nb'QUIT'\n");
    assert_eq!(proxy.asked(), ["CONNECT mail.test:25"]);
    assert!(heard.contains(b"QUIT"));
    assert!(world.wire().packets_to(address).is_empty());
}

fn allowed_addresses_go_through_connect(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = world.site("good.test");
    let jail = behind(&world, mode);
    for address in site.addresses() {
        proxy.knows(&address.to_string(), site.v4);
        let (rule, url) = match address.is_ipv4() {
            true => (format!("{address}:80"), format!("http://{address}/")),
            false => (format!("[{address}]:80"), format!("http://[{address}]/")),
        };
        let outcome = jail.clone().allow(&rule).run(["curl", "-sS", &url]);
        outcome.assert_success().assert_stdout("hello from good.test\n");
    }
    let (v4, v6) = (site.v4, site.v6);
    assert_eq!(proxy.asked(), [format!("CONNECT {v4}:80"), format!("CONNECT [{v6}]:80")]);
    assert_not_met(&world, &site);
}

fn hosts_that_only_the_proxy_knows(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = world.site_without_name("inner.test", false);
    let (_, echo) = world.tcp_echo("unused.test", 7007, b"");
    proxy.knows("inner.test", site.v4).knows("echo.test", echo);
    let jail = behind(&world, mode).policy(SYNTHETIC).allow("inner.test").allow("echo.test:7007");
    jail.run(["curl", "-sS", "http://inner.test/"]).assert_success().assert_stdout("hello from inner.test\n");
    jail.run(["curl", "-sS", "https://inner.test/"])
        .assert_success()
        .assert_stdout("hello from inner.test\n");
    let talk = "import socket\ns = socket.create_connection(('echo.test', 7007), 3)\ns.sendall(b'hi')\n\
                print(s.recv(9))\n";
    jail.python(talk).assert_success().assert_stdout("b'hi'\n");
    jail.run(["curl", "-sS", "http://other.test/"]).assert_code(6);
    let asked = ["GET http://inner.test/", "CONNECT inner.test:443", "CONNECT echo.test:7007"];
    assert_eq!(proxy.asked(), asked);
    for name in ["inner.test", "echo.test", "other.test"] {
        world.dns().assert_never_asked(name);
    }
    assert_not_met(&world, &site);
}

/// `HTTP_PROXY` alone says nothing about TLS.
fn only_requests_have_a_proxy(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let jail = Jail::new(&world, mode).allow("good.test").env("http_proxy", PROXY_URL);
    jail.shell("curl -sS https://good.test/tls http://good.test/plain").assert_success();
    assert_eq!(proxy.asked(), ["GET http://good.test/plain"]);
    assert_eq!(site.paths(), ["/tls", "/plain"]);
}

/// Its answer would show what was added on the way.
fn trace_is_not_sent(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let jail = Jail::new(&world, mode)
        .allow("good.test")
        .env("HTTP_PROXY", PROXY_URL.replace("://", "://user:secret@"));
    for method in ["TRACE", "trace", "TRACK"] {
        let outcome = jail.run(["curl", "-sS", "-i", "-X", method, "http://good.test/"]);
        assert!(!outcome.stdout.contains("dXNlcjpzZWNyZXQ="), "{outcome}");
    }
    let outcome = jail.run(["curl", "-sS", "-i", "-X", "TRACE", "http://good.test/"]);
    outcome.assert_says("HTTP/1.1 403").assert_denied("http", "good.test", "method-not-allowed");
    assert!(proxy.asked().iter().all(|asked| !asked.starts_with("TRACE ")), "{:?}", proxy.asked());
    assert!(site.requests().iter().all(|request| request.method != "TRACE"));
}

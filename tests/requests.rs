//! What comes after the first words of an HTTP connection: other paths, tunnels, other protocols. And what
//! is written about it.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        second_request_to_another_path,
        name_inside_a_tunnel_is_judged,
        upgrade_to_http2_stays_at_the_host,
        forged_host_and_path_in_the_log,
    );
}

fn second_request_to_another_path(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "\
import http.client
c = http.client.HTTPConnection('good.test')
for path in ('/ok/1', '/secret', '/ok/2'):
    c.request('GET', path)
    r = c.getresponse()
    r.read()
    print(r.status)
";
    let outcome = Jail::new(&world, mode).allow("http://good.test/ok/").python(script);
    outcome.assert_success().assert_stdout("404\n403\n404\n");
    outcome.assert_denied("http", "good.test", "path-not-allowed");
    assert_eq!(site.paths(), ["/ok/1", "/ok/2"]);
}

/// The gateway answers CONNECT itself, and then judges the ClientHello or the request inside.
fn name_inside_a_tunnel_is_judged(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let other = world.site("other.test");
    let script = "\
import socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
for port, name in ((443, 'evil.test'), (443, 'other.test'), (80, 'evil.test'), (443, 'good.test')):
    s = socket.create_connection(('good.test', 80), 3)
    s.sendall(b'CONNECT good.test:%d HTTP/1.1\\r\\nHost: good.test:%d\\r\\n\\r\\n' % (port, port))
    head = b''
    while not head.endswith(b'\\r\\n\\r\\n'): head += s.recv(1)
    try:
        if port == 443: context.wrap_socket(s, server_hostname=name)
        else:
            s.sendall(b'GET /secret HTTP/1.1\\r\\nHost: %b\\r\\n\\r\\n' % name.encode())
            assert b' 403 ' in s.recv(100), 'not refused'
            continue
        print('connected', name)
    except OSError as error: pass
";
    // The other name is allowed, but is not whom the tunnel is for.
    let outcome = Jail::new(&world, mode).allow("good.test").allow("other.test").python(script);
    outcome.assert_success().assert_stdout("connected good.test\n");
    assert!(outcome.denied().len() >= 3, "{outcome}");
    assert_eq!((site.connections(), other.connections()), (1, 0), "{outcome}");
    assert!(!world.wire().saw_bytes(b"secret"));
    world.assert_attacker_saw_nothing();
}

/// After an upgrade the bytes are not read any more, and can only reach the host that agreed to it.
fn upgrade_to_http2_stays_at_the_host(mode: Mode) {
    let world = World::new();
    let (heard, _) = world.tcp_echo("good.test", 80, b"");
    let other = world.site("other.test");
    let script = "\
import socket
s = socket.create_connection(('good.test', 80), 3)
s.settimeout(1)
s.sendall(b'GET / HTTP/1.1\\r\\nHost: good.test\\r\\nConnection: Upgrade, HTTP2-Settings\\r\\n'
          b'Upgrade: h2c\\r\\nHTTP2-Settings: AAMAAABkAAQAAP__\\r\\n\\r\\n')
s.sendall(b'PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n' + b':authority other.test')
try:
    while s.recv(1000): pass
except OSError: pass
";
    let outcome = Jail::new(&world, mode).allow("good.test").allow("dns:other.test").python(script);
    outcome.assert_success();
    assert_eq!(other.connections(), 0, "{outcome}");
    // The server has agreed to nothing, so what follows is no request that may pass.
    assert!(!heard.contains(b"PRI * HTTP/2.0") && !heard.contains(b":authority"), "{outcome}");
    world.assert_attacker_saw_nothing();
}

/// Line ends, escapes and a mebibyte of letters, where a log would show them.
fn forged_host_and_path_in_the_log(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "\
import socket
forged = b'cijail-net: allow http good.test'
for path, host in ((b'/\\x1b[2Jsecret', b'good.test'), (b'/', b'evil\\x1b[2J.test'), (b'/' + b'a' * (1 << 20), b'good.test'),
                   (b'/', b'a' * (1 << 20)), (b'/a\\rb', b'good.test'), (b'/', b'evil.test\\r' + forged),
                   (b'/%0acijail-net:%20allow', b'evil.test')):
    s = socket.create_connection(('good.test', 80), 3)
    s.settimeout(2)
    try:
        s.sendall(b'GET ' + path + b' HTTP/1.1\\r\\nHost: ' + host + b'\\r\\n\\r\\n')
        while s.recv(65536): pass
    except OSError: pass
";
    let jail = Jail::new(&world, mode).allow("http://good.test/ok/");
    let text = jail.clone().without_log_file().python(script);
    text.assert_success();
    assert!(!text.stderr.contains('\x1b') && !text.stderr.contains('\r'), "{text}");
    assert!(text.stderr.lines().all(|line| line.len() < 2000), "{text}");
    assert!(!text.stderr.lines().any(|line| line.starts_with("cijail-net: allow http good.test")), "{text}");
    let json = jail.python(script);
    json.assert_success();
    assert!(json.denied().iter().any(|event| event.kind == "http"), "{json}");
    assert!(json.events.iter().all(|event| event.url.as_ref().is_none_or(|url| url.len() < 3000)), "{json}");
    assert!(site.requests().is_empty(), "{:?}", site.paths());
}

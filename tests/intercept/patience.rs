//! Connections that do nothing, or too little, end; and what was tried on them is in the log.

use std::time::Duration;

use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        half_a_head_ends,
        idle_connections_end,
        idle_connections_of_http2_end,
        silent_hosts_and_upgrades_end,
        malformed_requests_are_recorded,
        connection_without_a_request_is_recorded,
    );
}

const LIMITS: &str =
    "allow = ['GET https://good.test/']\n[limits]\nsniff-timeout = '1s'\nidle-timeout = '3s'\n";

/// Talks TLS with good.test: `say`, and `ended`, which reads to the end and prints what came and after how
/// many seconds.
const CLIENT: &str = "\
import socket, ssl, time
def connect(*protocols):
    global s
    context = ssl.create_default_context()
    if protocols: context.set_alpn_protocols(protocols)
    s = context.wrap_socket(socket.create_connection(('good.test', 443), 9), server_hostname='good.test')
def say(text): s.sendall(text.encode())
def ended():
    start, came = time.monotonic(), b''
    try:
        while part := s.recv(65536): came += part
    except TimeoutError: print('never')
    except OSError: pass
    print(came.decode('latin-1').split(' ')[1:2], round(time.monotonic() - start))
def answer():
    head = b''
    while not head.endswith(b'\\r\\n\\r\\n'): head += s.recv(1)
    print(head.split()[1].decode())
    for line in head.split(b'\\r\\n'):
        if line.lower().startswith(b'content-length:'): s.recv(int(line.split()[1]))
GET = 'GET /p/ HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n'
";

fn jail(world: &World, mode: Mode) -> Jail<'_> {
    Jail::new(world, mode).policy(LIMITS)
}

fn client(jail: &Jail<'_>, script: &str) -> Outcome {
    jail.python(&format!("{CLIENT}{script}"))
}

fn half_a_head_ends(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    // The second request, an octet now and then; meanwhile an idle connection lasts longer.
    let script = "\
connect(); say(GET); answer(); time.sleep(2); say(GET); answer()
start = time.monotonic()
try:
    for octet in GET[:12]:
        say(octet); time.sleep(0.3)
except OSError: pass
print(time.monotonic() - start < 3.5)
ended()
";
    let outcome = client(&jail(&world, mode), script);
    outcome.assert_says("404\n404\nTrue\n").assert_denied("http", "good.test", "limit");
    assert_eq!(site.requests().len(), 2);
}

fn idle_connections_end(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let outcome = client(&jail(&world, mode), "connect(); say(GET); answer(); ended()\nconnect(); ended()");
    outcome.assert_stdout("404\n[] 3\n[] 3\n").assert_allowed("http", "good.test");
}

fn idle_connections_of_http2_end(mode: Mode) {
    let world = World::new();
    world.site_of_http2("good.test");
    // A ping a second is no request.
    let script = "\
const session = require('node:http2').connect('https://good.test');
const start = Date.now(), seconds = () => Math.round((Date.now() - start) / 1000);
const pings = setInterval(() => session.ping(() => {}), 1000);
session.on('error', () => {});
session.on('close', () => { clearInterval(pings); console.log('closed', seconds()); });
session.request({':path': '/p/'}).on('response', (head) => console.log(head[':status'])).resume();
";
    let outcome = jail(&world, mode).run(["node", "-e", script]);
    outcome.assert_stdout("404\nclosed 3\n").assert_faster_than(Duration::from_secs(8));
}

fn silent_hosts_and_upgrades_end(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
connect(); say(GET.replace('/p/', '/silence')); ended()
connect(); say(GET.replace('/p/', '/ws')[:-2] + 'Connection: upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n')
answer(); time.sleep(2); say('x'); print(s.recv(1)); ended()
";
    let outcome = client(&jail(&world, mode), script);
    outcome.assert_stdout("[] 3\n101\nb'x'\n[] 3\n");
}

fn malformed_requests_are_recorded(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    for (first, bad) in [
        ("", "GET /p/ x HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n"),
        ("", "GET /p/?q=\\x22a\\x22 HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n"),
        ("say(GET); answer();", "GET /\\tq/ HTTP/1.1\\r\\nHost: good.test\\r\\n\\r\\n"),
        ("say(GET); answer();", "GET /half"),
    ] {
        let script = format!("connect(); {first} say('{bad}'); s.unwrap() if 'half' in '{bad}' else ended()");
        let outcome = client(&jail(&world, mode), &script);
        outcome.assert_denied("http", "good.test", "malformed");
        let told = outcome.events.iter().filter(|event| event.kind != "dns").count();
        assert_eq!(told, 1 + usize::from(!first.is_empty()), "{outcome}");
        let advised = outcome.events.iter().any(|event| {
            event.detail.as_deref().is_some_and(|detail| detail.contains(r#"such as " < > in it as %22"#))
        });
        assert_eq!(advised, bad.contains("x22") || bad.contains("tq"), "{outcome}");
    }
    assert_eq!(site.paths(), ["/p/", "/p/"]);
}

fn connection_without_a_request_is_recorded(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let outcome = client(&jail(&world, mode), "connect('h2'); s.close()\nconnect(); s.close()");
    let told: Vec<_> = outcome.events.iter().filter(|event| event.kind == "tls").collect();
    assert_eq!(told.len(), 2, "{outcome}");
    assert!(told.iter().all(|event| event.detail.as_deref() == Some("no request was made")), "{outcome}");
    assert!(site.requests().is_empty());
}

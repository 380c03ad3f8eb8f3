//! What the job hears waits until it is known who hears it: nothing is lost meanwhile.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use crate::jail::Jail;
use crate::namespace;
use crate::outcome::Outcome;
use crate::rego::with_rules;
use crate::suite::{Mode, Suite, both};
use crate::world::{Fault, World};

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        words_before_a_reset_arrive,
        who_hears_nothing_is_told_of_a_reset,
        broken_off_questions_are_told,
        datagrams_wait_and_arrive,
        nobody_waits_for_long,
    );
}

/// Runs a script, which waits for a line first, until it has said this; meanwhile the witness is silent if it
/// is to be.
fn run(jail: &Jail<'_>, script: &str, silent: bool, until: &str) -> Outcome {
    let mut running = jail.start(["/usr/bin/python3", "-c", script]);
    running.wait_for("ready");
    // The witness is a thread of init.
    let init = namespace::init_of(running.pid());
    if silent {
        kill(init, Signal::SIGSTOP).unwrap();
    }
    running.type_in(b"\n");
    running.wait_for(until);
    if silent {
        kill(init, Signal::SIGCONT).unwrap();
    }
    let outcome = running.finish();
    outcome.assert_success();
    outcome
}

/// A host that refuses an upload in its own words and hangs up.
fn words_before_a_reset_arrive(mode: Mode) {
    const WORDS: usize = 5000;
    let world = World::new();
    world.faulty("good.test", 7007, Fault::Resets(WORDS));
    let script = "\
import socket, sys, time
print('ready', flush=True)
sys.stdin.readline()
for _ in range(10):
    s = socket.create_connection(('good.test', 7007), 9)
    try:
        while True:
            s.send(b'\\1' * 1000)
            time.sleep(0.0003)
    except OSError: pass
    heard = 0
    try:
        while chunk := s.recv(65536): heard += len(chunk)
    except OSError: pass
    print(heard)
";
    let jail = Jail::new(&world, mode).allow("good.test:7007");
    for silent in [false, true] {
        let outcome = run(&jail, script, silent, &format!("{WORDS}\n").repeat(10));
        let heard: Vec<_> =
            outcome.events.iter().filter(|event| event.kind == "tcp").map(|event| event.bytes_down).collect();
        assert_eq!(heard, [Some(WORDS as u64); 10], "{outcome}");
    }
}

/// A job that sends and never reads, to a host that does the same and resets.
fn who_hears_nothing_is_told_of_a_reset(mode: Mode) {
    let world = World::new();
    world.faulty("good.test", 7007, Fault::Floods(Duration::from_secs(1)));
    let script = "\
import socket
s = socket.create_connection(('good.test', 7007), 9)
try:
    while True: s.send(b'\\1' * 100000)
except OSError as error:
    print(type(error).__name__)
";
    let outcome = Jail::new(&world, mode).allow("good.test:7007").python(script);
    outcome.assert_success().assert_stdout("ConnectionResetError\n");
}

/// A job that asks over TCP and resets the connection at once, or while the denial is held back.
fn broken_off_questions_are_told(mode: Mode) {
    const COUNT: usize = 20;
    let world = World::new();
    let script = format!(
        "import socket, struct, sys, time\n\
         print('ready', flush=True)\n\
         sys.stdin.readline()\n\
         for number in range({COUNT}):\n\
         \x20   name = b'n%d' % number\n\
         \x20   query = b'\\0\\7\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + bytes([len(name)]) + name + b'\\4evil\\4test\\0\\0\\1\\0\\1'\n\
         \x20   s = socket.create_connection(('203.0.113.53', 53), 9)\n\
         \x20   s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))\n\
         \x20   s.send(struct.pack('>H', len(query)) + query)\n\
         \x20   time.sleep(0.001 * (number % 4))\n\
         \x20   s.close()\n\
         print('done', flush=True)\n"
    );
    let jail = Jail::new(&world, mode).allow("203.0.113.53:53");
    // Rules that have to know who asks.
    let asking = with_rules(&world, jail.clone(), "deny if endswith(input.process.exe, \"/python3\")\n");
    for jail in [jail, asking] {
        for silent in [false, true] {
            let outcome = run(&jail, &script, silent, "done");
            assert_eq!(outcome.denied().len(), COUNT, "{outcome}");
        }
    }
    assert!(!world.wire().saw_bytes_of_any_case(b"evil"));
}

/// What a host answers at once is not lost while nobody has told yet whose the datagrams are.
fn datagrams_wait_and_arrive(mode: Mode) {
    const COUNT: usize = 50;
    let world = World::new();
    world.udp_echo("time.test", 123);
    let script = format!(
        "import socket, sys\n\
         print('ready', flush=True)\n\
         sys.stdin.readline()\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.settimeout(3)\n\
         s.connect(('time.test', 123))\n\
         for number in range({COUNT}): s.send(b'%d' % number)\n\
         heard = {{int(s.recv(100)) for _ in range({COUNT})}}\n\
         print('heard', len(heard), flush=True)\n"
    );
    let jail = Jail::new(&world, mode).allow("time.test:123/udp");
    for silent in [false, true] {
        run(&jail, &script, silent, &format!("heard {COUNT}\n"));
    }
}

/// Where nobody can tell whose a connection is, that soon delays nothing.
fn nobody_waits_for_long(mode: Mode) {
    let world = World::new();
    world.tcp_echo("good.test", 7007, b"");
    let script = "\
import socket, sys, time
print('ready', flush=True)
sys.stdin.readline()
held = 0
for _ in range(60):
    before = time.monotonic()
    s = socket.create_connection(('good.test', 7007), 9)
    s.send(b'\\1' * 100)
    s.recv(100)
    held += time.monotonic() - before > 0.05
print('held', held, flush=True)
";
    let outcome = run(&Jail::new(&world, mode).allow("good.test:7007"), script, true, "held");
    let held: usize = outcome.stdout.rsplit(' ').next().unwrap().trim().parse().unwrap();
    assert!((1..50).contains(&held), "{held} of 60 waited for what nobody tells");
}

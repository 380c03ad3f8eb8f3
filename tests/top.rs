//! What a run tells while it goes on: `cijail-net top`, and the title of the terminal.

use std::fs;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use crate::enter;
use crate::jail::{self, Jail};
use crate::outcome::Outcome;
use crate::running::{Running, Terminal};
use crate::schemas::assert_is_snapshot;
use crate::suite::{Mode, Suite, both, once};
use crate::wait::poll_for;
use crate::world::World;

const SOON: Duration = Duration::from_secs(20);

const SAVED: &str = "\u{1b}[22;2t";
const TITLE: &str = "\u{1b}]2;cijail-net: ";
const RESTORED: &str = "\u{1b}]2;\u{7}\u{1b}[23;2t";
const SCREEN: &str = "\u{1b}[?1049h";
const NO_SCREEN: &str = "\u{1b}[?25h\u{1b}[?1049l";

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        shows_what_goes_on,
        requests_count_while_they_go_on,
        several_runs_are_listed,
        nothing_to_show,
        clients_that_never_read,
        the_job_cannot_ask,
        impostors_are_not_believed,
        screen_is_left_as_it_was,
        title_tells_and_is_put_back,
        title_is_put_back_for_a_pause,
        no_title_where_nobody_looks,
    );
    once!(suite, other_users_are_refused);
}

/// A job that has a connection and a denial, and waits for a line.
fn busy(world: &World, mode: Mode) -> Running {
    const SCRIPT: &str = "\
exec 3<>/dev/tcp/echo.test/7000; read -r line <&3; getent hosts evil.test
echo ready; read -r line; echo \"told $line\"; eval \"$line\"";
    world.tcp_echo("echo.test", 7000, b"hello\n");
    let job = Jail::new(world, mode).allow("echo.test:7000").start(["bash", "-c", SCRIPT, "--token=secret"]);
    job.wait_for("ready");
    job
}

fn top(world: &World, mode: Mode, words: &[&str]) -> Outcome {
    Jail::bare(world, mode).run(["top"].iter().chain(words))
}

#[track_caller]
fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.assert_success().stdout).unwrap()
}

/// The name at which the run answers, as the host sees it.
fn socket_name(world: &World, mode: Mode) -> String {
    let table = Jail::direct(world, mode).run(["cat", "/proc/net/unix"]).stdout;
    let names = table.lines().filter_map(|line| line.split_once(" @cijail-net/"));
    let names: Vec<String> = names.map(|(_, name)| format!("cijail-net/{name}")).collect();
    let [name] = &names[..] else { panic!("{names:?}") };
    name.clone()
}

fn shows_what_goes_on(mode: Mode) {
    let world = World::new();
    let mut job = busy(&world, mode);
    let pid = job.pid().to_string();
    let shown = json(&top(&world, mode, &["--once", "--json"]));
    assert_eq!((&shown["pid"], &shown["mode"]), (&pid.parse::<u32>().unwrap().into(), &"enforce".into()));
    let [connection] = &shown["connections"].as_array().unwrap()[..] else { panic!("{shown}") };
    assert_eq!((&connection["host"], &connection["port"]), (&"echo.test".into(), &7000.into()), "{shown}");
    assert_eq!((&connection["bytes_up"], &connection["bytes_down"]), (&0.into(), &6.into()), "{shown}");
    assert_eq!((&connection["kind"], &connection["rule"]), (&"tcp".into(), &"echo.test:7000".into()));
    assert!(connection["exe"].as_str().unwrap().ends_with("/bash"), "{shown}");
    let denial = &shown["denials"][0];
    assert_eq!(
        (&denial["host"], &denial["suggestion"]),
        (&"evil.test".into(), &"evil.test".into()),
        "{shown}"
    );
    assert!(denial["exe"].as_str().unwrap().ends_with("/getent"), "{shown}");
    assert!(shown["denied"].as_u64() >= Some(1) && shown["open"] == 1, "{shown}");
    let hosts: Vec<&Value> =
        shown["destinations"].as_array().unwrap().iter().map(|row| &row["host"]).collect();
    assert_eq!(hosts, ["echo.test", "evil.test"]);
    assert!(shown["command"][0] == "bash" && !shown.to_string().contains("secret"), "{shown}");

    assert_is_snapshot(&shown);

    let session = shown["session"].as_str().unwrap();
    for words in [&["--once"][..], &["--once", &pid], &["--once", session], &[]] {
        let told = top(&world, mode, words);
        told.assert_success().assert_says("echo.test:7000").assert_says("0 B/6 B");
        told.assert_says("not-allowed; to allow: --allow evil.test").assert_says(session);
    }
    job.type_in(b"exit 3\n");
    let outcome = job.finish();
    outcome.assert_code(3);
    assert!(outcome.lines[0].contains(session), "{outcome}");
    top(&world, mode, &[session]).assert_code(1).assert_says("of one that has ended, see its log");
    world.assert_nothing_left();
}

/// Octets of a request are told before it has ended.
fn requests_count_while_they_go_on(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    const SCRIPT: &str = "\
import http.client
connection = http.client.HTTPConnection('good.test')
connection.putrequest('POST', '/'); connection.putheader('content-length', '300000'); connection.endheaders()
connection.send(b'x' * 200000)
print('sent', flush=True)
input()
";
    let job = Jail::new(&world, mode).allow("http://good.test/").start(["/usr/bin/python3", "-c", SCRIPT]);
    job.wait_for("sent");
    let enough = poll_for(SOON, || {
        let shown = json(&top(&world, mode, &["--json"]));
        let connection = &shown["connections"][0];
        (connection["kind"] == "http" && connection["bytes_up"].as_u64() >= Some(200_000)).then_some(())
    });
    assert!(enough.is_some(), "{}", top(&world, mode, &["--json"]));
}

fn several_runs_are_listed(mode: Mode) {
    let world = World::new();
    let jobs = ["one", "two"].map(|name| {
        let job = Jail::new(&world, mode).start(["sh", "-c", "echo ready; read line", name]);
        job.wait_for("ready");
        job
    });
    let list = top(&world, mode, &["--json"]);
    list.assert_code(1).assert_says("2 runs are under way");
    for (job, name) in jobs.iter().zip(["one", "two"]) {
        let pid = job.pid().to_string();
        list.assert_says(&pid).assert_says(&format!("'echo ready; read line' {name}"));
        assert_eq!(json(&top(&world, mode, &["--json", &pid]))["command"][3], name);
    }
}

fn nothing_to_show(mode: Mode) {
    let world = World::new();
    top(&world, mode, &[]).assert_code(1).assert_says("no run of yours is under way here");
    top(&world, mode, &["1\u{1b}[2J"]).assert_code(1).assert_says("no run 1\\u{1b}[2J is under way here");
    top(&world, mode, &["1", "2"]).assert_code(125);
}

/// They neither hold up the run nor, for long, those who do read.
fn clients_that_never_read(mode: Mode) {
    const CLIENTS: &str = "\
import socket, sys
held = []
for _ in range(40):
    client = socket.socket(socket.AF_UNIX)
    client.connect('\\0' + sys.argv[1])
    held.append(client)
print('connected', flush=True)
input()
";
    let world = World::new();
    world.site("good.test");
    let mut job =
        Jail::new(&world, mode).allow("good.test").start(["bash", "-c", "read -r line; eval \"$line\""]);
    let waiting = poll_for(SOON, || (top(&world, mode, &[]).code() == 0).then_some(()));
    assert!(waiting.is_some());
    let name = socket_name(&world, mode);
    let clients = Jail::direct(&world, mode).start(["/usr/bin/python3", "-c", CLIENTS, &name]);
    clients.wait_for("connected");
    let asked = poll_for(SOON, || (top(&world, mode, &[]).code() == 0).then_some(()));
    assert!(asked.is_some());
    job.type_in(b"curl -sS https://good.test/ && exit 5\n");
    job.finish().assert_code(5);
}

/// The job's network namespace has other names, whoever the job runs as.
fn the_job_cannot_ask(mode: Mode) {
    const ASK: &str = "\
import socket
name = input()
client = socket.socket(socket.AF_UNIX)
try:
    client.connect('\\0' + name)
    print('answered', len(client.recv(100)), flush=True)
except OSError as error: print(error, flush=True)
print([line for line in open('/proc/net/unix') if 'cijail' in line])
";
    let world = World::new();
    let mut job = Jail::new(&world, mode).start([
        "/usr/bin/python3",
        "-c",
        &format!("print('ready', flush=True)\n{ASK}"),
    ]);
    job.wait_for("ready");
    let name = socket_name(&world, mode);
    let outside = Jail::direct(&world, mode).input(format!("{name}\n")).python(ASK);
    assert!(outside.stdout.contains("answered 100") && outside.stdout.contains(&name), "{outside}");
    job.type_in(format!("{name}\n").as_bytes());
    job.finish().assert_stdout("ready\n[Errno 111] Connection refused\n[]\n");
}

fn impostors_are_not_believed(mode: Mode) {
    const IMPOSTOR: &str = "\
import os, socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind('\\0cijail-net/%s/1/0123456789abcdef' % sys.argv[1])
server.listen()
print('ready', flush=True)
while True:
    client, _ = server.accept()
    try: client.sendall(b'{}')
    # Nobody reads what it says.
    except OSError: pass
";
    let world = World::new();
    let uid = jail::uid(mode).to_string();
    let impostor = Jail::direct(&world, mode).start(["/usr/bin/python3", "-c", IMPOSTOR, &uid]);
    impostor.wait_for("ready");
    top(&world, mode, &[]).assert_code(1).assert_says("no run of yours");
    let named = top(&world, mode, &["0123456789abcdef"]);
    named.assert_code(1).assert_says("in the name of another run; nothing that it says is believed");
}

/// Nobody else is told anything; root is.
fn other_users_are_refused() {
    if !enter::as_real_root() {
        // There is one user only.
        return;
    }
    let world = World::new();
    for (mode, other) in [(Mode::Root, Mode::Rootless), (Mode::Rootless, Mode::Root)] {
        let job = busy(&world, mode);
        let pid = job.pid().to_string();
        top(&world, mode, &["--once", &pid]).assert_success();
        let stranger = ["setpriv", "--reuid", "54321", "--regid", "54321", "--clear-groups"];
        let refused =
            Jail::bare(&world, Mode::Root).directory("/").under(&stranger).run(["top", "--json", &pid]);
        refused.assert_code(1).assert_stdout("").assert_says("the run is another user's");
        top(&world, other, &["--json"]).assert_code(1).assert_says("no run of yours");
        let by_other = top(&world, other, &["--json", &pid]);
        match other {
            Mode::Root => assert_eq!(json(&by_other)["connections"][0]["host"], "echo.test"),
            Mode::Rootless => {
                by_other.assert_code(1).assert_stdout("");
            }
        }
        drop(job);
    }
}

/// By a key, by each signal that can be handled, and when the run ends.
fn screen_is_left_as_it_was(mode: Mode) {
    let world = World::new();
    let script = format!("{} top; echo left-$?; stty -a", enter::binary().display());
    let leave = |end: &dyn Fn(&mut Terminal), code: &str| {
        let mut job = busy(&world, mode);
        let mut terminal = Jail::direct(&world, mode).terminal(["bash", "-c", &script]);
        terminal.wait_for(SCREEN);
        terminal.wait_for("echo.test:7000");
        // Drawn again, with octets a second.
        terminal.wait_for("; a second ");
        if code == "ended" {
            job.type_in(b"exit\n");
        }
        end(&mut terminal);
        terminal.wait_for(NO_SCREEN);
        if code == "ended" {
            terminal.wait_for("the run has ended");
        }
        terminal.wait_for("left-0");
        terminal.wait_for(" icanon");
        terminal.wait_for(" echo ");
        terminal.finish();
    };
    leave(&|terminal| terminal.type_in("xq"), "");
    leave(&|terminal| terminal.type_in("\u{3}"), "");
    leave(&|terminal| terminal.type_in("\u{1c}"), "");
    leave(&|terminal| kill(child_of(terminal), Signal::SIGTERM).unwrap(), "");
    leave(&|_| {}, "ended");
}

/// The only child of the terminal's shell.
fn child_of(terminal: &Terminal) -> nix::unistd::Pid {
    let path = format!("/proc/{0}/task/{0}/children", terminal.pid());
    nix::unistd::Pid::from_raw(fs::read_to_string(path).unwrap().trim().parse().unwrap())
}

fn titled(world: &World, mode: Mode, script: &str) -> Terminal {
    Jail::new(world, mode).env("TERM", "xterm-256color").terminal(["bash", "-c", script])
}

fn title_tells_and_is_put_back(mode: Mode) {
    const SCRIPT: &str = "getent hosts evil.test; echo ready; read -r line; $line; exit 4";
    let world = World::new();
    for (end, code) in [("true\n", Some(4)), ("kill -9 $$\n", None), ("\u{3}", None)] {
        let mut terminal = titled(&world, mode, &SCRIPT.replace("$line;", "eval \"$line\";"));
        terminal.wait_for("ready");
        terminal.wait_for(SAVED);
        terminal.wait_for(TITLE);
        terminal.wait_for(" denied (last evil.test)\u{7}");
        terminal.type_in(end);
        terminal.wait_for(RESTORED);
        let status = terminal.finish();
        assert!(code.is_none() || status.code() == code, "{status}");
        world.assert_nothing_left();
    }
}

/// While the run is stopped the title is the shell's.
fn title_is_put_back_for_a_pause(mode: Mode) {
    let world = World::new();
    let mut terminal = Jail::direct(&world, mode).env("TERM", "xterm").terminal(["bash", "--norc", "-i"]);
    terminal.type_in("PS1='jail''> '\n");
    terminal.wait_for("jail> ");
    terminal.type_in(&format!("{} run -- sleep 1000\n", enter::binary().display()));
    terminal.wait_for(TITLE);
    terminal.type_in("\u{1a}");
    terminal.wait_for(RESTORED);
    terminal.wait_for("jail> ");
    terminal.type_in("fg\n");
    terminal.wait_for(SAVED);
    terminal.wait_for(TITLE);
    terminal.type_in("\u{3}");
    terminal.wait_for(RESTORED);
    terminal.wait_for("jail> ");
    terminal.type_in("exit 9\n");
    assert_eq!(terminal.finish().code(), Some(9));
    world.assert_nothing_left();
}

fn no_title_where_nobody_looks(mode: Mode) {
    const SCRIPT: &str = "sleep 4; echo the-end; read line";
    let world = World::new();
    let jail = Jail::new(&world, mode).env("TERM", "xterm");
    let quiet = [
        jail.clone().env("CI", "true"),
        jail.clone().option("--quiet"),
        jail.clone().env("TERM", "dumb"),
        jail.clone().env("TERM", "linux"),
    ];
    let terminals = quiet.map(|jail| jail.terminal(["sh", "-c", SCRIPT]));
    let piped = jail.start(["sh", "-c", SCRIPT]);
    for mut terminal in terminals {
        assert_eq!(terminal.wait_for_one_of(&["\u{1b}", "the-end"]), "the-end");
        terminal.type_in("\n");
        terminal.finish();
    }
    assert!(!piped.finish().stderr.contains('\u{1b}'));
}

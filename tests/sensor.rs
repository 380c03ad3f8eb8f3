//! Which programs ran, and who used which files.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::jail::Jail;
use crate::outcome::{Event, Outcome};
use crate::suite::{Mode, Suite, both, once};
use crate::world::{World, give_away};

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        who_reads_a_token_is_told,
        programs_are_told_with_their_ancestors,
        programs_that_fail_are_told,
        thousands_of_programs_are_counted,
        repeats_are_counted,
        every_way_to_a_file_is_seen,
        moved_directories_are_told,
        namespaces_of_the_jobs_own_hide_nothing,
        threads_and_static_programs_are_told,
        paths_hidden_from_the_sensor_are_told,
        names_are_escaped,
        policies_and_reports_have_it,
        refusals_and_privileges_stay,
        sensor_is_out_of_reach,
        end_of_the_sensor_ends_the_job,
        bad_patterns_start_nothing,
        nothing_is_looked_at_unless_asked_for,
        second_sensor_is_refused,
    );
    // Few machines let a user open /dev/fuse.
    once!(suite, file_systems_of_the_jobs_own_stop_nothing);
}

impl Outcome {
    fn of_kind(&self, kind: &str) -> Vec<&Event> {
        self.events.iter().filter(|event| event.kind == kind).collect()
    }

    /// How often a program ran.
    fn ran(&self, path: &str) -> u64 {
        let events = self.of_kind("exec").into_iter();
        events
            .filter(|event| event.detail.is_none() && event.path.as_deref() == Some(path))
            .map(|event| event.count.unwrap_or(1))
            .sum()
    }

    /// How often a file was used in this way.
    fn used(&self, path: &str, access: &str) -> u64 {
        let events = self.of_kind("file").into_iter();
        let fits =
            |event: &&Event| event.path.as_deref() == Some(path) && event.access.as_deref() == Some(access);
        events.filter(fits).map(|event| event.count.unwrap_or(1)).sum()
    }

    #[track_caller]
    fn assert_used(&self, path: &str, access: &str, count: u64) -> &Self {
        assert_eq!(self.used(path, access), count, "{access} of {path} in {:?}", self.of_kind("file"));
        self
    }
}

fn real(path: &str) -> String {
    fs::canonicalize(path).unwrap().display().to_string()
}

/// A file in the job's home.
fn planted(jail: &Jail<'_>, mode: Mode, name: &str) -> PathBuf {
    let path = jail.home().join(name);
    fs::write(&path, "//registry.test/:_authToken=secret\n").unwrap();
    if mode == Mode::Rootless {
        give_away(&path).unwrap();
    }
    path
}

fn who_reads_a_token_is_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, ".npmrc").display().to_string();
    let script = "sh -c 'cat ~/.npmrc > stolen; echo x >> ~/.npmrc'; cat /etc/passwd > /dev/null; true";
    for pattern in ["~/.npmrc", ".npmrc", token.as_str()] {
        let outcome = jail.clone().option("--watch-path").option(pattern).run(["sh", "-c", script]);
        outcome.assert_success().assert_used(&token, "read", 1).assert_used(&token, "write", 1);
        let files = outcome.of_kind("file");
        assert_eq!(files.len(), 2, "{files:?}");
        let sh = real("/bin/sh");
        let read = files.iter().find(|event| event.access.as_deref() == Some("read")).unwrap();
        assert_eq!((read.exe.clone(), read.verdict.as_str()), (Some(real("/bin/cat")), "allow"));
        assert_eq!(read.parents, [sh.clone(), sh.clone()]);
        assert_eq!(read.args, ["cat", &token]);
        assert!(read.pid.is_some_and(|pid| pid > 1), "{read:?}");
    }
    let outcome =
        jail.clone().without_log_file().option("--watch-path").option("~/.npmrc").shell("cat ~/.npmrc");
    outcome.assert_says(&format!("allow file {token} (read) (cat["));
}

fn programs_are_told_with_their_ancestors(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec");
    let hook = jail.home().join("hook.sh");
    fs::write(&hook, "#!/bin/bash\n/bin/true x y --token=abcdefgh\n:\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = jail.run(["sh", "-c", "./hook.sh; sh -c 'exec true'; true"]);
    outcome.assert_success();
    let (sh, bash, script) = (real("/bin/sh"), real("/bin/bash"), hook.display().to_string());
    let execs = outcome.of_kind("exec");
    let (execs, failed): (Vec<&Event>, Vec<&Event>) =
        execs.into_iter().partition(|event| event.detail.is_none());
    // The shell looks for `true` along PATH.
    assert!(failed.iter().all(|event| event.detail.as_deref() == Some("not found")), "{failed:?}");
    let paths: Vec<&str> = execs.iter().filter_map(|event| event.path.as_deref()).collect();
    assert_eq!(paths, [&sh, &script, &real("/bin/true"), &sh, &real("/bin/true")], "{execs:?}");
    assert!(execs.iter().all(|event| event.verdict == "allow"), "{execs:?}");
    // A script is run by its interpreter.
    assert_eq!((execs[1].exe.as_deref(), &execs[1].parents), (Some(bash.as_str()), &vec![sh.clone()]));
    assert_eq!(execs[2].args, ["/bin/true", "x", "y", "--token=***"]);
    assert_eq!(execs[2].parents, [bash, sh]);
}

fn programs_that_fail_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec");
    let text = planted(&jail, mode, "text");
    let script = "\
import os
for path in ['/nosuch/x', 'text', '/etc', '/nosuch/x']:
    try: os.execv(path, [path, 'argument'])
    except OSError as error: print(error.strerror)
";
    let outcome = jail.python(script);
    outcome.assert_success();
    let python = real("/usr/bin/python3");
    let text = text.display().to_string();
    for (path, detail, count) in
        [("/nosuch/x", "not found", 2), (&text, "refused", 1), ("/etc", "refused", 1)]
    {
        let failed: Vec<&Event> =
            outcome.of_kind("exec").into_iter().filter(|event| event.path.as_deref() == Some(path)).collect();
        assert!(failed.iter().all(|event| event.detail.as_deref() == Some(detail)), "{failed:?}");
        assert!(failed.iter().all(|event| event.exe.as_deref() == Some(&python)), "{failed:?}");
        assert_eq!(failed.iter().map(|event| event.count.unwrap_or(1)).sum::<u64>(), count, "{failed:?}");
    }
    // A command that is not there stays so.
    jail.run(["no-such-command"]).assert_code(127);
    jail.run(["/etc"]).assert_code(126);
}

fn thousands_of_programs_are_counted(mode: Mode) {
    const COUNT: u64 = 2000;
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec").within(Duration::from_secs(120));
    let loops =
        "for j in 1 2 3 4; do (i=0; while [ $i != 500 ]; do /bin/true; i=$((i + 1)); done) & done; wait";
    let outcome = jail.shell(loops);
    outcome.assert_success();
    assert_eq!(outcome.ran(&real("/bin/true")), COUNT, "{}", outcome.stderr);
    assert_eq!(outcome.of_kind("other").len(), 0, "{:?}", outcome.of_kind("other"));
}

fn repeats_are_counted(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-path").option("~/**");
    let script = "\
import os
for n in range(6000):
    os.close(os.open(f'f{n}', os.O_CREAT | os.O_WRONLY, 0o644))
for n in range(2000): open('f1').close()
";
    let outcome = jail.python(script);
    outcome.assert_success();
    let home = jail.home().display().to_string();
    outcome.assert_used(&format!("{home}/f1"), "read", 2000).assert_used(
        &format!("{home}/f5999"),
        "write",
        1,
    );
    let all: u64 = outcome.of_kind("file").iter().map(|event| event.count.unwrap_or(1)).sum();
    assert!(all >= 8000, "{all}");
    assert!(outcome.of_kind("file").len() < 7000, "{}", outcome.of_kind("file").len());
}

/// By links, other directories, descriptors, `/proc`, and every call that takes a path.
fn every_way_to_a_file_is_seen(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let jail = jail.option("--watch-path").option("token");
    let reading = "\
import os
home = os.getcwd()
os.mkdir('d'); os.symlink(home + '/token', 'd/link'); os.symlink('..', 'd/up')
open('token').close()
open('d/../token').close()
open('d/link').close()
open('d/up/token').close()
open(f'/proc/self/cwd/token').close()
open(f'/proc/{os.getpid()}/root{home}/token').close()
above = os.open('.', os.O_RDONLY)
os.close(os.open('token', os.O_RDONLY, dir_fd=above))
path = os.open('token', os.O_PATH)
open(f'/proc/self/fd/{path}').close()
open(f'/dev/fd/{path}').close()
os.chdir('/')
os.close(os.open('token', os.O_RDONLY, dir_fd=above))
try: os.open('token', os.O_RDONLY)
except FileNotFoundError: pass
";
    jail.python(reading).assert_success().assert_used(&token, "read", 11);
    let writing = "\
import os, ctypes
os.truncate('token', 5)
open('token', 'a').close()
open('token', 'r+').close()
os.link('token', 'hard'); os.unlink('hard')
os.rename('token', 'other'); os.rename('other', 'token')
os.unlink('token')
os.symlink('nowhere', 'token'); os.unlink('token')
open('token', 'w').close()
class How(ctypes.Structure): _fields_ = [(n, ctypes.c_uint64) for n in ('flags', 'mode', 'resolve')]
libc = ctypes.CDLL(None)
assert libc.syscall(437, -100, b'token', ctypes.byref(How(os.O_RDWR, 0, 0)), 24) >= 0
assert libc.creat(b'token', 0o600) >= 0
";
    let outcome = jail.python(writing);
    outcome.assert_success().assert_used(&token, "write", 6).assert_used(&token, "rename", 2);
    outcome.assert_used(&token, "link", 2).assert_used(&token, "remove", 2);
}

fn moved_directories_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let jail = jail.option("--watch-path").option("secrets/deep/token");
    let outcome =
        jail.shell("mkdir -p secrets/deep; echo x > secrets/deep/token; mv secrets s; cat s/deep/token");
    let directory = jail.home().join("secrets").display().to_string();
    outcome.assert_success().assert_stdout("x\n").assert_used(&directory, "rename", 1);
}

fn namespaces_of_the_jobs_own_hide_nothing(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let jail = jail.option("--watch-exec").option("--watch-path").option("token");
    let script = "mount --bind . /mnt && cat /mnt/token > /dev/null; cat token > /dev/null; /bin/true";
    let outcome = jail.run(["unshare", "-Urm", "sh", "-c", script]);
    outcome.assert_success().assert_used(&token, "read", 1);
    let home = jail.home().display().to_string();
    outcome.assert_used(&home, "mount", 1);
    assert_eq!(outcome.ran(&real("/bin/true")), 1);
}

fn threads_and_static_programs_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let jail = jail.option("--watch-exec").option("--watch-path").option("token");
    // A thread that is not the first reads, and another replaces the whole process.
    let script = "\
import os, threading
pid = os.getpid()
def read():
    assert threading.get_native_id() != pid
    open('token').close()
def run(): os.execv('/bin/true', ['true'])
thread = threading.Thread(target=read); thread.start(); thread.join()
print(pid, flush=True)
threading.Thread(target=run).start()
";
    let outcome = jail.python(script);
    outcome.assert_success().assert_used(&token, "read", 1);
    let pid: u32 = outcome.stdout.trim().parse().unwrap();
    assert_eq!(outcome.of_kind("file")[0].pid, Some(pid));
    assert_eq!(outcome.ran(&real("/bin/true")), 1, "{:?}", outcome.of_kind("exec"));
    // It opens no library, by which it would show.
    let program = jail.home().join("static");
    fs::write(&program, static_program()).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = jail.run([program.as_os_str()]);
    outcome.assert_code(7);
    assert_eq!(outcome.ran(&program.display().to_string()), 1, "{:?}", outcome.of_kind("exec"));
}

/// An executable of one page that exits with 7 (elf(5)).
fn static_program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    #[cfg(target_arch = "x86_64")]
    let (machine, code) = (62u16, [0xbf, 7, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 5]);
    #[cfg(target_arch = "aarch64")]
    let (machine, code) = (183u16, [0xe0, 0, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4]);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for offset in [BASE + HEADERS, 64, 0] {
        file.extend(offset.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let length = HEADERS + code.len() as u64;
    for number in [0, BASE, BASE, length, length, 0x1000] {
        file.extend(number.to_le_bytes());
    }
    file.extend(code);
    file
}

/// Memory that only its owner and the kernel can read: nothing is let pass in silence.
fn paths_hidden_from_the_sensor_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    planted(&jail, mode, "token");
    let jail = jail.option("--watch-exec").option("--watch-path").option("token");
    let script = "\
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
secret = libc.syscall(447, 0)
assert secret >= 0, os.strerror(ctypes.get_errno())
os.ftruncate(secret, 4096)
memory = mmap.mmap(secret, 4096)
place = ctypes.addressof(ctypes.c_char.from_buffer(memory))
memory[:6] = b'token\\0'
assert libc.open(ctypes.c_void_p(place), os.O_RDONLY) >= 0
memory[:10] = b'/bin/true\\0'
libc.execv(ctypes.c_void_p(place), (ctypes.c_void_p * 2)(place, None))
";
    let outcome = jail.python(script);
    outcome.assert_success();
    let missed = outcome.of_kind("other");
    assert_eq!((missed.len(), missed[0].count), (1, Some(1)), "{missed:?}");
    // What runs shows all the same.
    assert_eq!(outcome.ran(&real("/bin/true")), 1, "{:?}", outcome.of_kind("exec"));
}

/// To look up a path takes an answer of a program which makes calls itself that are looked at, and one that never
/// answers keeps none but its own callers waiting.
fn file_systems_of_the_jobs_own_stop_nothing() {
    let world = World::new();
    let jail =
        Jail::new(&world, Mode::Root).option("--watch-exec").option("--watch-path").option("/etc/passwd");
    let script = "\
import ctypes, os, struct, subprocess, threading
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fuse},rootmode=40000,user_id=0,group_id=0'.encode()
assert libc.mount(b'x', b'/mnt', b'fuse', 0, options) == 0, os.strerror(ctypes.get_errno())
def answer(unique, error, body=b''):
    os.write(fuse, struct.pack('<IiQ', 16 + len(body), -error, unique) + body)
def serve():
    while True:
        request = os.read(fuse, 1 << 17)
        length, code, unique = struct.unpack_from('<IIQ', request)
        if code == 26:
            answer(unique, 0, struct.pack('<IIIIHHIIHHI7I', 7, 31, 0, 0, 0, 0, 1 << 16, 0, 0, 0, 0, *[0] * 7))
        elif code == 1:
            open('/etc/passwd').close()
            if b'never' not in request: answer(unique, 2)
        elif code not in (2, 36): answer(unique, 38)
threading.Thread(target=serve, daemon=True).start()
for n in range(20):
    try: open(f'/mnt/x{n}')
    except FileNotFoundError: pass
waiting = [subprocess.Popen(['cat', f'/mnt/never{n}'], stderr=subprocess.DEVNULL) for n in range(40)]
for n in range(20): subprocess.run(['/bin/true'], check=True)
print('done', flush=True)
os._exit(0)
";
    let outcome =
        jail.within(Duration::from_secs(60)).run(["unshare", "-Urm", "/usr/bin/python3", "-c", script]);
    outcome.assert_success().assert_stdout("done\n");
    assert!(outcome.used("/etc/passwd", "read") >= 20, "{:?}", outcome.of_kind("file"));
    // What was not looked at is told.
    let seen = outcome.ran(&real("/bin/true"));
    assert!(seen == 20 || outcome.of_kind("other").iter().any(|event| event.count.is_some()), "{seen}");
}

fn names_are_escaped(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec").option("--watch-path").option("~/**");
    let script = "\
import os, shutil
name = b'a\\n\\x1b[2J\\xff|`'
shutil.copy(b'/bin/true', name)
os.execv(name, [b'x\\ncijail-net: allow'])
";
    let log = jail.python(script);
    log.assert_success();
    let path = format!("{}/a\\n\\u{{1b}}[2J\\u{{fffd}}|`", jail.home().display());
    assert_eq!(log.ran(&path), 1, "{:?}", log.of_kind("exec"));
    let outcome = jail.without_log_file().python(script);
    outcome.assert_says(&format!("allow exec {path} "));
    assert!(!outcome.stderr.contains('\u{1b}'), "{outcome}");
    assert!(outcome.stderr.lines().all(|line| line.starts_with("cijail-net: ")), "{outcome}");
}

fn policies_and_reports_have_it(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let (json, markdown) = (jail.home().join("report.json"), jail.home().join("report.md"));
    let jail = jail
        .policy("[watch]\nexec = true\npaths = [\"~/token\"]\n")
        .option("--report=text")
        .option(format!("--report=json={}", json.display()))
        .option(format!("--report=markdown={}", markdown.display()));
    let outcome = jail.shell("cat token token > /dev/null; ./token; exit 0");
    outcome.assert_success().assert_says("0 destinations, 0 blocked");
    outcome
        .assert_says("programs that ran")
        .assert_says(&format!("2  read    {token}  by {}", real("/bin/cat")));
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let programs = report["executed"].as_array().unwrap();
    let row = |path: &str| programs.iter().find(|row| row["path"] == path).unwrap();
    assert_eq!((&row(&real("/bin/cat"))["ran"], &row(&token)["failed"]), (&1.into(), &1.into()));
    let file = &report["files"][0];
    assert_eq!(
        (&file["path"], &file["access"], &file["count"]),
        (&token.as_str().into(), &"read".into(), &2.into())
    );
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("#### Programs that ran"), "{markdown}");
    assert!(markdown.contains(&format!("| `{token}` | read | `{}` | 2 |", real("/bin/cat"))), "{markdown}");
}

fn refusals_and_privileges_stay(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec").option("--watch-path").option("/**");
    let script = "\
import ctypes, errno, os, socket, subprocess
libc = ctypes.CDLL(None, use_errno=True)
def refused(number, expected, *arguments):
    assert libc.syscall(number, *arguments) == -1 and ctypes.get_errno() == expected, number
refused(425, errno.ENOSYS, 1, None)
refused(321, errno.EPERM, 0, None, 0)
refused(304, errno.EPERM, -100, None, 0)
try: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
except OSError: pass
else: raise SystemExit('vsock')
subprocess.run(['setpriv', '--no-new-privs', 'true'], check=True)
print(subprocess.run(['curl', '-s', 'http://evil.test/']).returncode != 0)
";
    jail.python(script).assert_success().assert_stdout("True\n").assert_denied(
        "dns",
        "evil.test",
        "not-allowed",
    );
    if mode == Mode::Root {
        let program = world.files().shared().join("whoami");
        fs::copy("/usr/bin/id", &program).unwrap();
        fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
        let command = [program.as_os_str(), "-u".as_ref()];
        let outcome = jail.option("--user").option("nobody").run(command);
        let plain = Jail::new(&world, mode).option("--user").option("nobody").run(command);
        outcome.assert_success().assert_stdout(&plain.stdout);
        assert_eq!(outcome.ran(&program.display().to_string()), 1, "{:?}", outcome.of_kind("exec"));
    }
}

fn sensor_is_out_of_reach(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec").option("--watch-path").option("~/token");
    let script = "\
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for thread in [int(t) for t in os.listdir('/proc/1/task')]:
    for number in range(1, 65):
        if number == 32 or number == 33: continue
        libc.syscall(234, 1, thread, number)
    if libc.ptrace(0x4206, thread, None, None) == 0: print('seized', thread)
try: print(os.listdir('/proc/1/fd'))
except OSError: pass
for n in range(3, 100):
    try: print('own', n, os.readlink(f'/proc/self/fd/{n}'))
    except OSError: pass
# One listener there is, and it is not the job's to have.
libc.prctl(38, 1, 0, 0, 0)
allow = (ctypes.c_uint64 * 1)(0x7fff000000000006)
class Program(ctypes.Structure): _fields_ = [('length', ctypes.c_ushort), ('filter', ctypes.c_void_p)]
program = Program(1, ctypes.addressof(allow))
assert libc.syscall(317, 1, 8, ctypes.byref(program)) == -1 and ctypes.get_errno() == 16
assert libc.syscall(317, 1, 0, ctypes.byref(program)) == 0
open('token', 'w').close()
os.execv('/bin/true', ['true'])
";
    let outcome = jail.python(script);
    outcome.assert_success().assert_stdout("");
    assert_eq!(outcome.ran(&real("/bin/true")), 1);
    outcome.assert_used(&jail.home().join("token").display().to_string(), "write", 1);
    let script = "for t in /proc/1/task/*; do grep CapEff $t/status; done | cut -f2 | sort | uniq -c";
    let outcome = jail.shell(script);
    // Init may signal, its threads may look.
    assert_eq!(outcome.stdout.lines().count(), 2, "{outcome}");
    assert!(outcome.stdout.contains("1 0000000000000020"), "{outcome}");
    assert!(outcome.stdout.contains(" 0000000000080004"), "{outcome}");
}

fn end_of_the_sensor_ends_the_job(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec").option("--watch-path").option("/**");
    let running =
        jail.start(["sh", "-c", "echo ready; while :; do /bin/true; cat /etc/passwd > /dev/null; done"]);
    running.wait_for("ready");
    let gateway = running.pid();
    let children = fs::read_to_string(format!("/proc/{gateway}/task/{gateway}/children")).unwrap();
    let init: i32 = children.split_whitespace().next().unwrap().parse().unwrap();
    kill(Pid::from_raw(init), Signal::SIGKILL).unwrap();
    running.finish().assert_code(125).assert_says("ended from outside");
}

fn bad_patterns_start_nothing(mode: Mode) {
    let world = World::new();
    for (pattern, says) in [
        ("../x", "without `..`"),
        ("/a/", "write `/**`"),
        ("[", "`[` without `]`"),
        ("", "at least one name"),
    ] {
        let outcome = Jail::new(&world, mode).option("--watch-path").option(pattern).run(["echo", "ran"]);
        outcome.assert_code(125).assert_says(says).assert_stdout("");
    }
    let outcome = Jail::new(&world, mode).policy("[watch]\npaths = [\"a**\"]\n").run(["echo", "ran"]);
    outcome.assert_code(125).assert_says(":2:10").assert_stdout("");
    let outcome = Jail::new(&world, mode).env("HOME", "").option("--watch-path=~/x").run(["echo", "ran"]);
    outcome.assert_code(125).assert_says("HOME").assert_stdout("");
}

fn nothing_is_looked_at_unless_asked_for(mode: Mode) {
    let world = World::new();
    let outcome =
        Jail::new(&world, mode).shell("ls /proc/1/task | wc -l; grep Seccomp_filters /proc/self/status");
    outcome.assert_success();
    assert!(outcome.stdout.starts_with("2\n"), "{outcome}");
    assert!(outcome.events.is_empty(), "{:?}", outcome.events);
}

fn second_sensor_is_refused(mode: Mode) {
    let world = World::new();
    let inner = crate::jail::quoted_binary();
    let jail = Jail::new(&world, mode).option("--watch-exec");
    let outcome = jail.run([inner.as_str(), "run", "--watch-exec", "--", "echo", "ran"]);
    outcome.assert_code(125).assert_stdout("");
    // In a jail of root no other can be made at all.
    if mode == Mode::Rootless {
        outcome.assert_says("looks at its system calls already");
        jail.run([inner.as_str(), "run", "--", "echo", "ran"]).assert_success().assert_stdout("ran\n");
    }
}

//! Jobs that would hide from the sensor, or get at it.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{planted, real};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        paths_hidden_from_the_sensor_are_told,
        roots_of_the_jobs_own_hide_nothing,
        directories_too_deep_to_name_are_told,
        process_tables_of_the_jobs_own_hide_nothing,
        programs_of_many_threads_are_told,
        programs_at_the_same_place_are_told,
        programs_keep_their_names,
        nothing_happens_untold_at_the_end,
        refusals_and_privileges_stay,
        sensor_is_out_of_reach,
        end_of_the_sensor_ends_the_job,
        second_sensor_is_refused,
    );
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
import ctypes, os, resource
libc = ctypes.CDLL(None, use_errno=True)
for thread in [int(t) for t in os.listdir('/proc/1/task')]:
    for number in range(1, 65):
        if number == 32 or number == 33: continue
        libc.syscall(234, 1, thread, number)
    if libc.ptrace(0x4206, thread, None, None) == 0: print('seized', thread)
    for limit in range(16):
        try: print('limits', thread, limit, resource.prlimit(thread, limit, (4, 4096)))
        except PermissionError: pass
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

/// A directory that a call takes for the root, and one that was opened before the root was changed.
fn roots_of_the_jobs_own_hide_nothing(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let jail = jail.option("--watch-path").option("token");
    let script = "\
import ctypes, os
libc = ctypes.CDLL(None)
class How(ctypes.Structure): _fields_ = [(n, ctypes.c_uint64) for n in ('flags', 'mode', 'resolve')]
home = os.open('.', os.O_RDONLY)
os.symlink('/token', 'link')
for path in [b'/token', b'../../token', b'link']:
    assert libc.syscall(437, home, path, ctypes.byref(How(os.O_RDONLY, 0, 0x10)), 24) >= 0
name = os.path.basename(os.getcwd())
os.mkdir('empty')
os.chroot('empty')
open('token').close()
os.close(os.open('token', os.O_RDONLY, dir_fd=home))
os.close(os.open(f'../{name}/token', os.O_RDONLY, dir_fd=home))
try: open('/token')
except FileNotFoundError: pass
";
    let outcome = jail.run(["unshare", "-Ur", "/usr/bin/python3", "-c", script]);
    outcome.assert_success().assert_used(&token, "read", 6);
}

/// The kernel has no text for such a directory, so nobody can say what is beneath it.
fn directories_too_deep_to_name_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    planted(&jail, mode, "token");
    let jail = jail.option("--watch-path").option("token");
    let script = "\
import os
token = os.getcwd() + '/token'
for n in range(25):
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
os.symlink(token, 'link')
open('link').close()
";
    let outcome = jail.python(script);
    outcome.assert_success();
    let missed: u64 = outcome.of_kind("other").iter().filter_map(|event| event.count).sum();
    // Making the link and opening it.
    assert_eq!(missed, 2, "{:?}", outcome.events);
}

/// Where processes have other numbers, and where `/proc` is in another place.
fn process_tables_of_the_jobs_own_hide_nothing(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let jail = jail.option("--watch-path").option("token");
    let script = "mkdir other && mount --rbind /proc other && \
        cat other/self/cwd/token other/thread-self/cwd/token other/thread-self/root$PWD/token >/dev/null";
    let outcome = jail.clone().run(["unshare", "-Urm", "sh", "-c", script]);
    outcome.assert_success().assert_used(&token, "read", 3);
    // The kernel gives out no new /proc where a part of the old one is covered, as it is for root.
    if mode == Mode::Rootless {
        let outcome = jail.run(["unshare", "-Urpf", "--mount-proc", "cat", "/proc/self/cwd/token"]);
        outcome.assert_success().assert_used(&token, "read", 1);
    }
}

/// One thread executes while another asks for what is not there, over and over.
fn programs_of_many_threads_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec");
    let script = "\
import ctypes, os, threading
libc = ctypes.CDLL(None)
none = (ctypes.c_char_p * 1)(None)
started = threading.Event()
def run():
    started.wait()
    os.execv('/bin/true', ['true'])
threading.Thread(target=run).start()
for n in range(1 << 30):
    libc.execve(b'/nosuch/x', none, none)
    if n == 20: started.set()
";
    for _ in 0..5 {
        let outcome = jail.python(script);
        outcome.assert_success();
        assert_eq!(outcome.ran(&real("/bin/true")), 1, "{:?}", outcome.of_kind("exec"));
        assert_eq!(outcome.ran("/nosuch/x"), 0, "{:?}", outcome.of_kind("exec"));
    }
}

/// Without random addresses a program's stack begins where that of the one before did, if both have names and
/// arguments of the same length.
fn programs_at_the_same_place_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec");
    let shells = ["shell-1", "shell-2"].map(|name| jail.home().join(name));
    for shell in &shells {
        fs::copy("/bin/sh", shell).unwrap();
    }
    let [first, second] = shells.map(|shell| shell.display().to_string());
    // From the second file to itself as well.
    let step = |from, to| {
        format!("{from}) exec {} -c \"$1\" {to} \"$1\";;", if from == 3 { &first } else { &second })
    };
    let script = format!("case $0 in {} {} {} esac", step(3, 2), step(2, 1), step(1, 0));
    let outcome = jail.run(["setarch", "-R", "sh", "-c", &script, "3", &script]);
    outcome.assert_success();
    assert_eq!((outcome.ran(&first), outcome.ran(&second)), (1, 2), "{:?}", outcome.of_kind("exec"));
}

/// Who is root in a namespace of its own may set what `/proc/PID/exe` says, where nobody forbids it.
fn programs_keep_their_names(mode: Mode) {
    let world = World::new();
    let script = "\
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
size = ctypes.c_uint()
# PR_SET_MM, PR_SET_MM_MAP_SIZE: the one that anybody may ask.
print(libc.prctl(35, 15, ctypes.byref(size), 0, 0), os.strerror(ctypes.get_errno()))
";
    let outcome = Jail::new(&world, mode).run(["unshare", "-Ur", "/usr/bin/python3", "-c", script]);
    outcome.assert_success().assert_stdout("-1 Operation not permitted\n");
}

/// Whatever a process could do with a file before the job was ended has been told.
fn nothing_happens_untold_at_the_end(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-path").option("~/**");
    let script = "\
import os, time
for child in range(8):
    if os.fork() == 0:
        for n in range(1 << 30):
            os.close(os.open(f'f{child}-{n}', os.O_CREAT | os.O_WRONLY, 0o644))
            os.write(1, f'{child}-{n} '.encode())
time.sleep(0.1)
os._exit(0)
";
    for _ in 0..5 {
        let outcome = jail.python(script);
        outcome.assert_success();
        let told: BTreeSet<String> =
            outcome.of_kind("file").iter().filter_map(|event| event.path.clone()).collect();
        let home = jail.home().display().to_string();
        let untold: Vec<&str> = outcome
            .stdout
            .split_whitespace()
            .filter(|name| !told.contains(&format!("{home}/f{name}")))
            .collect();
        assert!(!told.is_empty() && untold.is_empty(), "{untold:?}");
        for path in told {
            // It may be made only after it was told, and then not at all.
            let _ = fs::remove_file(path);
        }
    }
}

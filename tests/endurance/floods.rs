//! Jobs that send more than anybody can read.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(suite, flood_keeps_nobody_waiting, questions_over_tcp_keep_nobody_waiting);
}

/// No allowed connection waits long while another process of the job runs `flood` until `end`.
#[track_caller]
fn assert_soon(mode: Mode, flood: &str) {
    let world = World::new();
    world.tcp_echo("good.test", 7007, b"");
    let script = format!(
        "\
import os, select, socket, struct, time
end = time.monotonic() + 4
if not os.fork():
{flood}
    os._exit(0)
time.sleep(0.2)
longest = 0
while time.monotonic() < end:
    before = time.monotonic()
    s = socket.create_connection(('good.test', 7007), 9)
    s.send(b'\\1' * 100)
    s.recv(100)
    longest = max(longest, time.monotonic() - before)
print('soon' if longest < 1.5 else longest)
"
    );
    let outcome = Jail::new(&world, mode).allow("good.test:7007").python(&script);
    outcome.assert_success().assert_stdout("soon\n");
}

/// A job that sends as fast as it can keeps none of its own connections waiting.
fn flood_keeps_nobody_waiting(mode: Mode) {
    let flood = "    \
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while time.monotonic() < end:
        try: s.sendto(b'x', ('198.51.100.66', 9))
        except OSError: pass";
    assert_soon(mode, flood);
}

/// Nor does one that asks on many connections, each full of questions.
fn questions_over_tcp_keep_nobody_waiting(mode: Mode) {
    let flood = "    \
    name = b'\\x06secret\\x04evil\\x04test\\0'
    question = struct.pack('>6H', 1, 256, 1, 0, 0, 0) + name + struct.pack('>2H', 1, 1)
    many = (struct.pack('>H', len(question)) + question) * 500
    server = next(l.split()[1] for l in open('/etc/resolv.conf') if l.startswith('nameserver'))
    streams, poll = {}, select.epoll()
    for _ in range(300):
        s = socket.create_connection((server, 53))
        s.setblocking(False)
        streams[s.fileno()] = s
        poll.register(s, select.EPOLLIN | select.EPOLLOUT)
    while time.monotonic() < end:
        for number, ready in poll.poll(1):
            try:
                if ready & select.EPOLLIN: streams[number].recv(65536)
                if ready & select.EPOLLOUT: streams[number].send(many)
            except BlockingIOError: pass";
    assert_soon(mode, flood);
}

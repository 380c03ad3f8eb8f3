//! Jobs that send more than anybody can read.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(suite, flood_keeps_nobody_waiting);
}

/// A job that sends as fast as it can keeps none of its own connections waiting.
fn flood_keeps_nobody_waiting(mode: Mode) {
    let world = World::new();
    world.tcp_echo("good.test", 7007, b"");
    let script = "\
import os, socket, time
end = time.monotonic() + 3
if not os.fork():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    while time.monotonic() < end:
        try: s.sendto(b'x', ('198.51.100.66', 9))
        except OSError: pass
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
";
    let outcome = Jail::new(&world, mode).allow("good.test:7007").python(script);
    outcome.assert_success().assert_stdout("soon\n");
}

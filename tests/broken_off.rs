//! Hosts that break off: what is missing is not taken for the end.

use std::time::Duration;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Fault, World};

const CONNECTIONS: usize = 20;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, cut_download_has_no_orderly_end, counted_body_ends_as_it_did);
}

/// A host resets while the job sends and reads nothing: the job must not take what it gets for all there is.
fn cut_download_has_no_orderly_end(mode: Mode) {
    let world = World::new();
    world.faulty("good.test", 7007, Fault::Floods(Duration::from_millis(500)));
    // A call that sends after the reset would be told of it, and no other afterwards.
    let script = format!(
        "import socket, threading, time\n\
         def load():\n\
         \x20   s = socket.create_connection(('good.test', 7007), 9)\n\
         \x20   s.setblocking(False)\n\
         \x20   try:\n\
         \x20       while True: s.send(b'\\1' * 100000)\n\
         \x20   except BlockingIOError: pass\n\
         \x20   time.sleep(3)\n\
         \x20   s.settimeout(9)\n\
         \x20   try:\n\
         \x20       while s.recv(1 << 20): pass\n\
         \x20       print('an orderly end')\n\
         \x20   except ConnectionResetError: print('reset')\n\
         loads = [threading.Thread(target=load) for _ in range({CONNECTIONS})]\n\
         for load in loads: load.start()\n\
         for load in loads: load.join()\n"
    );
    let outcome = Jail::new(&world, mode).allow("good.test:7007").python(&script);
    outcome.assert_success().assert_stdout(&"reset\n".repeat(CONNECTIONS));
}

/// Whoever counts what he gets is told of the end as without us, after what there was.
fn counted_body_ends_as_it_did(mode: Mode) {
    let world = World::new();
    world.faulty("good.test", 80, Fault::AnswersInPart);
    let script = "\
import http.client
c = http.client.HTTPConnection('good.test', timeout=9)
for _ in range(20):
    c.request('GET', '/')
    try: print(c.getresponse().read())
    except http.client.IncompleteRead as e: print(e.partial)
    c.close()
";
    for jail in [Jail::direct(&world, mode), Jail::new(&world, mode).allow("good.test")] {
        jail.python(script).assert_success().assert_stdout(&"b'part.'\n".repeat(20));
    }
}

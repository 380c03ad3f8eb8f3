//! Servers that stall, break off or never end. Those that refuse are in `opaque`.

use std::time::Duration;

use super::{resident, scaled};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::wait::poll_for;
use crate::world::{Fault, World};

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, stalled, broken_off, never_ending);
}

/// What the server does not take, the job keeps: the gateway does not grow, and others are served.
fn stalled(mode: Mode) {
    let world = World::new();
    world.faulty("stall.test", 7007, Fault::Stalls);
    world.site("good.test");
    let script = format!(
        "import socket\n\
         sent, all = 0, [socket.create_connection(('stall.test', 7007), 5) for _ in range({})]\n\
         for s in all:\n\
         \x20   s.settimeout(0.02)\n\
         \x20   try:\n\
         \x20       while True: sent += s.send(bytes(1 << 16))\n\
         \x20   except TimeoutError: pass\n\
         print('full', flush=True); input()\n",
        scaled(100, 1000)
    );
    let jail = Jail::new(&world, mode).allow("stall.test:7007").allow("good.test");
    let mut running = jail.within(Duration::from_secs(120)).start([
        "bash",
        "-c",
        "/usr/bin/python3 -c \"$0\"; curl -sS http://good.test/",
        &script,
    ]);
    running.wait_for("full");
    let size = resident(running.pid());
    eprintln!("stalled uploads: {size} KiB resident");
    assert!(size < 100 * 1024, "{size} KiB");
    running.type_in(b"\n");
    running.finish().assert_success().assert_says("hello from good.test");
}

fn broken_off(mode: Mode) {
    let world = World::new();
    world.faulty("reset.test", 7007, Fault::Resets(5000));
    world.faulty("reset.test", 80, Fault::Resets(0));
    let outcome = Jail::new(&world, mode).allow("reset.test:7007").allow("reset.test").python(
        "import socket, urllib.request, urllib.error\n\
         s = socket.create_connection(('reset.test', 7007), 5)\n\
         s.sendall(b'x')\n\
         got = 0\n\
         try:\n\
         \x20   while part := s.recv(9999): got += len(part)\n\
         \x20   print('ended', got)\n\
         except ConnectionResetError: print('reset')\n\
         try: urllib.request.urlopen('http://reset.test/')\n\
         except OSError as error: print(error)\n",
    );
    outcome.assert_success().assert_stdout("reset\nHTTP Error 502: Bad Gateway\n");
    outcome.assert_event("allow", "http", "reset.test", Some("upstream-failed"));
    world.assert_nothing_left();
}

/// The job takes a little of each and stops; the gateway holds a bounded part of what goes on coming.
fn never_ending(mode: Mode) {
    let world = World::new();
    world.faulty("flood.test", 7007, Fault::NeverEnds);
    let script = format!(
        "import socket\n\
         all = [socket.create_connection(('flood.test', 7007), 5) for _ in range({})]\n\
         for s in all: s.sendall(b'\\0'); s.recv(1000)\n\
         print('open', flush=True); input()\n\
         for s in all: assert s.recv(1 << 20)\n",
        scaled(50, 500)
    );
    let jail = Jail::new(&world, mode).allow("flood.test:7007").within(Duration::from_secs(60));
    let mut running = jail.start(["/usr/bin/python3", "-c", &script]);
    running.wait_for("open");
    let mut sizes = Vec::new();
    poll_for(Duration::from_secs(2), || {
        sizes.push(resident(running.pid()));
        None::<()>
    });
    let most = sizes.into_iter().max().unwrap();
    eprintln!("floods that nobody takes: {most} KiB resident");
    assert!(most < 200 * 1024, "{most} KiB");
    running.type_in(b"\n");
    // What still comes does not delay the end.
    running.finish().assert_success().assert_faster_than(Duration::from_secs(30));
    world.assert_nothing_left();
}

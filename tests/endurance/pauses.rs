//! A machine that is suspended and resumed.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use super::scaled;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, everything_stops_for_a_while);
}

/// Transfers and streams go on where they were, and new names and connections work.
fn everything_stops_for_a_while(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    world.site("later.test");
    world.tcp_echo("echo.test", 7007, b"");
    let script = "\
exec 3<>/dev/tcp/echo.test/7007
echo before >&3; read -r line <&3; echo $line
curl -sS --limit-rate 3M http://good.test/bytes/6000000 | wc -c >counted &
echo ready
wait
cat counted
echo after >&3; read -r line <&3; echo $line
curl -sS https://later.test/
";
    let jail = Jail::new(&world, mode).allow("good.test").allow("later.test").allow("echo.test:7007");
    let running = jail.start(["bash", "-c", script]);
    running.wait_for("ready");
    crate::wait::poll_for(Duration::from_secs(5), || (site.connections() > 0).then_some(()));
    // The gateway first: it would stop and resume a job that stops by itself.
    let mut all = world.processes();
    all.sort_by_key(|pid| *pid != running.pid());
    for pid in &all {
        let _ = kill(*pid, Signal::SIGSTOP);
    }
    sleep(scaled(Duration::from_secs(2), Duration::from_secs(30)));
    for pid in all.iter().rev() {
        let _ = kill(*pid, Signal::SIGCONT);
    }
    let outcome = running.finish();
    outcome.assert_success().assert_stdout("before\nready\n6000000\nafter\nhello from later.test\n");
    world.assert_nothing_left();
}

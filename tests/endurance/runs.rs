//! Run after run.

use std::time::Duration;

use nix::unistd::Pid;

use super::{descriptors, scaled};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, runs_in_sequence);
}

/// What two thousand runs leave behind is what one leaves behind: nothing. (Two hundred at once: see `leaks`.)
fn runs_in_sequence(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let (count, limit) = scaled((60, 60), (2000, 600));
    let script = format!(
        "import os, subprocess, sys\n\
         for n in range({count}):\n\
         \x20   made = subprocess.run(sys.argv[1:], capture_output=True)\n\
         \x20   assert made.returncode == 0 and made.stdout == b'hello from good.test\\n', made\n\
         \x20   assert len(os.listdir('/proc/self/fd')) < 8\n\
         print('done')\n"
    );
    let binary = crate::enter::binary();
    let run = [binary.to_str().unwrap(), "run", "--quiet", "--allow", "good.test", "--"];
    let job = ["curl", "-sS", "-4", "http://good.test/"];
    let command = [&["/usr/bin/python3", "-c", &script], &run[..], &job].concat();
    let ours = descriptors(Pid::this());
    let direct = Jail::direct(&world, mode).within(Duration::from_secs(limit));
    direct.run(command).assert_success().assert_stdout("done\n");
    assert_eq!(site.requests().len(), count);
    world.assert_nothing_left();
    eprintln!("{count} runs; descriptors of the test before and after: {ours}, {}", descriptors(Pid::this()));
}

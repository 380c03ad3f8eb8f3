//! `--user`: a job of root's that runs as somebody else.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::enter;
use crate::jail::Jail;
use crate::private_user::UID;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const AT_ONCE: Duration = Duration::from_secs(2);

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        becomes_the_user,
        environment_is_the_users,
        files_are_the_users,
        statuses_and_signals_are_passed_on,
        network_is_the_jails,
        unknown_user,
    );
}

/// The jail with `--user`, or `None` where only root could: there it is refused, and nothing is run.
fn as_user<'w>(world: &'w World, mode: Mode, user: &str) -> Option<Jail<'w>> {
    let directory = world.files().home(Mode::Rootless);
    let jail = Jail::new(world, mode).directory(directory).option("--user").option(user);
    if mode == Mode::Root && enter::as_real_root() {
        return Some(jail);
    }
    let shared = world.files().shared().join("started");
    let outcome = jail.run(["touch", shared.to_str().unwrap()]);
    // Root of a user namespace learns only when it tries that there is no other user.
    let why = if mode == Mode::Root { "becoming the job's user" } else { "--user needs root" };
    outcome.assert_code(125).assert_says(why).assert_faster_than(AT_ONCE);
    assert!(!shared.exists(), "{outcome}");
    world.assert_nothing_left();
    None
}

fn becomes_the_user(mode: Mode) {
    let world = World::new();
    for user in ["runner", &UID.to_string()] {
        let Some(jail) = as_user(&world, mode, user) else { return };
        let outcome = jail.shell("id -u; id -g; id -G; grep -E '^Cap(Prm|Eff)' /proc/self/status | cut -f2");
        let powerless = "0".repeat(16);
        outcome.assert_success().assert_stdout(&format!(
            "{UID}\n{UID}\n{UID} {}\n{powerless}\n{powerless}\n",
            world.files().second_group()
        ));
        // Nor does anything of root's come along.
        jail.shell("cat /etc/shadow /proc/1/environ /root/*").assert_failure();
        jail.python("import os\nos.setuid(0)").assert_failure().assert_says("PermissionError");
    }
}

fn environment_is_the_users(mode: Mode) {
    let world = World::new();
    let Some(jail) = as_user(&world, mode, "runner") else { return };
    let jail = jail
        .env("HOME", "/root")
        .env("SHELL", "/bin/false")
        .env("XDG_RUNTIME_DIR", "/run/user/0")
        .env("KEPT", "as it was");
    let outcome = jail.shell("echo $HOME $USER $LOGNAME $SHELL; echo $KEPT ${XDG_RUNTIME_DIR-none}");
    let home = world.files().home(Mode::Rootless);
    let expected = format!("{} runner runner /bin/bash\nas it was none\n", home.display());
    outcome.assert_success().assert_stdout(&expected);
}

fn files_are_the_users(mode: Mode) {
    let world = World::new();
    let Some(jail) = as_user(&world, mode, "runner") else { return };
    jail.shell("mkdir made && echo >made/file").assert_success();
    let home = world.files().home(Mode::Rootless);
    for path in ["made", "made/file"] {
        let metadata = home.join(path).metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (UID, UID), "{path}");
    }
    let roots = world.files().home(Mode::Root).join("file");
    jail.run(["touch", roots.to_str().unwrap()]).assert_failure();
}

fn statuses_and_signals_are_passed_on(mode: Mode) {
    let world = World::new();
    let Some(jail) = as_user(&world, mode, "runner") else { return };
    for code in [0, 3, 125] {
        jail.shell(&format!("exit {code}")).assert_code(code);
    }
    jail.shell("kill -9 $$").assert_code(128 + 9);
    jail.run(["no-such-command"]).assert_code(127);
    jail.run(["/etc/passwd"]).assert_code(126);
    let running = jail.start(["sh", "-c", "echo ready; exec sleep 1000"]);
    running.wait_for("ready");
    running.signal(Signal::SIGTERM);
    running.finish().assert_code(128 + Signal::SIGTERM as i32);
    world.assert_nothing_left();
}

fn network_is_the_jails(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let Some(jail) = as_user(&world, mode, "runner") else { return };
    let jail = jail.allow("good.test");
    jail.run(["curl", "-sS", "https://good.test/"]).assert_success().assert_stdout("hello from good.test\n");
    jail.run(["curl", "-sS", "https://evil.test/"]).assert_code(6);
    world.assert_attacker_saw_nothing();
}

fn unknown_user(mode: Mode) {
    let world = World::new();
    for user in ["no-such-user", "4294967294", ""] {
        let outcome = Jail::new(&world, mode).option("--user").option(user).run(["touch", "started"]);
        outcome.assert_code(125).assert_says("there is no user").assert_says(user);
        assert!(!world.files().home(mode).join("started").exists());
    }
}

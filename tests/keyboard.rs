//! Ctrl-C in a shell's loop ends the loop, as it would without a jail.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::enter;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

/// A loop that went on would run its next command for much longer.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        loop_of_commands,
        loop_with_output_elsewhere,
        loop_of_pipelines,
        loop_of_substitutions,
        loop_in_a_prompt,
        command_that_handles_it,
        end_in_the_background,
    );
}

/// Says when it runs. What it says is not in its text, which a shell may show.
const JOB: &str = "sh -c 'echo sta\"\"rt >/dev/tty; exec sleep 1000'";

fn interrupted(world: &World, mode: Mode, shell: &str, script: &str) -> ExitStatus {
    let jail = Jail::direct(world, mode).within(LIMIT);
    let mut terminal = jail.terminal([shell, "-c", script]);
    terminal.wait_for("start");
    terminal.type_in("\u{3}");
    let status = terminal.finish();
    world.assert_nothing_left();
    status
}

/// The loop around the command ends, without a jail and with one; `{}` is the command.
#[track_caller]
fn assert_ends(mode: Mode, body: &str) {
    let world = World::new();
    let jailed = format!("{} run --quiet -- {JOB}", enter::binary().display());
    for shell in ["bash", "sh"] {
        for command in [JOB, &jailed] {
            let script = format!("while :; do {}; done", body.replace("{}", command));
            let status = interrupted(&world, mode, shell, &script);
            let ended = status.signal().or(status.code().map(|code| code - 128));
            assert_eq!(ended, Some(Signal::SIGINT as i32), "{shell} {script}: {status}");
        }
    }
}

fn loop_of_commands(mode: Mode) {
    assert_ends(mode, "{}");
}

/// The job does not get the terminal; the shell's group has it.
fn loop_with_output_elsewhere(mode: Mode) {
    assert_ends(mode, "{} >/dev/null");
}

fn loop_of_pipelines(mode: Mode) {
    assert_ends(mode, "{} | cat");
}

fn loop_of_substitutions(mode: Mode) {
    assert_ends(mode, "all=$({})");
}

fn loop_in_a_prompt(mode: Mode) {
    let world = World::new();
    let jailed = format!("{} run --quiet -- {JOB}", enter::binary().display());
    for command in [JOB, &jailed] {
        let mut terminal = Jail::direct(&world, mode).within(LIMIT).terminal(["bash", "--norc", "-i"]);
        terminal.type_in("PS1='jail''> '\n");
        terminal.wait_for("jail> ");
        for body in [command.to_owned(), format!("{command} >/dev/null")] {
            terminal.type_in(&format!("while :; do {body}; done\n"));
            terminal.wait_for("start");
            terminal.type_in("\u{3}");
            terminal.wait_for("jail> ");
            terminal.type_in("echo code-$?\n");
            terminal.wait_for("code-130");
            terminal.wait_for("jail> ");
        }
        terminal.type_in("exit 9\n");
        assert_eq!(terminal.finish().code(), Some(9));
    }
    world.assert_nothing_left();
}

/// A command that makes of it what it likes: the shell goes on after it.
fn command_that_handles_it(mode: Mode) {
    let world = World::new();
    let script = world.files().shared().join("handler.py");
    fs::write(&script, HANDLER).unwrap();
    let job = format!("/usr/bin/python3 {}", script.display());
    let jailed = format!("{} run --quiet -- {job}", enter::binary().display());
    for command in [&job, &jailed] {
        for redirect in ["", ">/dev/null"] {
            let status =
                interrupted(&world, mode, "bash", &format!("{command} {redirect}; exit $((10 + $?))"));
            assert_eq!(status.code(), Some(14), "{command} {redirect}: {status}");
        }
    }
}

/// What ends in the background leaves the terminal to the shell.
fn end_in_the_background(mode: Mode) {
    let world = World::new();
    let mut terminal = Jail::direct(&world, mode).within(LIMIT).terminal(["bash", "--norc", "-i"]);
    terminal.type_in("PS1='jail''> '\n");
    terminal.wait_for("jail> ");
    let job = "sh -c 'echo sta\"\"rt >/dev/tty; exec sleep 2'";
    terminal.type_in(&format!("{} run --quiet -- {job}\n", enter::binary().display()));
    terminal.wait_for("start");
    terminal.type_in("\u{1a}");
    terminal.wait_for("Stopped");
    terminal.wait_for("jail> ");
    terminal.type_in("bg\n");
    terminal.wait_for("jail> ");
    // The shell reads meanwhile.
    std::thread::sleep(Duration::from_secs(3));
    terminal.type_in("echo ended-$((1+1))\n");
    terminal.wait_for("ended-2");
    terminal.wait_for("jail> ");
    terminal.type_in("exit 9\n");
    assert_eq!(terminal.finish().code(), Some(9));
    world.assert_nothing_left();
}

const HANDLER: &str = "\
import sys, time
terminal = open('/dev/tty', 'w')
try:
    print('start', file=terminal, flush=True)
    # A signal between two sleeps is seen after the second.
    while True: time.sleep(0.1)
except KeyboardInterrupt: sys.exit(4)
";

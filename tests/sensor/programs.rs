//! Which programs ran.

use std::fs;
use std::time::Duration;

use super::{planted, real};
use crate::jail::Jail;
use crate::outcome::Event;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        programs_are_told_with_their_ancestors,
        programs_that_fail_are_told,
        thousands_of_programs_are_counted,
        threads_and_static_programs_are_told,
    );
}

fn programs_are_told_with_their_ancestors(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec");
    let hook = jail.home().join("hook.sh");
    fs::write(&hook, "#!/bin/bash\n/bin/true x y --token=abcdefgh\n:\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = jail.run(["sh", "-c", "./hook.sh; sh -c 'exec true'; true"]);
    outcome.assert_success();
    let (sh, bash, script) = (real("/bin/sh"), real("/bin/bash"), hook.display().to_string());
    let execs = outcome.of_kind("exec");
    let (execs, failed): (Vec<&Event>, Vec<&Event>) =
        execs.into_iter().partition(|event| event.detail.is_none());
    // The shell looks for `true` along PATH.
    assert!(failed.iter().all(|event| event.detail.as_deref() == Some("not found")), "{failed:?}");
    let paths: Vec<&str> = execs.iter().filter_map(|event| event.path.as_deref()).collect();
    assert_eq!(paths, [&sh, &script, &real("/bin/true"), &sh, &real("/bin/true")], "{execs:?}");
    assert!(execs.iter().all(|event| event.verdict == "allow"), "{execs:?}");
    // A script is run by its interpreter.
    assert_eq!((execs[1].exe.as_deref(), &execs[1].parents), (Some(bash.as_str()), &vec![sh.clone()]));
    assert_eq!(execs[2].args, ["/bin/true", "x", "y", "--token=***"]);
    assert_eq!(execs[2].parents, [bash, sh]);
}

fn programs_that_fail_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec");
    let text = planted(&jail, mode, "text");
    let script = "\
import os
for path in ['/nosuch/x', 'text', '/etc', '/nosuch/x']:
    try: os.execv(path, [path, 'argument'])
    except OSError as error: print(error.strerror)
";
    let outcome = jail.python(script);
    outcome.assert_success();
    let python = real("/usr/bin/python3");
    let text = text.display().to_string();
    for (path, detail, count) in
        [("/nosuch/x", "not found", 2), (&text, "refused", 1), ("/etc", "refused", 1)]
    {
        let failed: Vec<&Event> =
            outcome.of_kind("exec").into_iter().filter(|event| event.path.as_deref() == Some(path)).collect();
        assert!(failed.iter().all(|event| event.detail.as_deref() == Some(detail)), "{failed:?}");
        assert!(failed.iter().all(|event| event.exe.as_deref() == Some(&python)), "{failed:?}");
        assert_eq!(failed.iter().map(|event| event.count.unwrap_or(1)).sum::<u64>(), count, "{failed:?}");
    }
    // A command that is not there stays so.
    jail.run(["no-such-command"]).assert_code(127);
    jail.run(["/etc"]).assert_code(126);
}

fn thousands_of_programs_are_counted(mode: Mode) {
    const COUNT: u64 = 2000;
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--watch-exec").within(Duration::from_secs(120));
    let loops =
        "for j in 1 2 3 4; do (i=0; while [ $i != 500 ]; do /bin/true; i=$((i + 1)); done) & done; wait";
    let outcome = jail.shell(loops);
    outcome.assert_success();
    assert_eq!(outcome.ran(&real("/bin/true")), COUNT, "{}", outcome.stderr);
    assert_eq!(outcome.of_kind("other").len(), 0, "{:?}", outcome.of_kind("other"));
}

fn threads_and_static_programs_are_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let token = planted(&jail, mode, "token").display().to_string();
    let jail = jail.option("--watch-exec").option("--watch-path").option("token");
    // A thread that is not the first reads, and another replaces the whole process.
    let script = "\
import os, threading
pid = os.getpid()
def read():
    assert threading.get_native_id() != pid
    open('token').close()
def run(): os.execv('/bin/true', ['true'])
thread = threading.Thread(target=read); thread.start(); thread.join()
print(pid, flush=True)
threading.Thread(target=run).start()
";
    let outcome = jail.python(script);
    outcome.assert_success().assert_used(&token, "read", 1);
    let pid: u32 = outcome.stdout.trim().parse().unwrap();
    assert_eq!(outcome.of_kind("file")[0].pid, Some(pid));
    assert_eq!(outcome.ran(&real("/bin/true")), 1, "{:?}", outcome.of_kind("exec"));
    // It opens no library, by which it would show.
    let program = jail.home().join("static");
    fs::write(&program, static_program()).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let outcome = jail.run([program.as_os_str()]);
    outcome.assert_code(7);
    assert_eq!(outcome.ran(&program.display().to_string()), 1, "{:?}", outcome.of_kind("exec"));
}

/// An executable of one page that exits with 7 (elf(5)).
fn static_program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    #[cfg(target_arch = "x86_64")]
    let (machine, code) = (62u16, [0xbf, 7, 0, 0, 0, 0xb8, 231, 0, 0, 0, 0x0f, 5]);
    #[cfg(target_arch = "aarch64")]
    let (machine, code) = (183u16, [0xe0, 0, 0x80, 0xd2, 0xc8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4]);
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    file.extend(machine.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    for offset in [BASE + HEADERS, 64, 0] {
        file.extend(offset.to_le_bytes());
    }
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    let length = HEADERS + code.len() as u64;
    for number in [0, BASE, BASE, length, length, 0x1000] {
        file.extend(number.to_le_bytes());
    }
    file.extend(code);
    file
}

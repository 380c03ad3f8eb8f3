//! The gateway itself as a target: of its job, and of the user that runs it.

use std::fs;

use nix::unistd::Pid;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both, once};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, gateway_has_no_rights, job_cannot_reach_the_gateway, confined_gateway_serves);
    once!(suite, same_user_cannot_debug_the_gateway, root_on_a_terminal_keeps_the_keyboard);
}

/// What a debugger would do to each process that is named or, without a name, visible.
const ATTACK: &str = "\
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)
class Part(ctypes.Structure): _fields_ = [('base', ctypes.c_void_p), ('length', ctypes.c_size_t)]
own = (os.getpid(), os.getppid())
named = [int(word) for word in sys.argv[1:]]
for pid in named or [int(p) for p in os.listdir('/proc') if p.isdigit() and int(p) not in own]:
    if libc.ptrace(0x4206, pid, None, None) == 0: print('ptrace', pid)
    for file in ('mem', 'environ', 'maps'):
        try:
            open(f'/proc/{pid}/{file}', 'rb').read(1)
            print(file, pid)
        except OSError as error:
            if error.errno == 5: print(file, pid)
    try: print('fd', pid, os.listdir(f'/proc/{pid}/fd'))
    except OSError: pass
    part = Part(ctypes.cast(ctypes.create_string_buffer(8), ctypes.c_void_p), 8)
    libc.process_vm_readv(pid, ctypes.byref(part), 1, ctypes.byref(Part(4096, 8)), 1, 0)
    if ctypes.get_errno() == 14: print('process_vm_readv', pid)
    fd = libc.syscall(434, pid, 0)
    if fd >= 0 and any(libc.syscall(438, fd, other, 0) >= 0 for other in range(3, 30)): print('pidfd_getfd', pid)
print('tried')
";

/// A job that waits until it is killed, and the gateway's process id.
fn waiting(jail: &Jail<'_>) -> (crate::running::Running, Pid) {
    let running = jail.start(["sh", "-c", "echo ready; exec sleep 1000"]);
    running.wait_for("ready");
    let pid = running.pid();
    (running, pid)
}

fn gateway_has_no_rights(mode: Mode) {
    let world = World::new();
    let (_running, gateway) = waiting(&Jail::new(&world, mode));
    let threads = threads(gateway);
    assert!(threads.len() >= 2, "the log has a thread of its own");
    for status in threads {
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            assert_eq!(value(&status, set), "0000000000000000", "{set}:\n{status}");
        }
        assert_eq!((value(&status, "Seccomp"), value(&status, "NoNewPrivs")), ("2", "1"), "{status}");
    }
}

/// A key that ends the job also ends who waits with us, whoever that is: CAP_KILL.
fn root_on_a_terminal_keeps_the_keyboard() {
    let world = World::new();
    let terminal = Jail::new(&world, Mode::Root).terminal(["sh", "-c", "echo ready; exec sleep 1000"]);
    terminal.wait_for("ready");
    let sets: Vec<String> =
        threads(terminal.pid()).iter().map(|status| value(status, "CapEff").to_owned()).collect();
    assert_eq!(sets, ["0000000000000020", "0000000000000000"]);
}

/// The status of each thread (proc_pid_status(5)), the first one's first.
fn threads(process: Pid) -> Vec<String> {
    let mut paths: Vec<_> =
        fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path.join("status")).unwrap()).collect()
}

fn value<'a>(status: &'a str, key: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_default().trim()
}

fn job_cannot_reach_the_gateway(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode);
    let (_running, other) = waiting(&jail);
    // Its own gateway is as invisible as that of another run.
    for names in [vec![], vec![other.to_string()]] {
        let mut command = vec!["/usr/bin/python3".to_owned(), "-c".to_owned(), ATTACK.to_owned()];
        command.extend(names);
        jail.run(command).assert_success().assert_stdout("tried\n");
    }
    let signals = format!(
        "import os, signal\n\
         for pid in (1, {other}, -{other}):\n\
         \x20   try: os.kill(pid, signal.SIGKILL)\n\
         \x20   except OSError as error: print(type(error).__name__)\n\
         print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()) == [1, os.getpid()])\n"
    );
    let outcome = jail.python(&signals);
    outcome.assert_success().assert_stdout("ProcessLookupError\nProcessLookupError\nTrue\n");
    assert!(fs::exists(format!("/proc/{other}")).unwrap());
}

fn same_user_cannot_debug_the_gateway() {
    let world = World::new();
    let (_running, gateway) = waiting(&Jail::new(&world, Mode::Rootless));
    let outside = Jail::direct(&world, Mode::Rootless);
    let gateway = gateway.to_string();
    outside.run(["/usr/bin/python3", "-c", ATTACK, &gateway]).assert_success().assert_stdout("tried\n");
    let (_plain, plain) = waiting(&outside);
    let attacked = outside.run(["/usr/bin/python3", "-c", ATTACK, &plain.to_string()]);
    for way in ["ptrace", "mem", "environ", "fd", "process_vm_readv"] {
        assert!(attacked.stdout.contains(way), "{way} works on others: {attacked}");
    }
}

/// What is first needed when there are no rights left: resolvers, files of names, further addresses.
fn confined_gateway_serves(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.site("other.test");
    let script = "sleep 0.2; curl -sS http://good.test/ https://other.test/";
    Jail::new(&world, mode)
        .allow("good.test")
        .allow("other.test")
        .shell(script)
        .assert_success()
        .assert_stdout("hello from good.test\nhello from other.test\n");
}

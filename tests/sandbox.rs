//! What the job may not do with the kernel, the terminal, the devices and the files that the host runs.

use std::fs;

use nix::unistd::ttyname;

use crate::enter;
use crate::jail::{Jail, quoted_binary};
use crate::private_user::UID;
use crate::suite::{Mode, Suite, both, once};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        refused_system_calls,
        limits_of_init_stay,
        refused_families,
        sandboxes_work_inside,
        typing_into_the_terminal,
        terminal_has_a_name,
        shared_memory_is_private,
        doctor_finds_nothing_missing,
        cgroups_are_read_only,
        scheduled_as_the_caller,
    );
    once!(suite, root_has_few_devices, root_plants_no_cron_job, root_writes_to_copies);
    #[cfg(target_arch = "x86_64")]
    both!(suite, foreign_architectures);
}

fn refused_system_calls(mode: Mode) {
    let world = World::new();
    let calls = [
        (libc::SYS_io_uring_setup, "ENOSYS"),
        (libc::SYS_io_uring_enter, "ENOSYS"),
        (libc::SYS_io_uring_register, "ENOSYS"),
        (libc::SYS_keyctl, "ENOSYS"),
        (libc::SYS_add_key, "ENOSYS"),
        (libc::SYS_request_key, "ENOSYS"),
        (libc::SYS_bpf, "EPERM"),
        (libc::SYS_perf_event_open, "EPERM"),
        (libc::SYS_userfaultfd, "EPERM"),
        (libc::SYS_open_by_handle_at, "EPERM"),
        (libc::SYS_kexec_load, "EPERM"),
        (libc::SYS_init_module, "EPERM"),
        (libc::SYS_delete_module, "EPERM"),
    ];
    let numbers: Vec<i64> = calls.iter().map(|(number, _)| *number).collect();
    let script = format!(
        "import ctypes, errno\n\
         c = ctypes.CDLL(None, use_errno=True)\n\
         for number in {numbers:?}:\n\
         \x20   c.syscall(number, 0, 0, 0, 0, 0)\n\
         \x20   print(errno.errorcode[ctypes.get_errno()])\n"
    );
    let wanted: String = calls.iter().map(|(_, errno)| format!("{errno}\n")).collect();
    let jail = Jail::new(&world, mode);
    jail.python(&script).assert_success().assert_stdout(&wanted);
    // Who makes himself root in a namespace of his own meets the same filter.
    let nested = jail.run(["unshare", "-Urn", "/usr/bin/python3", "-c", &script]);
    nested.assert_success().assert_stdout(&wanted);
}

/// Those of init too would be set by whoever has its user, and without descriptors it looks at nothing.
fn limits_of_init_stay(mode: Mode) {
    let world = World::new();
    let script = "\
import os, resource
resource.prlimit(os.getpid(), resource.RLIMIT_NOFILE, (100, 200))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
for process in os.listdir('/proc/1/task'):
    process = int(process)
    try: print(resource.prlimit(process, resource.RLIMIT_NOFILE, (3, 4096)))
    except PermissionError as error: print('refused')
";
    let jail = Jail::new(&world, mode);
    let wanted = "(100, 200)\nrefused\nrefused\n";
    jail.python(script).assert_success().assert_stdout(wanted);
    let nested = jail.run(["unshare", "-Urn", "/usr/bin/python3", "-c", script]);
    nested.assert_success().assert_stdout(wanted);
}

fn refused_families(mode: Mode) {
    let world = World::new();
    let script = "import socket, errno\n\
         for family, kind in ((40, 1), (38, 5), (44, 3), (31, 3), (21, 5), (17, 3), (1, 1), (2, 1), (10, 2), (16, 3)):\n\
         \x20   try: socket.socket(family, kind); print(family, 'made')\n\
         \x20   except OSError as error: print(family, errno.errorcode[error.errno])\n";
    let none = |family: u8| format!("{family} EAFNOSUPPORT\n");
    let wanted = [40, 38, 44, 31, 21].map(none).concat() + "17 EPERM\n1 made\n2 made\n10 made\n16 made\n";
    let jail = Jail::new(&world, mode);
    jail.python(script).assert_success().assert_stdout(&wanted);
    jail.run(["unshare", "-Urn", "/usr/bin/python3", "-c", script]).assert_success().assert_stdout(&wanted);
}

/// Browsers, bubblewrap and debuggers bring namespaces, mounts and ptrace.
fn sandboxes_work_inside(mode: Mode) {
    let world = World::new();
    let script = "unshare -Urm sh -c 'mount -t tmpfs none /tmp && mount --bind /tmp /mnt && echo mounted' && \
                  /usr/bin/python3 -c 'import ctypes; print(ctypes.CDLL(None).ptrace(0, 0, 0, 0))'";
    Jail::new(&world, mode).shell(script).assert_success().assert_stdout("mounted\n0\n");
}

/// `int 0x80` enters the kernel as an i386 program does.
#[cfg(target_arch = "x86_64")]
fn foreign_architectures(mode: Mode) {
    let world = World::new();
    let script = "import ctypes, mmap\n\
         code = mmap.mmap(-1, 4096, prot=7)\n\
         code.write(bytes.fromhex('b814000000cd80c3'))\n\
         address = ctypes.addressof(ctypes.c_char.from_buffer(code))\n\
         print('answered', ctypes.CFUNCTYPE(ctypes.c_int)(address)() != 0)\n";
    Jail::new(&world, mode).python(script).assert_code(128 + libc::SIGSYS);
}

/// What a job types, the caller's shell would read as its user's words.
fn typing_into_the_terminal(mode: Mode) {
    let world = World::new();
    let typist = "/usr/bin/python3 -c \"\nimport fcntl\nfor key in b'typed\\n':\n    \
                  try: fcntl.ioctl(0, 0x5412, bytes([key]))\n    except OSError: pass\n\"";
    let read = |before: &str| {
        let script = format!("{before} {typist}; echo asking; read line; echo got-$line");
        let mut terminal = Jail::direct(&world, mode).terminal(["bash", "-c", &script]);
        terminal.wait_for("asking");
        terminal.type_in("real\n");
        terminal.wait_for("got-");
        terminal.wait_for_one_of(&["typed", "real"])
    };
    assert_eq!(read(&format!("{} run -q --", quoted_binary())), "real");
    // The contrast needs a kernel that lets anybody do it.
    if fs::read_to_string("/proc/sys/dev/tty/legacy_tiocsti").is_ok_and(|allowed| allowed.trim() == "1") {
        assert_eq!(read(""), "typed");
    }
}

/// The caller's terminal can be opened by its name, and no other terminal can.
fn terminal_has_a_name(mode: Mode) {
    let world = World::new();
    let other = nix::pty::openpty(None, None).unwrap();
    let name = ttyname(&other.slave).unwrap();
    let script = format!(
        "exec 3<>\"$(tty)\" && echo by-name >&3; exec 4<>/dev/tty && echo by-tty >&4; \
         [ -e {name} ] || echo no-other; \
         /usr/bin/python3 -c 'import os; print(\"made\", os.ttyname(os.openpty()[1]))'; exit 3",
        name = name.display()
    );
    let terminal = Jail::new(&world, mode).terminal(["sh", "-c", &script]);
    for words in ["by-name", "by-tty", "no-other", "made /dev/pts/0"] {
        terminal.wait_for(words);
    }
    assert_eq!(terminal.finish().code(), Some(3));
}

fn shared_memory_is_private(mode: Mode) {
    let world = World::new();
    let memory = world.files().shared_memory();
    fs::write(memory.join("of-the-host"), "secret").unwrap();
    let script = "ls /dev/shm; stat -c %a /dev/shm; echo x >/dev/shm/of-the-job; \
                  /usr/bin/python3 -c 'import multiprocessing as m; m.Lock()' && echo works";
    let jail = Jail::new(&world, mode);
    jail.shell(script).assert_success().assert_stdout("1777\nworks\n");
    assert!(!memory.join("of-the-job").exists());
    // Another run shares none with this one.
    jail.shell("ls /dev/shm").assert_success().assert_stdout("");
}

/// It tries the sandbox as a run makes it.
fn doctor_finds_nothing_missing(mode: Mode) {
    let world = World::new();
    Jail::bare(&world, mode).run(["doctor"]).assert_success();
}

/// Whoever may write in a cgroup can stop and end the processes in it. The directory is one of the test's own,
/// which the job's user may write.
fn cgroups_are_read_only(mode: Mode) {
    let world = World::new();
    let binary = quoted_binary();
    let user = if mode == Mode::Rootless && enter::as_real_root() {
        format!("setpriv --reuid {UID} --regid {UID} --clear-groups")
    } else {
        String::new()
    };
    let script = format!(
        "mount -t tmpfs -o mode=777 none /sys/fs/cgroup && echo 0 >/sys/fs/cgroup/cgroup.kill && \
         chmod 666 /sys/fs/cgroup/cgroup.kill || exit 9; \
         {user} {binary} run -q -- sh -c 'cat /sys/fs/cgroup/cgroup.kill; echo 1 >/sys/fs/cgroup/cgroup.kill; \
         mkdir /sys/fs/cgroup/own; mount -o remount,rw /sys; unshare -Urm mount -o remount,rw,bind /sys/fs/cgroup; \
         unshare -Urm umount /sys; true'; cat /sys/fs/cgroup/cgroup.kill; ls /sys/fs/cgroup"
    );
    let outcome = Jail::direct(&world, Mode::Root).run(["unshare", "-m", "sh", "-c", &script]);
    outcome.assert_success().assert_stdout("0\n0\ncgroup.kill\n");
}

fn root_has_few_devices() {
    let world = World::new();
    let jail = Jail::new(&world, Mode::Root);
    let outcome =
        jail.shell("find /dev -type b -o -type c | sort; echo x >/dev/null; head -c 3 /dev/zero | wc -c");
    outcome.assert_success().assert_says("3");
    let known = ["full", "fuse", "kvm", "net/tun", "null", "pts/ptmx", "random", "tty", "urandom", "zero"];
    for device in outcome.stdout.lines().filter_map(|line| line.strip_prefix("/dev/")) {
        assert!(known.contains(&device), "{device}: {outcome}");
    }
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        assert!(outcome.stdout.contains(&format!("/dev/{device}\n")), "{device}: {outcome}");
    }
    jail.shell("stat -c %a /dev/null /dev/tty; echo x >/dev/full")
        .assert_failure()
        .assert_stdout("666\n666\n");
    // And can make no others.
    jail.run(["mknod", "/dev/disk", "b", "254", "0"]).assert_failure();
}

/// The directory is one of the test's own, in case that the jail does not hold.
fn root_plants_no_cron_job() {
    let world = World::new();
    let binary = quoted_binary();
    let script = format!(
        "d=/etc/cron.d; [ -d $d ] || d=/etc/pam.d; mount -t tmpfs none $d && echo old >$d/old || exit 9; \
         {binary} run -q -- sh -c \"cat $d/old; echo evil >$d/new && mv $d/new $d/newer && cat $d/newer; true\"; \
         echo outside; ls $d"
    );
    let outcome = Jail::direct(&world, Mode::Root).run(["unshare", "-m", "sh", "-c", &script]);
    outcome.assert_success();
    let (inside, outside) = outcome.stdout.split_once("outside\n").unwrap();
    assert_eq!(outside, "old\n", "{outcome}");
    // Where nothing can be copied on writing, it is read-only.
    let copied = if enter::as_real_root() { "old\nevil\n" } else { "old\n" };
    assert_eq!(inside, copied, "{outcome}");
}

/// The same on the root file system, by a job that looks first whether it has a copy.
fn root_writes_to_copies() {
    if !enter::as_real_root() {
        return;
    }
    let world = World::new();
    let script = "grep -q ' /etc/pam.d .* - overlay ' /proc/self/mountinfo && \
                  echo evil >/etc/pam.d/of-the-cijail-net-test && cat /etc/pam.d/of-the-cijail-net-test";
    Jail::new(&world, Mode::Root).shell(script).assert_success().assert_stdout("evil\n");
    assert!(!fs::exists("/etc/pam.d/of-the-cijail-net-test").unwrap());
}

/// The job and its init have the caller's scheduling policy (sched(7)).
fn scheduled_as_the_caller(mode: Mode) {
    let world = World::new();
    let script = "import os\nprint({os.sched_getscheduler(int(pid)) for pid in os.listdir('/proc') if pid.isdigit()})\n";
    for (words, policy) in [(&["env"][..], 0), (&["chrt", "--batch", "0"], 3), (&["chrt", "--idle", "0"], 5)]
    {
        let outcome = Jail::new(&world, mode).under(words).python(script);
        outcome.assert_success().assert_stdout(&format!("{{{policy}}}\n"));
    }
}

//! Sockets of the host's servers, which would act for the job: none can be reached but by a rule.

use std::path::Path;

use crate::enter;
use crate::jail::{Jail, quoted_binary};
use crate::outcome::Outcome;
use crate::private_user::UID;
use crate::running::Running;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        sockets_at_odd_places,
        a_thousand_sockets,
        abstract_sockets,
        a_rule_opens_one_socket,
        descriptors_come_by_rule_only,
        sockets_made_again_in_run,
    );
}

/// Serves at these paths, each a Python expression of bytes, until its input ends, and says who came.
const SERVER: &str = "\
import os, socket, sys, threading
datagrams = []
def serve(kind, path):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    if not path.startswith(b'\\0'): os.chmod(path, 0o777)
    if kind == socket.SOCK_DGRAM: datagrams.append((s, path)); return
    def answer():
        while True:
            c, _ = s.accept(); print('contact', path, flush=True)
            socket.send_fds(c, [b'served'], [os.open('/etc/hostname', os.O_RDONLY)]); c.close()
    s.listen(16)
    threading.Thread(target=answer, daemon=True).start()
def end():
    for s, path in datagrams:
        s.setblocking(False)
        try:
            while True: s.recv(100); print('contact', path, flush=True)
        except BlockingIOError: pass
    os._exit(0)
";

const CLIENT: &str = "\
import os, socket
def ask(kind, path):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(3)
    try:
        s.connect(path)
        if kind == socket.SOCK_DGRAM: s.send(b'hello'); print('sent')
        else:
            data, fds, _, _ = socket.recv_fds(s, 100, 4); print(data.decode(), len(fds))
    except OSError as error: print('refused')
";

/// One side for each socket, `(kind, path)` in Python.
fn calls(function: &str, sockets: &[(u8, String)]) -> String {
    sockets.iter().map(|(kind, path)| format!("{function}({kind}, {path})\n")).collect()
}

fn server(world: &World, mode: Mode, sockets: &[(u8, String)]) -> Running {
    let script =
        format!("{SERVER}{}print('ready', flush=True)\nsys.stdin.read()\nend()\n", calls("serve", sockets));
    let running = Jail::direct(world, mode).start(["/usr/bin/python3", "-c", &script]);
    running.wait_for("ready");
    running
}

fn ask(jail: &Jail<'_>, sockets: &[(u8, String)]) -> Outcome {
    let outcome = jail.python(&format!("{CLIENT}{}", calls("ask", sockets)));
    outcome.assert_success();
    outcome
}

fn contacts(outcome: &Outcome) -> usize {
    outcome.stdout.matches("contact").count()
}

/// A path beneath this directory, with escapes, as Python's bytes.
fn beneath(directory: &Path, name: &str) -> String {
    format!("b'{}/{name}'", directory.display())
}

fn sockets_at_odd_places(mode: Mode) {
    let world = World::new();
    let shared = world.files().shared();
    let deep = shared.join("a directory");
    std::fs::create_dir(&deep).unwrap();
    crate::world::give_away(&deep).unwrap();
    std::os::unix::fs::symlink(shared.join("plain"), shared.join("link")).unwrap();
    let mut sockets = vec![
        (1, beneath(&shared, "plain")),
        (5, beneath(&shared, "packets")),
        (2, beneath(&shared, "datagrams")),
        (1, beneath(&deep, "two\\nlines: \\xff ")),
        (1, beneath(&shared, "a directory/../dots")),
        (1, "b'relative'".to_owned()),
        (1, format!("b'/tmp/tmp-{}.sock'", world.marker())),
    ];
    let serving = server(&world, mode, &sockets);
    sockets.push((1, beneath(&shared, "link")));
    ask(&Jail::new(&world, mode), &sockets).assert_stdout(&"refused\n".repeat(sockets.len()));
    // Each can be reached without the jail.
    let direct = ask(&Jail::direct(&world, mode), &sockets);
    assert!(!direct.stdout.contains("refused"), "{direct}");
    let ended = serving.finish();
    assert_eq!(contacts(&ended), sockets.len(), "the direct ones only: {ended}");
    std::fs::remove_file(world.files().tmp().join(format!("tmp-{}.sock", world.marker()))).unwrap();
    world.assert_nothing_left();
}

fn a_thousand_sockets(mode: Mode) {
    let world = World::new();
    let shared = world.files().shared();
    let sockets: Vec<(u8, String)> =
        (0..1000).map(|number| (2, beneath(&shared, &format!("s{number}")))).collect();
    let script =
        format!("import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (4000, 4000))\n{SERVER}");
    let script = format!(
        "{script}\nfor number in range(1000):\n    s = socket.socket(1, 2); s.bind({} % number); s.detach()\n\
         print('ready', flush=True)\nsys.stdin.read()\n",
        beneath(&shared, "s%d")
    );
    let serving = Jail::direct(&world, mode).start(["/usr/bin/python3", "-c", &script]);
    serving.wait_for("ready");
    let client = format!("{CLIENT}for number in range(1000): ask(2, {} % number)\n", beneath(&shared, "s%d"));
    let outcome = Jail::new(&world, mode).python(&client);
    outcome.assert_success().assert_stdout(&"refused\n".repeat(sockets.len()));
    serving.finish();
}

fn abstract_sockets(mode: Mode) {
    let world = World::new();
    let sockets = [(1, format!("b'\\x00{}'", world.marker())), (2, format!("b'\\x00{}-2'", world.marker()))];
    let serving = server(&world, mode, &sockets);
    ask(&Jail::new(&world, mode), &sockets).assert_stdout("refused\nrefused\n");
    ask(&Jail::direct(&world, mode), &sockets).assert_stdout("served 1\nsent\n");
    assert_eq!(contacts(&serving.finish()), 2);
}

fn a_rule_opens_one_socket(mode: Mode) {
    let world = World::new();
    let shared = world.files().shared();
    let names = ["stream", "datagram", "other"];
    let sockets: Vec<(u8, String)> =
        [1, 2, 1].into_iter().zip(names).map(|(kind, name)| (kind, beneath(&shared, name))).collect();
    let serving = server(&world, mode, &sockets);
    let rule = |name: &str| format!("unix:{}", shared.join(name).display());
    let jail = || Jail::new(&world, mode);
    ask(&jail().allow(&rule("stream")), &sockets).assert_stdout("served 1\nrefused\nrefused\n");
    ask(&jail().allow(&rule("datagram")), &sockets).assert_stdout("refused\nsent\nrefused\n");
    // A rule may name a link, and then opens what that leads to.
    std::os::unix::fs::symlink(shared.join("other"), shared.join("link")).unwrap();
    ask(&jail().allow(&rule("link")), &sockets).assert_stdout("refused\nrefused\nserved 1\n");
    assert_eq!(contacts(&serving.finish()), 3);
}

/// What a server hands over is its own doing: a rule that opens it opens that too, and nothing else does.
fn descriptors_come_by_rule_only(mode: Mode) {
    let world = World::new();
    let path = world.files().shared().join("hands-over");
    let sockets = [(1, beneath(&world.files().shared(), "hands-over"))];
    let serving = server(&world, mode, &sockets);
    ask(&Jail::new(&world, mode), &sockets).assert_stdout("refused\n");
    ask(&Jail::new(&world, mode).allow(&format!("unix:{}", path.display())), &sockets)
        .assert_stdout("served 1\n");
    assert_eq!(contacts(&serving.finish()), 1);
}

/// Services are started anew while a job runs. Neither sockets in `/run` nor those in the directories of
/// their servers come back, and what else is there stays.
fn sockets_made_again_in_run(mode: Mode) {
    let world = World::new();
    let shared = world.files().shared();
    let user = if mode == Mode::Rootless && enter::as_real_root() {
        format!("setpriv --reuid {UID} --regid {UID} --clear-groups")
    } else {
        String::new()
    };
    let sockets = [(1, "b'/run/docker.sock'".to_owned()), (1, "b'/run/daemon/x.sock'".to_owned())];
    let asks = calls("ask", &sockets);
    let job = format!(
        "{CLIENT}{asks}open('{at}/asked', 'w').close()\nimport time\n\
         while not os.path.exists('{at}/again'): time.sleep(0.01)\n\
         {asks}print(open('/run/plain/file').read(), os.readlink('/run/link'))\n",
        at = shared.display()
    );
    let run = |options: &str, script: &str| {
        let words = format!("{user} {} run -q {options} -- /usr/bin/python3 -c", quoted_binary());
        format!("subprocess.Popen({words:?}.split() + [{script:?}])")
    };
    let serve = calls("serve", &sockets);
    let script = format!(
        "{SERVER}\nimport shutil, subprocess, time\nos.umask(0o022)\n\
         os.makedirs('/run/daemon'); os.makedirs('/run/plain')\n\
         open('/run/plain/file', 'w').write('kept'); os.symlink('plain', '/run/link')\n\
         {serve}\
         job = {job}\n\
         while not os.path.exists('{at}/asked') and job.poll() is None: time.sleep(0.01)\n\
         os.unlink('/run/docker.sock'); shutil.rmtree('/run/daemon'); os.makedirs('/run/daemon')\n\
         {serve}\
         open('{at}/again', 'w').close()\n\
         job.wait()\n\
         print('by rule', flush=True)\n\
         {by_rule}.wait()\n",
        job = run("", &job),
        by_rule = run("--allow unix:/run/daemon/x.sock", &format!("{CLIENT}{asks}")),
        at = shared.display(),
    );
    let around = "mount -t tmpfs -o mode=755 none /run || exit 9; exec /usr/bin/python3 -c \"$1\"";
    let outcome = Jail::direct(&world, Mode::Root).run(["unshare", "-m", "sh", "-c", around, "sh", &script]);
    let wanted = "refused\nrefused\nrefused\nrefused\nkept plain\nby rule\n";
    let rest = outcome.assert_success().stdout.strip_prefix(wanted);
    let rest = rest.unwrap_or_else(|| panic!("{outcome}"));
    assert!(rest.contains("refused\n") && rest.contains("served 1\n"), "{outcome}");
    assert_eq!(contacts(&outcome), 1, "{outcome}");
}

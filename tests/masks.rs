//! Sockets by which a job could act outside: what the host has in the masked places stays out of reach.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;

use crate::jail::{Jail, uid};
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        socket_made_again_stays_masked,
        working_directory_shows_no_more,
        runtime_directory_is_the_jobs_own,
        socket_of_a_rule_beneath_a_mask,
        agent_that_is_none,
        masks_cannot_be_unmounted,
    );
}

/// Connects to the path of each line of its input, and says what came of it.
const CONNECT: &str = "\
import socket, sys
print('ready', flush=True)
for path in sys.stdin:
    s = socket.socket(socket.AF_UNIX)
    try:
        s.connect(path.strip())
        print('reached', s.recv(9), flush=True)
    except OSError as error: print('failed', error, flush=True)
";

fn connect(path: &str) -> [String; 3] {
    ["/usr/bin/python3".to_owned(), "-c".to_owned(), CONNECT.replace("sys.stdin", &format!("[{path:?}]"))]
}

/// A server of the host's that every user may talk to, at a path beneath the world's `/run`.
fn serve(world: &World, path: &str) -> PathBuf {
    let path = world.files().run().join(path);
    let directory = path.parent().unwrap();
    if !directory.exists() {
        fs::create_dir_all(directory).unwrap();
    }
    listen(&path);
    path
}

fn listen(path: &Path) {
    let listener = UnixListener::bind(path).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o777)).unwrap();
    thread::spawn(move || {
        // Ends with the test's process.
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"host"));
        }
    });
}

fn socket_made_again_stays_masked(mode: Mode) {
    let world = World::new();
    let user = format!("user/{}/bus", uid(mode));
    for name in ["docker/engine", "dbus/bus", "systemd/private", "podman/podman.sock", "nscd/socket", &user] {
        let (ours, theirs) = (serve(&world, name), format!("/run/{name}"));
        Jail::direct(&world, mode).run(connect(&theirs)).assert_says("reached b'host'");
        let mut job = Jail::new(&world, mode).start(["/usr/bin/python3", "-uc", CONNECT]);
        job.wait_for("ready");
        fs::remove_file(&ours).unwrap();
        listen(&ours);
        job.type_in(format!("{theirs}\n/var{theirs}\n").as_bytes());
        let outcome = job.finish();
        assert_eq!(outcome.stdout.matches("failed").count(), 2, "{outcome}");
        assert!(!outcome.stdout.contains("reached"), "{outcome}");
    }
}

fn working_directory_shows_no_more(mode: Mode) {
    let world = World::new();
    serve(&world, "docker/engine");
    Jail::direct(&world, mode).directory("/run/docker").run(connect("engine")).assert_says("reached");
    let outcome = Jail::new(&world, mode).directory("/run/docker").run(connect("engine"));
    outcome.assert_success().assert_says("failed");
    let above = Jail::new(&world, mode).directory("/run/docker").shell("ls -A . ../docker /proc/1/cwd; true");
    assert!(!above.stdout.contains("engine"), "{above}");
}

fn runtime_directory_is_the_jobs_own(mode: Mode) {
    let world = World::new();
    let ours = world.files().runtime_directory(mode);
    serve(&world, &format!("user/{}/bus", uid(mode)));
    fs::write(ours.join("token"), "secret").unwrap();
    let theirs = format!("/run/user/{}", uid(mode));
    let jail = Jail::new(&world, mode).env("XDG_RUNTIME_DIR", &theirs);
    let script = "cd $XDG_RUNTIME_DIR && ls -A && stat -c '%a %u' . && mkdir made && echo mine >made/file && \
                  cat made/file && /usr/bin/python3 -c \"import socket; s = socket.socket(socket.AF_UNIX); \
                  s.bind('mine'); s.listen(); socket.socket(socket.AF_UNIX).connect('mine')\"";
    for _ in 0..2 {
        let expected = format!("700 {}\nmine\n", uid(mode));
        jail.shell(script).assert_success().assert_stdout(&expected);
    }
    let mut left: Vec<_> = fs::read_dir(&ours).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["bus", "token"], "the host's directory is as it was");
    world.assert_nothing_left();
}

fn socket_of_a_rule_beneath_a_mask(mode: Mode) {
    let world = World::new();
    let base = format!("/run/user/{}", uid(mode));
    serve(&world, &format!("user/{}/agent", uid(mode)));
    serve(&world, &format!("user/{}/bus", uid(mode)));
    let (agent, bus) = (format!("{base}/agent"), format!("{base}/bus"));
    let jail = Jail::new(&world, mode).env("XDG_RUNTIME_DIR", &base).env("SSH_AUTH_SOCK", &agent);
    jail.run(connect(&agent)).assert_says("failed");
    let ruled = jail.allow(&format!("unix:{agent}"));
    ruled.run(connect(&agent)).assert_says("reached b'host'");
    ruled.run(connect(&bus)).assert_says("failed");
    ruled.shell("echo $SSH_AUTH_SOCK; touch $XDG_RUNTIME_DIR/mine").assert_success().assert_says(&agent);
}

fn agent_that_is_none(mode: Mode) {
    let world = World::new();
    let home = world.files().home(mode);
    for value in ["", "/no/such/socket", "relative", home.to_str().unwrap()] {
        Jail::new(&world, mode).env("SSH_AUTH_SOCK", value).run(["true"]).assert_success();
    }
}

/// As the job's root, and as root of a namespace that the job makes itself.
fn masks_cannot_be_unmounted(mode: Mode) {
    let world = World::new();
    serve(&world, "docker/engine");
    let single = world.files().shared().join("single.sock");
    listen(&single);
    let single = single.display().to_string();
    let script = format!(
        "for round in 1 2 3; do
             for place in /run/docker /run {single} /etc/resolv.conf /dev /proc / ; do
                 umount $place; umount -l $place; umount -R $place; mount --move $place /mnt
                 mount -o remount,rw $place; mount --make-rprivate $place
             done
         done 2>/dev/null
         mkdir -p below over up work && mount --bind / below && mount --rbind / below
         mount -t overlay -o lowerdir=/run,upperdir=up,workdir=work overlay over; mount -t overlay -o lowerdir=/:/tmp overlay over
         /usr/bin/python3 -c \"\
import socket
for path in ('/run/docker/engine', '{single}', 'below/run/docker/engine', 'below{single}', '/mnt/docker/engine', '/mnt/engine', 'over/docker/engine', 'over/run/docker/engine'):
    try: socket.socket(socket.AF_UNIX).connect(path); print('reached', path)
    except OSError: pass
print('tried')\""
    );
    let jail = Jail::new(&world, mode).env("SSH_AUTH_SOCK", &single);
    for command in [vec!["sh", "-c", &script], vec!["unshare", "-Urm", "sh", "-c", &script]] {
        let outcome = jail.run(command);
        outcome.assert_success().assert_stdout("tried\n");
    }
    let direct = Jail::direct(&world, mode).run(connect("/run/docker/engine"));
    direct.assert_says("reached b'host'");
}

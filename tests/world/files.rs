//! What the machine of a world has in `/etc` and in its temporary directories, shown by a mount namespace.

use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::net::of_this_thread;
use crate::enter;
use crate::jail::uid;
use crate::private_user::UID;
use crate::suite::Mode;

const RESOLV_CONF: &str = "nameserver 203.0.113.53\n";
const HOSTS: &str = "127.0.0.1 localhost\n::1 localhost\n";
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n";

/// The directories of one world.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    pub(crate) fn make(world: u32) -> io::Result<Self> {
        let files = Self { root: enter::scratch().join(format!("w{world}")) };
        fs::create_dir_all(files.root.join("etc"))?;
        for shared in [files.tmp(), files.shared_memory(), files.shared()] {
            fs::create_dir(&shared)?;
            fs::set_permissions(&shared, Permissions::from_mode(0o1777))?;
        }
        for mode in Mode::BOTH {
            fs::create_dir(files.home(mode))?;
            fs::create_dir_all(files.runtime_directory(mode))?;
            fs::set_permissions(files.runtime_directory(mode), Permissions::from_mode(0o700))?;
        }
        give_away(&files.home(Mode::Rootless))?;
        give_away(&files.runtime_directory(Mode::Rootless))?;
        Ok(files)
    }

    /// `/tmp` as programs in this world see it.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// `/dev/shm` as programs in this world see it.
    pub(crate) fn shared_memory(&self) -> PathBuf {
        self.root.join("shm")
    }

    /// `/run` as programs in this world see it: the real host's daemons know another internet than this one.
    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What the user that runs jobs in this mode has in `/run/user`.
    pub(crate) fn runtime_directory(&self, mode: Mode) -> PathBuf {
        self.run().join(format!("user/{}", uid(mode)))
    }

    /// For the tests' own files; every user may write here.
    pub(crate) fn shared(&self) -> PathBuf {
        self.root.join("shared")
    }

    /// The home directory of the user that runs jobs in this mode.
    pub(crate) fn home(&self, mode: Mode) -> PathBuf {
        self.root.join(mode.name())
    }

    /// A group that the user of rootless jobs is in by `/etc/group`.
    pub(crate) fn second_group(&self) -> u32 {
        UID - 1
    }

    pub(crate) fn set_resolv_conf(&self, content: &str) {
        fs::write(self.root.join("etc/resolv.conf"), content).unwrap();
    }

    /// More lines in the hosts file.
    pub(crate) fn add_hosts(&self, lines: &str) {
        fs::write(self.root.join("etc/hosts"), format!("{HOSTS}{lines}\n")).unwrap();
    }

    /// Takes the calling thread into a mount namespace that shows these files; returns the namespace.
    pub(crate) fn enter(&self) -> io::Result<OwnedFd> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let home = self.home(Mode::Rootless);
        let users = fs::read_to_string("/etc/passwd")?
            + &format!("runner:x:{UID}:{UID}:runner:{}:/bin/bash\n", home.display());
        let groups = fs::read_to_string("/etc/group")?
            + &format!("runner:x:{UID}:\nbuilders:x:{}:runner\n", self.second_group());
        // Where a file is a link, it mostly points into /run.
        let resolv_conf = Path::new("/etc/resolv.conf").canonicalize().ok();
        show(&self.run(), Path::new("/run"))?;
        if let Some(place) = resolv_conf.filter(|place| !place.exists()) {
            fs::create_dir_all(place.parent().expect("a file has one"))?;
            fs::write(place, "")?;
        }
        self.show_file("resolv.conf", RESOLV_CONF)?;
        self.show_file("hosts", HOSTS)?;
        self.show_file("nsswitch.conf", NSSWITCH)?;
        self.show_file("passwd", &users)?;
        self.show_file("group", &groups)?;
        show(&self.tmp(), Path::new("/tmp"))?;
        show(&self.shared_memory(), Path::new("/dev/shm"))?;
        of_this_thread("mnt")
    }

    fn show_file(&self, name: &str, content: &str) -> io::Result<()> {
        let (ours, theirs) = (self.root.join("etc").join(name), Path::new("/etc").join(name));
        fs::write(&ours, content)?;
        if theirs.exists() { show(&ours, &theirs) } else { Ok(()) }
    }

    pub(crate) fn remove(&self) -> io::Result<()> {
        fs::remove_dir_all(&self.root)
    }
}

/// Makes the user of rootless jobs and servers the owner. Where the tests are unprivileged, that is already
/// the one user there is.
pub(crate) fn give_away(path: &Path) -> io::Result<()> {
    if enter::as_real_root() { chown(path, Some(UID), Some(UID)) } else { Ok(()) }
}

fn show(ours: &Path, theirs: &Path) -> io::Result<()> {
    Ok(mount(Some(ours), theirs, None::<&str>, MsFlags::MS_BIND, None::<&str>)?)
}

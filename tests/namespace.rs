//! Power over the namespaces of a run, which only somebody outside has.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;

/// The gateway's end of the link.
const LINK: &str = "cj0";

/// A network namespace of a run.
pub(crate) struct Namespace(OwnedFd);

/// The one that no process is in: by way of the gateway's own sockets.
pub(crate) fn of_gateway(gateway: Pid) -> Namespace {
    sockets_of(gateway)
        .iter()
        .filter_map(|socket| namespace_of(socket).ok().map(Namespace))
        .find(|namespace| namespace.interfaces().iter().any(|name| name == LINK))
        .expect("the gateway has sockets in its namespace")
}

/// The job's init: the gateway's child.
pub(crate) fn init_of(gateway: Pid) -> Pid {
    let children = fs::read_to_string(format!("/proc/{gateway}/task/{gateway}/children")).unwrap();
    let init = children.split_whitespace().next().expect("the gateway has a job");
    Pid::from_raw(init.parse().unwrap())
}

/// The job's, by its init.
pub(crate) fn of_job(gateway: Pid) -> Namespace {
    let init = init_of(gateway);
    Namespace(fs::File::open(format!("/proc/{init}/ns/net")).unwrap().into())
}

impl Namespace {
    /// Runs a program there.
    #[track_caller]
    pub(crate) fn run(&self, command: &[&str]) {
        let output = self.within(|| Command::new(command[0]).args(&command[1..]).output().unwrap());
        assert!(output.status.success(), "{command:?}: {output:?}");
    }

    fn interfaces(&self) -> Vec<String> {
        self.within(|| {
            let interfaces = nix::net::if_::if_nameindex().unwrap();
            interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
        })
    }

    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(self.0.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            inside.join().unwrap()
        })
    }
}

fn sockets_of(process: Pid) -> Vec<OwnedFd> {
    // SAFETY: numbers only; the descriptor that comes back is ours.
    let pidfd = unsafe { made(libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0)) }.unwrap();
    let names = fs::read_dir(format!("/proc/{process}/fd")).unwrap().flatten();
    let numbers = names
        .filter(|entry| {
            fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        })
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i32>().ok());
    let copies = numbers.map(|number| {
        // SAFETY: as above.
        unsafe { made(libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0)) }
    });
    copies.filter_map(Result::ok).collect()
}

/// The network namespace of a socket (SIOCGSKNS in linux/sockios.h).
fn namespace_of(socket: &OwnedFd) -> io::Result<OwnedFd> {
    const SIOCGSKNS: libc::c_ulong = 0x894c;
    // SAFETY: the request takes no argument, and the descriptor that comes back is ours.
    unsafe { made(libc::c_long::from(libc::ioctl(socket.as_raw_fd(), SIOCGSKNS as _))) }
}

/// # Safety
/// A number that is not negative is a new descriptor that nobody else owns.
unsafe fn made(result: libc::c_long) -> io::Result<OwnedFd> {
    let number = i32::try_from(result).map_err(io::Error::other)?;
    if number < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

//! What the gateway gives up once it serves: whoever takes it over by a mistake in its parsers gets
//! sockets, and little else.
//!
//! The job cannot see the gateway at all. This is the second wall: no capability, no program to
//! execute, no file to open, no process but the run's own to signal, and no debugger from the same user.

mod landlock;
mod refused;

use std::path::Path;

use nix::sys::prctl;

use crate::error::{During, Result, Step};
use crate::job::{Job, drop_capabilities, forget_bounding_set, is_root};
use crate::syscall_filter::install;

pub(crate) use landlock::version as landlock_version;

/// CAP_KILL (linux/capability.h).
const KILL: u64 = 1 << 5;

/// Where libraries get random numbers if they do not find getrandom(2), as in static executables.
const RANDOM: [&str; 2] = ["/dev/random", "/dev/urandom"];

/// What a gateway that serves still does.
#[derive(Debug, Clone, Copy)]
pub struct Remaining {
    /// Passes a signal from the keyboard on to its own process group, others' processes included.
    pub keyboard: bool,
}

/// A confinement that is prepared.
#[derive(Debug)]
pub struct Guard {
    filter: Vec<libc::sock_filter>,
}

impl Guard {
    /// Does what takes time beforehand, and leaves the process all that the doctor's checks need.
    pub fn prepare(job: &Job) -> Guard {
        forget_bounding_set();
        Guard { filter: refused::program(job.init_pid()) }
    }

    /// Confines the process for good. Helper threads that exist already must have called
    /// [`confine_helper`]; those that are started later inherit everything.
    ///
    /// # Errors
    /// The kernel lacks system call filters, or one of the process's threads has a filter of its own.
    pub fn confine(&self, remaining: Remaining) -> Result<()> {
        prctl::set_no_new_privs().during(Step::Credentials, "giving up new privileges")?;
        // All threads at once.
        install(&self.filter, libc::SECCOMP_FILTER_FLAG_TSYNC)
            .during(Step::Credentials, "filtering the gateway's system calls")?;
        landlock::restrict(RANDOM.map(Path::new));
        let kept = if remaining.keyboard && is_root() { KILL } else { 0 };
        drop_capabilities(kept).during(Step::Credentials, "dropping the gateway's capabilities")?;
        prctl::set_dumpable(false).during(Step::Credentials, "closing the gateway to debuggers")
    }
}

/// Confines the calling thread, which opens no file any more. The filter of system calls is for
/// [`Guard::confine`] to set.
///
/// # Errors
/// The kernel refuses to take rights away, which no known one does.
pub fn confine_helper() -> Result<()> {
    prctl::set_no_new_privs().during(Step::Credentials, "giving up new privileges")?;
    landlock::restrict([]);
    forget_bounding_set();
    drop_capabilities(0).during(Step::Credentials, "dropping a thread's capabilities")
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::process::Command;

    use nix::sys::wait::{WaitStatus, waitpid};
    use nix::unistd::{ForkResult, fork};

    use super::*;

    /// What a confined process can do, as a letter each.
    fn abilities(readable: &[PathBuf]) -> String {
        let mut log = fs::File::create("/dev/null").unwrap();
        let mut host = fs::File::open("/etc/passwd").unwrap();
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        prctl::set_no_new_privs().unwrap();
        install(&refused::program(i32::MAX), libc::SECCOMP_FILTER_FLAG_TSYNC).unwrap();
        landlock::restrict(readable.iter().map(PathBuf::as_path));
        drop_capabilities(0).unwrap();
        let writing = OpenOptions::new().append(true).open("/dev/null");
        [
            ('w', log.write_all(b"open already").is_ok() && host.read(&mut [0]).is_ok()),
            ('d', TcpStream::connect(open.local_addr().unwrap()).is_ok()),
            ('u', UdpSocket::bind("127.0.0.1:0").is_ok()),
            ('t', std::thread::spawn(|| 1).join().is_ok()),
            ('p', fs::read("/etc/passwd").is_ok()),
            ('r', fs::read_dir("/etc").is_ok()),
            ('W', writing.is_ok()),
            ('L', TcpListener::bind("127.0.0.1:0").is_ok()),
            ('x', Command::new("/bin/true").status().is_ok()),
            ('k', nix::sys::signal::kill(nix::unistd::getppid(), None).is_ok()),
            ('s', UnixStream::connect("/nonexistent").unwrap_err().raw_os_error() == Some(libc::ENOENT)),
            ('n', nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWUSER).is_ok()),
        ]
        .into_iter()
        .filter_map(|(letter, able)| able.then_some(letter))
        .collect()
    }

    /// Asserts in a child, as confinement is for good.
    fn assert_abilities(readable: &[PathBuf], expected: &str) {
        // SAFETY: glibc's and musl's allocators work in the child of a threaded process, which makes
        // system calls besides, and ends without destructors.
        match unsafe { fork() }.unwrap() {
            ForkResult::Child => {
                let able = abilities(readable);
                let status = if able == expected {
                    0
                } else {
                    // Descriptor 2 is open already.
                    let _ = writeln!(std::io::stderr(), "able to {able}, not {expected}");
                    1
                };
                // SAFETY: as above.
                unsafe { libc::_exit(status) }
            }
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None).unwrap(), WaitStatus::Exited(child, 0));
            }
        }
    }

    #[test]
    fn a_confined_process_serves_and_does_nothing_else() {
        assert_abilities(&[], if landlock_version().is_some() { "wdut" } else { "wdutpr" });
        let readable = ["/etc/passwd".into(), "/no/such/file".into()];
        assert_abilities(&readable, if landlock_version().is_some() { "wdutp" } else { "wdutpr" });
    }
}

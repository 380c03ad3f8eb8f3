//! The thread on which everything in the internet namespace happens.

use std::future::Future;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};
use nix::unistd::gettid;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::files::Files;
use super::net;

/// Sockets opened and programs started by futures that run here are in the internet namespace.
#[derive(Debug)]
pub(crate) struct Inside {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
    thread_id: i32,
}

/// What a process on the host side has to enter.
#[derive(Debug)]
pub(crate) struct HostSide {
    pub(crate) net: OwnedFd,
    pub(crate) mounts: OwnedFd,
}

impl Inside {
    pub(crate) fn start(world: u32, files: Files) -> io::Result<(Self, HostSide)> {
        let (report, ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name(format!("internet {world}"))
            .spawn(move || live(&files, &report, stopped))?;
        let (handle, host, thread_id) =
            ready.recv_timeout(Duration::from_secs(20)).map_err(io::Error::other)??;
        Ok((Self { handle, stop: Some(stop), thread: Some(thread), thread_id }, host))
    }

    /// Runs a future there and waits for it.
    pub(crate) fn call<T, F>(&self, future: F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (report, answer) = mpsc::channel();
        self.handle.spawn(async move {
            let _ = report.send(future.await);
        });
        answer.recv_timeout(Duration::from_secs(20)).expect("the miniature internet answers")
    }

    /// The mounts of the world, as lines of `mountinfo`.
    pub(crate) fn mounts(&self) -> Vec<String> {
        let path = format!("/proc/self/task/{}/mountinfo", self.thread_id);
        std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
    }
}

impl HostSide {
    /// The names of the host's network interfaces.
    pub(crate) fn interfaces(&self) -> Vec<String> {
        self.there(|| {
            let interfaces = nix::net::if_::if_nameindex().unwrap();
            interfaces.iter().map(|interface| interface.name().to_string_lossy().into_owned()).collect()
        })
    }

    /// Carries out `ip` commands in the host's network.
    pub(crate) fn configure(&self, batch: &str) {
        self.there(|| net::configure(batch).unwrap());
    }

    /// Does something in the host's network, on a thread of its own.
    fn there<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let there = scope.spawn(|| {
                setns(self.net.as_fd(), CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            there.join().unwrap()
        })
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

type Ready = io::Result<(Handle, HostSide, i32)>;

fn live(files: &Files, report: &mpsc::Sender<Ready>, stopped: oneshot::Receiver<()>) {
    let entered = files.enter().and_then(|mounts| {
        let net = net::make_and_enter_internet()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok((runtime, HostSide { net, mounts }))
    });
    match entered {
        Err(error) => drop(report.send(Err(error))),
        Ok((runtime, host)) => {
            let _ = report.send(Ok((runtime.handle().clone(), host, gettid().as_raw())));
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        }
    }
}

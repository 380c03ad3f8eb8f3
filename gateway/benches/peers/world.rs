//! Two network namespaces and a veth pair: this process's own is the machine, the server's the
//! internet.

use std::io::{BufRead, BufReader, Write};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use nix::sched::{CloneFlags, unshare};

use crate::Result;

/// The machine's address.
pub(crate) const MACHINE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
/// The default gateway, which nobody has: pasta stands in for it, so it cannot be the server.
const NOBODY: &str = "203.0.113.254";
/// The server's address.
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 9);

/// Dropping it ends the server, and with it the namespaces.
pub(crate) struct World {
    server: Child,
}

impl World {
    /// Moves this process, which must have one thread, into a new network namespace and starts the
    /// server in another.
    pub(crate) fn build() -> Result<World> {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|error| format!("making a network namespace (run it as root): {error}"))?;
        let mut server = Command::new(std::env::current_exe()?)
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut words = BufReader::new(server.stdout.take().ok_or("no pipe from the server")?);
        expect(&mut words, "entered")?;
        let far = server.id();
        ip(&format!(
            "link set lo up\n\
             link add up0 type veth peer name down0 netns {far}\n\
             addr add {MACHINE}/24 dev up0\n\
             link set up0 up\n\
             route add default via {NOBODY}\n"
        ))?;
        // The server makes its end ready on this word.
        server.stdin.as_mut().ok_or("no pipe to the server")?.write_all(b"linked\n")?;
        expect(&mut words, "listening")?;
        Ok(World { server })
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // The server may have ended by itself; the wait collects it either way.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The server's end of the link, from inside its namespace.
pub(crate) fn configure_server() -> Result<()> {
    ip(&format!("link set lo up\naddr add {SERVER}/24 dev down0\nlink set down0 up\n"))
}

/// Waits for a line from a child.
pub(crate) fn expect(words: &mut impl BufRead, word: &str) -> Result<()> {
    let mut line = String::new();
    words.read_line(&mut line)?;
    if line.trim() == word { Ok(()) } else { Err(format!("expected {word:?}, got {line:?}").into()) }
}

fn ip(batch: &str) -> Result<()> {
    let mut child = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no pipe to ip")?.write_all(batch.as_bytes())?;
    if child.wait()?.success() { Ok(()) } else { Err("ip refused to configure the namespaces".into()) }
}

//! Who opens TLS: nobody, `cijail-net`, the peers.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Result;
use crate::load::Load;
use crate::server::HOST;
use crate::world::SERVER;

const CIJAIL_NET: &str = env!("CARGO_BIN_EXE_cijail-net");
const SQUID_CERTGEN: &str = "/usr/lib/squid/security_file_certgen";
/// The user that squid becomes.
const NOBODY: u32 = 65_534;
const PATIENCE: Duration = Duration::from_secs(20);

/// One column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    /// TLS with the server itself.
    Direct,
    /// A URL rule for the host.
    Jail,
    /// `mitmdump` as a proxy.
    Mitmproxy,
    /// `squid` with `ssl_bump bump`.
    Squid,
}

/// A peer that serves, until it is dropped.
pub(crate) struct Peer(Option<Child>);

impl Drop for Peer {
    fn drop(&mut self) {
        let Some(child) = &mut self.0 else { return };
        // squid takes its shared memory along only if it is asked to end.
        let _ = kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE && matches!(child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(50));
        }
        // It may have ended by itself; the wait collects it either way.
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Variant {
    pub(crate) const ALL: [Variant; 4] = [Variant::Direct, Variant::Jail, Variant::Mitmproxy, Variant::Squid];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Variant::Direct => "direct",
            Variant::Jail => "cijail-net",
            Variant::Mitmproxy => "mitmproxy",
            Variant::Squid => "squid",
        }
    }

    /// Why it cannot take part.
    pub(crate) fn missing(self) -> Option<&'static str> {
        match self {
            Variant::Direct | Variant::Jail => None,
            Variant::Mitmproxy => find("mitmdump")
                .is_none()
                .then_some("not in PATH: pip install mitmproxy, into an environment of its own"),
            Variant::Squid => {
                let there = find("squid").is_some() && Path::new(SQUID_CERTGEN).exists();
                (!there).then_some("not installed: apt-get install squid-openssl")
            }
        }
    }

    fn proxy(self) -> Option<u16> {
        match self {
            Variant::Direct | Variant::Jail => None,
            Variant::Mitmproxy => Some(8081),
            Variant::Squid => Some(8082),
        }
    }

    /// Starts what serves all rounds.
    pub(crate) fn start(self, scratch: &Path) -> Result<Peer> {
        let Some(port) = self.proxy() else { return Ok(Peer(None)) };
        let mut command = match self {
            Variant::Squid => squid(scratch, port)?,
            _ => mitmdump(scratch, port)?,
        };
        let log = fs::File::create(scratch.join(format!("{}.log", self.name())))?;
        let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let peer = Peer(Some(child));
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if start.elapsed() > PATIENCE {
                let said = fs::read_to_string(scratch.join(format!("{}.log", self.name())))?;
                return Err(format!("{} does not listen: {said}", self.name()).into());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(peer)
    }

    /// Carries the load once.
    pub(crate) fn load(self, scratch: &Path) -> Result<Load> {
        let own = std::env::current_exe()?;
        let mut command = match self {
            Variant::Jail => {
                let mut command = Command::new(CIJAIL_NET);
                command.args(["run", "--quiet", "--resolver", &SERVER.to_string()]);
                command.args(["--allow", &format!("GET https://{HOST}/"), "--upstream-ca"]);
                // The address without its name: the host is known by its server name.
                command.arg(scratch.join("server.pem")).arg("--").arg(own);
                command
            }
            _ => Command::new(own),
        };
        command.arg("load").args(self.proxy().map(|port| port.to_string()));
        let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&said).map_err(|_| format!("the load over {}: {said}", self.name()).into())
    }
}

fn mitmdump(scratch: &Path, port: u16) -> Result<Command> {
    let home = scratch.join("mitmproxy");
    fs::create_dir(&home)?;
    fs::copy(scratch.join("authority.pem"), home.join("mitmproxy-ca.pem"))?;
    let set = |name: &str, value: &Path| format!("{name}={}", value.display());
    let mut command = Command::new("mitmdump");
    command.args(["--quiet", "--listen-host", "127.0.0.1", "--listen-port", &port.to_string()]);
    command.args([
        "--set",
        &set("confdir", &home),
        "--set",
        "flow_detail=0",
        "--set",
        "stream_large_bodies=1m",
    ]);
    command.args(["--set", &set("ssl_verify_upstream_trusted_ca", &scratch.join("server.pem"))]);
    Ok(command)
}

fn squid(scratch: &Path, port: u16) -> Result<Command> {
    let place = scratch.display();
    let made = Command::new(SQUID_CERTGEN)
        .args(["-c", "-s"])
        .arg(scratch.join("certificates"))
        .args(["-M", "4MB"])
        .stdout(Stdio::null())
        .status()?;
    if !made.success() {
        return Err("squid's store of certificates cannot be made".into());
    }
    // It gives up root.
    let store = scratch.join("certificates");
    for entry in fs::read_dir(&store)? {
        chown(entry?.path(), Some(NOBODY), None)?;
    }
    chown(&store, Some(NOBODY), None)?;
    let config = format!(
        "http_port 127.0.0.1:{port} ssl-bump cert={place}/authority.pem generate-host-certificates=on \
         dynamic_cert_mem_cache_size=4MB\n\
         sslcrtd_program {SQUID_CERTGEN} -s {place}/certificates -M 4MB\n\
         sslcrtd_children 2 startup=2\n\
         tls_outgoing_options cafile={place}/server.pem\n\
         acl first at_step SslBump1\nssl_bump peek first\nssl_bump bump all\n\
         http_access allow all\ncache deny all\naccess_log none\ncache_log /dev/null\n\
         pid_filename none\ncache_effective_user nobody\ncoredump_dir /tmp\nshutdown_lifetime 0\n"
    );
    let path = scratch.join("squid.conf");
    fs::write(&path, config)?;
    let mut command = Command::new("squid");
    command.args(["-N", "-f"]).arg(path);
    Ok(command)
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|place| place.join(program))
        .find(|path| path.exists())
}

//! The real PostgreSQL server.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::prctl;
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::files::give_away;
use crate::private_user::PrivateUser;

const READY: &str = "ready to accept connections";

/// To be called in the internet namespace, on its runtime. Comes back when the server is ready.
pub(crate) async fn start(directory: &Path, address: Ipv4Addr) -> io::Result<()> {
    let programs = programs()?;
    fs::create_dir(directory)?;
    give_away(directory)?;
    let data = directory.join("data");
    let made = unprivileged(&programs.join("initdb"))
        .args(["--no-sync", "--auth=trust", "--username=runner", "-D"])
        .arg(&data)
        .output()
        .await?;
    if !made.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    fs::write(data.join("pg_hba.conf"), "host all runner all trust\n")?;
    let mut server = unprivileged(&programs.join("postgres"))
        .arg("-D")
        .arg(&data)
        .args([
            "-c",
            &format!("listen_addresses={address}"),
            "-c",
            "unix_socket_directories=",
            "-c",
            "fsync=off",
        ])
        .stderr(Stdio::piped())
        .spawn()?;
    let mut messages = BufReader::new(server.stderr.take().expect("it was piped")).lines();
    let mut said = String::new();
    loop {
        match messages.next_line().await? {
            Some(line) if line.contains(READY) => break,
            Some(line) => said += &line,
            None => return Err(io::Error::other(said)),
        }
    }
    tokio::spawn(async move {
        while let Ok(Some(_)) = messages.next_line().await {}
        server.wait().await
    });
    Ok(())
}

/// Distributions keep them out of the path, by version.
fn programs() -> io::Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .find(|programs| programs.join("initdb").exists())
        .ok_or_else(|| io::Error::other("no PostgreSQL server in /usr/lib/postgresql"))
}

fn unprivileged(program: &Path) -> Command {
    let user = PrivateUser::new();
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    // SAFETY: the closure makes system calls only.
    unsafe {
        command.pre_exec(move || {
            user.assume()?;
            Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
        })
    };
    command
}

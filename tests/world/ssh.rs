//! OpenSSH's server, one process for each connection, run by a user without privileges.

use std::fs::{self, Permissions};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use tokio::net::TcpStream;

use super::files::give_away;
use super::sockets;
use crate::enter;
use crate::private_user::PrivateUser;
use crate::suite::Mode;

const PORT: u16 = 22;

#[derive(Clone, Debug)]
pub(crate) struct SshServer {
    directory: PathBuf,
}

impl SshServer {
    /// Makes the keys and the configuration.
    pub(crate) fn furnish(directory: &Path) -> Self {
        fs::create_dir(directory).unwrap();
        let server = Self { directory: directory.to_owned() };
        for key in [server.host_key(), server.client_key()] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
        }
        fs::copy(server.client_key().with_extension("pub"), directory.join("authorized_keys")).unwrap();
        give_away(&server.host_key()).unwrap();
        let configuration = format!(
            "HostKey {0}/host_key\nAuthorizedKeysFile {0}/authorized_keys\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nPidFile none\nUseDNS no\n",
            directory.display()
        );
        fs::write(server.configuration(), configuration).unwrap();
        server
    }

    /// A client's command line, up to the destination.
    pub(crate) fn client_command(&self, mode: Mode) -> String {
        let key = self.directory.join(format!("key_of_{}", mode.name()));
        fs::copy(self.client_key(), &key).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        if mode == Mode::Rootless {
            give_away(&key).unwrap();
        }
        format!(
            "ssh -i {} -o IdentitiesOnly=yes -o BatchMode=yes -o StrictHostKeyChecking=no \
             -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            key.display()
        )
    }

    /// To be called in the internet namespace, on its runtime.
    pub(crate) fn listen(&self, address: IpAddr) -> io::Result<()> {
        let listener = sockets::tcp_listener(SocketAddr::new(address, PORT))?;
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if let Err(error) = server.serve(stream) {
                    eprintln!("sshd does not start: {error}");
                }
            }
        });
        Ok(())
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let stream = stream.into_std()?;
        stream.set_nonblocking(false)?;
        let stream = OwnedFd::from(stream);
        let user = PrivateUser::new();
        let mut command = tokio::process::Command::new("/usr/sbin/sshd");
        command
            .args(["-i", "-f"])
            .arg(self.configuration())
            .arg("-E")
            .arg("/dev/null")
            .stdin(Stdio::from(stream.try_clone()?))
            .stdout(Stdio::from(stream))
            .stderr(Stdio::null())
            .kill_on_drop(true);
        // SAFETY: the closure makes system calls only.
        unsafe {
            command.pre_exec(move || {
                user.assume()?;
                Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
            })
        };
        let mut child = command.spawn()?;
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }

    fn configuration(&self) -> PathBuf {
        self.directory.join("sshd_config")
    }

    fn host_key(&self) -> PathBuf {
        self.directory.join("host_key")
    }

    fn client_key(&self) -> PathBuf {
        self.directory.join("key")
    }
}

fn run(command: &mut Command) {
    let output = command.current_dir(enter::scratch()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

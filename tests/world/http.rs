//! HTTP/1.1 as a test's server speaks it: plain, strict about nothing, remembering everything.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};

use super::{cgi, proxy};

const LONGEST_HEAD: u64 = 1 << 20;
const CHUNK: usize = 1 << 16;
/// Of a body that is sent there only the length is kept.
const SINK: &str = "/sink";

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// The request target as it came.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Where the client believes to be connected to.
    pub(crate) server: SocketAddr,
    pub(crate) client: SocketAddr,
    /// `None` without TLS, empty without SNI.
    pub(crate) sni: Option<String>,
}

impl Request {
    pub(crate) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// What a server does about a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Full {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// That many bytes of nothing in particular.
    Bytes(u64),
    /// 101, then every byte comes back.
    Upgrade,
    /// A body with `grpc-status: 0` after it.
    Trailers,
    /// No answer, the connection stays open.
    Silence,
    /// The connection ends without an answer.
    HangUp,
    /// What a CGI program (RFC 3875) says.
    Cgi {
        program: PathBuf,
        arguments: Vec<String>,
        environment: BTreeMap<String, String>,
    },
    /// As a proxy: a connection to this address.
    Tunnel(SocketAddr),
    /// As a proxy: what the origin at this address says.
    Forward(SocketAddr),
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Full { status: 200, headers: Vec::new(), body: body.into() }
    }

    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Self::ok(body).with_header("content-type", "application/json")
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Full { status, headers: Vec::new(), body: format!("{status}\n").into_bytes() }
    }

    pub(crate) fn redirect(location: &str) -> Self {
        Self::status(302).with_header("location", location)
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Full { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// Decides about requests, and is where they are remembered.
pub(crate) trait Handler: Send + Sync {
    fn handle(&self, request: Request) -> Reply;

    /// Whether to end each connection after one request.
    fn one_request_each(&self) -> bool {
        false
    }
}

/// What is known of a connection before its first request.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) server: SocketAddr,
    pub(crate) client: SocketAddr,
    pub(crate) sni: Option<String>,
}

/// Serves a connection until either side has had enough.
pub(crate) async fn serve<S>(stream: S, origin: Origin, handler: Arc<dyn Handler>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = BufReader::new(stream);
    while let Some(request) = read_request(&mut stream, &origin).await? {
        let close = handler.one_request_each()
            || request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let head_only = request.method == "HEAD";
        let body = request.body.clone();
        match handler.handle(request.clone()) {
            Reply::Full { status, headers, body } => {
                write_head(&mut stream, status, &headers, body.len() as u64, close).await?;
                if !head_only {
                    stream.write_all(&body).await?;
                }
            }
            Reply::Bytes(count) => {
                write_head(&mut stream, 200, &[], count, close).await?;
                write_bytes(&mut stream, count).await?;
            }
            Reply::Upgrade => return echo_upgraded(&mut stream).await,
            Reply::Trailers => {
                let chunks = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: grpc-status\r\n\r\n\
                    8\r\ntrailing\r\n0\r\ngrpc-status: 0\r\n\r\n";
                stream.write_all(chunks).await?;
            }
            Reply::Silence => return drain(&mut stream).await,
            Reply::HangUp => return Ok(()),
            Reply::Cgi { program, arguments, environment } => {
                let (status, headers, body) = cgi::run(&program, &arguments, &environment, body).await?;
                write_head(&mut stream, status, &headers, body.len() as u64, close).await?;
                stream.write_all(&body).await?;
            }
            Reply::Tunnel(to) => return proxy::tunnel(&mut stream, to).await,
            Reply::Forward(to) => return proxy::forward(&mut stream, &request, to).await,
        }
        stream.flush().await?;
        if close {
            break;
        }
    }
    stream.shutdown().await
}

async fn read_request<S>(stream: &mut BufReader<S>, origin: &Origin) -> io::Result<Option<Request>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(first) = read_line(stream).await? else { return Ok(None) };
    let mut words = first.split(' ');
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let mut headers = Vec::new();
    loop {
        match read_line(stream).await? {
            None => return Ok(None),
            Some(line) if line.is_empty() => break,
            Some(line) => {
                let (name, value) = line.split_once(':').unwrap_or((&line, ""));
                headers.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    let mut request = Request {
        method,
        target,
        headers,
        body: Vec::new(),
        server: origin.server,
        client: origin.client,
        sni: origin.sni.clone(),
    };
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        stream.flush().await?;
    }
    request.body = read_body(stream, &request).await?;
    Ok(Some(request))
}

async fn read_body<S>(stream: &mut BufReader<S>, request: &Request) -> io::Result<Vec<u8>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut body = Vec::new();
    if request.path() == SINK
        && let Some(length) = request.header("content-length").and_then(|length| length.parse().ok())
    {
        let read = tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
        return Ok(read.to_string().into_bytes());
    }
    if request.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(stream).await?.unwrap_or_default();
            let size = line.split(';').next().unwrap_or_default();
            let size = u64::from_str_radix(size, 16).map_err(io::Error::other)?;
            (&mut *stream).take(size).read_to_end(&mut body).await?;
            read_line(stream).await?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = request.header("content-length").and_then(|length| length.parse().ok()) {
        stream.take(length).read_to_end(&mut body).await?;
    }
    Ok(body)
}

async fn read_line<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    stream.take(LONGEST_HEAD).read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(String::from_utf8_lossy(&line).into_owned()))
}

async fn write_head<S: AsyncWrite + Unpin>(
    stream: &mut S,
    status: u16,
    headers: &[(String, String)],
    length: u64,
    close: bool,
) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {status} {}\r\ncontent-length: {length}\r\n", reason(status));
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if close {
        head += "connection: close\r\n";
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).await
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        302 => "Found",
        304 => "Not Modified",
        404 => "Not Found",
        _ => "Something",
    }
}

async fn write_bytes<S: AsyncWrite + Unpin>(stream: &mut S, count: u64) -> io::Result<()> {
    let chunk = vec![b'.'; CHUNK];
    let mut left = count;
    while left > 0 {
        let size = left.min(CHUNK as u64);
        stream.write_all(&chunk[..size as usize]).await?;
        left -= size;
    }
    Ok(())
}

async fn echo_upgraded<S>(stream: &mut BufReader<S>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .await?;
    stream.flush().await?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..length]).await?;
        stream.flush().await?;
    }
}

async fn drain<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

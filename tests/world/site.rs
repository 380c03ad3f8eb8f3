//! A web site: a name, its addresses, HTTP on 80, HTTPS on 443, and a memory.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::http::{self, Handler, Origin, Reply, Request};
use super::meter::{Metered, Meters, Volume};
use super::{http2, sockets};

type Respond = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// Answers, besides what a test adds: `/` a greeting, `/echo` the body, `/sink` its length, `/bytes/N` N bytes, `/redirect?URL`,
/// `/headers` the request's headers, `/ws` an upgrade, `/trailers` a body with trailers, `/silence`, `/hangup`; everything else is 404.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) name: String,
    pub(crate) v4: Ipv4Addr,
    pub(crate) v6: Ipv6Addr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    name: String,
    one_request_each: bool,
    fixed: Mutex<HashMap<String, Reply>>,
    respond: Mutex<Option<Arc<Respond>>>,
    requests: Mutex<Vec<Request>>,
    meters: Meters,
}

impl Site {
    pub(crate) fn new(name: &str, v4: Ipv4Addr, v6: Ipv6Addr, one_request_each: bool) -> Self {
        let state = State { name: name.to_owned(), one_request_each, ..State::default() };
        Self { name: name.to_owned(), v4, v6, state: Arc::new(state) }
    }

    /// Gives a path a fixed answer.
    pub(crate) fn page(&self, path: &str, reply: Reply) -> &Self {
        self.state.fixed.lock().unwrap().insert(path.to_owned(), reply);
        self
    }

    /// Gives every path that has no fixed answer to a function first.
    pub(crate) fn respond(
        &self,
        respond: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static,
    ) -> &Self {
        *self.state.respond.lock().unwrap() = Some(Arc::new(respond));
        self
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.requests.lock().unwrap().clone()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.target).collect()
    }

    /// TCP connections accepted so far.
    pub(crate) fn connections(&self) -> usize {
        self.state.meters.len()
    }

    /// What each connection to this port carried so far, TLS included.
    pub(crate) fn carried(&self, port: u16) -> Vec<Volume> {
        self.state.meters.of_port(port)
    }

    pub(crate) fn addresses(&self) -> [IpAddr; 2] {
        [self.v4.into(), self.v6.into()]
    }

    /// Opens further ports; to be called in the internet namespace, on its runtime.
    pub(crate) fn listen(&self, port: u16, tls: Option<&Arc<ServerConfig>>) -> io::Result<()> {
        for address in self.addresses() {
            let listener = sockets::tcp_listener(SocketAddr::new(address, port))?;
            tokio::spawn(accept(listener, self.state.clone(), tls.cloned()));
        }
        Ok(())
    }
}

async fn accept(listener: TcpListener, state: Arc<State>, tls: Option<Arc<ServerConfig>>) {
    loop {
        let Ok((stream, client)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let Ok(server) = stream.local_addr() else { continue };
        let stream = state.meters.watch(stream, server.port());
        tokio::spawn(converse(stream, server, client, state.clone(), tls.clone()));
    }
}

async fn converse(
    stream: Metered,
    server: SocketAddr,
    client: SocketAddr,
    state: Arc<State>,
    tls: Option<Arc<ServerConfig>>,
) -> io::Result<()> {
    let Some(config) = tls else {
        return http::serve(stream, Origin { server, client, sni: None }, state).await;
    };
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let sni = stream.get_ref().1.server_name().unwrap_or_default().to_owned();
    let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let origin = Origin { server, client, sni: Some(sni) };
    if http2 { http2::serve(stream, origin, state).await } else { http::serve(stream, origin, state).await }
}

impl Handler for State {
    fn handle(&self, request: Request) -> Reply {
        let reply = self.reply(&request);
        self.requests.lock().unwrap().push(request);
        reply
    }

    fn one_request_each(&self) -> bool {
        self.one_request_each
    }
}

impl State {
    fn reply(&self, request: &Request) -> Reply {
        if let Some(reply) = self.fixed.lock().unwrap().get(request.path()) {
            return reply.clone();
        }
        let respond = self.respond.lock().unwrap().clone();
        respond.and_then(|respond| respond(request)).unwrap_or_else(|| self.usual(request))
    }

    fn usual(&self, request: &Request) -> Reply {
        // A client may name the whole URL (RFC 9112, section 3.2.2).
        let path = match request.path().split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => request.path(),
        };
        match path {
            "/" => Reply::ok(format!("hello from {}\n", self.name)),
            "/echo" | "/sink" => Reply::ok(request.body.clone()),
            "/headers" => Reply::ok(
                request.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>(),
            ),
            "/redirect" => Reply::redirect(request.query()),
            "/ws" => Reply::Upgrade,
            "/trailers" => Reply::Trailers,
            "/silence" => Reply::Silence,
            "/hangup" => Reply::HangUp,
            path => match path.strip_prefix("/bytes/").and_then(|count| count.parse().ok()) {
                Some(count) => Reply::Bytes(count),
                None => Reply::status(404),
            },
        }
    }
}

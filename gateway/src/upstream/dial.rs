//! Dials what was decided: a name, resolved by the gateway itself, or an allowed address.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dns::{Dns, LookupError};
use policy::{Name, Reason};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::eyeballs::{self, MoreAddresses};
use super::proxy::{ParentProxies, ProxyError};

/// Where a connection goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A decided name. `preferred` is the address that the job itself took from an answer for this
    /// name; any other that it may have chosen is never dialled.
    Name {
        /// The name.
        name: Name,
        /// The port.
        port: u16,
        /// An address that the gateway resolved for the name.
        preferred: Option<SocketAddr>,
    },
    /// An address that a rule allows, or any in monitor mode.
    Address(SocketAddr),
}

/// A connection to the outside.
#[derive(Debug)]
pub struct Dialed {
    /// The stream; with a parent proxy the tunnel through it.
    pub stream: TcpStream,
    /// The authorization for plain HTTP requests, when they go to a parent proxy as they are.
    pub http_proxy: Option<HttpProxy>,
}

/// How plain HTTP goes through a parent proxy: with absolute targets and this header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProxy {
    /// The value of `Proxy-Authorization`, if the proxy's URL has credentials.
    pub authorization: Option<String>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address that may be dialled.
    #[error("{0}")]
    Lookup(#[from] LookupError),
    /// No address answered.
    #[error("connecting to {to}")]
    Connect {
        /// The name or address.
        to: String,
        /// What the last attempt said.
        source: io::Error,
    },
    /// The parent proxy refused.
    #[error("through the parent proxy")]
    Proxy(#[from] ProxyError),
}

impl DialError {
    /// The word for logs and denial texts.
    pub fn reason(&self) -> Reason {
        match self {
            DialError::Lookup(error) => error.reason(),
            DialError::Connect { .. } | DialError::Proxy(_) => Reason::UpstreamFailed,
        }
    }
}

/// Dials for a whole run.
#[derive(Clone)]
pub struct Dialer {
    dns: Arc<Dns>,
    proxies: Arc<ParentProxies>,
    timeout: Duration,
}

impl Dialer {
    /// `timeout` bounds a connection over all its addresses.
    pub fn new(dns: Arc<Dns>, proxies: ParentProxies, timeout: Duration) -> Dialer {
        Dialer { dns, proxies: Arc::new(proxies), timeout }
    }

    /// Connects for bytes that are relayed as they are.
    ///
    /// # Errors
    /// The name has no address that may be dialled, or nobody answered.
    pub async fn dial(&self, destination: &Destination) -> Result<TcpStream, DialError> {
        let deadline = Instant::now() + self.timeout;
        let stream = match self.proxies.for_tunnel(destination) {
            Some(proxy) => {
                let stream = self.direct(&proxy.destination(), deadline).await?;
                proxy.tunnel(stream, destination, deadline).await?
            }
            None => self.direct(destination, deadline).await?,
        };
        Ok(stream)
    }

    /// Connects for plain HTTP requests.
    ///
    /// # Errors
    /// As [`Dialer::dial`].
    pub async fn dial_http(&self, destination: &Destination) -> Result<Dialed, DialError> {
        match self.proxies.for_http(destination) {
            Some(proxy) => {
                let stream = self.direct(&proxy.destination(), Instant::now() + self.timeout).await?;
                Ok(Dialed { stream, http_proxy: Some(HttpProxy { authorization: proxy.authorization() }) })
            }
            None => Ok(Dialed { stream: self.dial(destination).await?, http_proxy: None }),
        }
    }

    /// The address that datagrams for the destination go to.
    ///
    /// # Errors
    /// The name has no address that may be used.
    pub async fn datagram_address(&self, destination: &Destination) -> Result<SocketAddr, DialError> {
        match destination {
            Destination::Address(address) | Destination::Name { preferred: Some(address), .. } => {
                Ok(*address)
            }
            Destination::Name { name, port, preferred: None } => {
                let addresses = self.dns.addresses(name).await?;
                // Without a handshake there is no telling which family works; IPv4 mostly does.
                let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
                first
                    .map(|address| SocketAddr::new(*address, *port))
                    .ok_or_else(|| LookupError::NoAddress(name.clone()).into())
            }
        }
    }

    async fn direct(&self, destination: &Destination, deadline: Instant) -> Result<TcpStream, DialError> {
        let (connected, to) = match destination {
            Destination::Address(address) => {
                (eyeballs::connect(vec![*address], None, deadline).await, address.to_string())
            }
            Destination::Name { name, port, preferred: Some(address) } => {
                // The others are only looked up if this one is slow.
                let more: MoreAddresses<'_> = Box::pin(async {
                    let found = self.dns.every_address(name).await;
                    eyeballs::interleave(found.into_iter().map(|address| SocketAddr::new(address, *port)))
                });
                (eyeballs::connect(vec![*address], Some(more), deadline).await, format!("{name}:{port}"))
            }
            Destination::Name { name, port, preferred: None } => {
                let found = self.dns.addresses(name).await?;
                let sorted =
                    eyeballs::interleave(found.into_iter().map(|address| SocketAddr::new(address, *port)));
                (eyeballs::connect(sorted, None, deadline).await, format!("{name}:{port}"))
            }
        };
        let stream = connected.map_err(|source| DialError::Connect { to, source })?;
        // Requests and answers are small and each is waited for; the relay writes whole reads.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }
}

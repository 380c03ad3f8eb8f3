//! The parent proxies of the gateway's own environment: how jobs get out where only a proxy does.

use std::io;
use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use ipnet::IpNet;
use policy::Name;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::dial::Destination;
use crate::relay::write_all;
use crate::sniff::authority::{self, Authority, Host};

/// Octets in a proxy's answer to CONNECT.
const MAX_ANSWER: usize = 16 * 1024;
const DEFAULT_PORT: u16 = 80;

/// The proxies by use, and whom they are not for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParentProxies {
    http: Option<Proxy>,
    tunnel: Option<Proxy>,
    exempt: Vec<Exempt>,
}

/// An HTTP proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proxy {
    host: Host,
    port: u16,
    authorization: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Exempt {
    Everything,
    Suffix(String),
    Network(IpNet),
}

/// A parent proxy that cannot be used, or did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The environment names a proxy in a way that is not understood.
    #[error("{variable}={value} is no proxy that cijail-net can use: {why}; write http://host:port")]
    Invalid {
        /// The variable.
        variable: String,
        /// Its value, without credentials.
        value: String,
        /// What is wrong.
        why: &'static str,
    },
    /// The proxy answered something other than success.
    #[error("the parent proxy answered {0}")]
    Refused(String),
    /// The proxy broke off.
    #[error("talking to the parent proxy")]
    Io(#[from] io::Error),
}

impl ParentProxies {
    /// Reads the usual variables; `variable` looks one up. The lower-case form wins, as in curl.
    ///
    /// # Errors
    /// A variable holds something other than an `http://` proxy.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<ParentProxies, ProxyError> {
        let read = |names: &[&str]| -> Result<Option<Proxy>, ProxyError> {
            for name in names {
                for name in [name.to_ascii_lowercase(), name.to_ascii_uppercase()] {
                    if let Some(value) = variable(&name).filter(|value| !value.is_empty()) {
                        return Proxy::parse(&name, &value).map(Some);
                    }
                }
            }
            Ok(None)
        };
        let exempt = ["no_proxy", "NO_PROXY"].into_iter().find_map(&variable).unwrap_or_default();
        Ok(ParentProxies {
            http: read(&["http_proxy", "all_proxy"])?,
            tunnel: read(&["https_proxy", "all_proxy"])?,
            exempt: exempt.split([',', ' ']).filter_map(exemption).collect(),
        })
    }

    /// The names of the proxies, which must resolve although nothing else of them is allowed.
    pub fn names(&self) -> Vec<Name> {
        let hosts = [&self.http, &self.tunnel].into_iter().flatten().map(|proxy| &proxy.host);
        hosts.filter_map(|host| if let Host::Name(name) = host { Some(name.clone()) } else { None }).collect()
    }

    pub(super) fn for_tunnel(&self, destination: &Destination) -> Option<&Proxy> {
        self.tunnel.as_ref().filter(|_| !self.is_exempt(destination))
    }

    pub(super) fn for_http(&self, destination: &Destination) -> Option<&Proxy> {
        // A decided address is reached by a tunnel: as a request, the proxy would look up its Host.
        let named = matches!(destination, Destination::Name { .. });
        self.http.as_ref().filter(|_| named && !self.is_exempt(destination))
    }

    fn is_exempt(&self, destination: &Destination) -> bool {
        // What only exists on this machine is never behind a proxy.
        if matches!(destination, Destination::Address(to) if to.ip().is_loopback()) {
            return true;
        }
        self.exempt.iter().any(|exempt| match (exempt, destination) {
            (Exempt::Everything, _) => true,
            (Exempt::Suffix(suffix), Destination::Name { name, .. }) => {
                let name = name.as_str();
                name == suffix || name.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.'))
            }
            (Exempt::Network(network), Destination::Address(to)) => network.contains(&to.ip()),
            _ => false,
        })
    }
}

fn exemption(text: &str) -> Option<Exempt> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    if text == "*" {
        return Some(Exempt::Everything);
    }
    if let Ok(network) = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)) {
        return Some(Exempt::Network(network));
    }
    // A port after the name is for those who look at ports.
    let text = text.rsplit_once(':').map_or(text, |(host, _)| host);
    Some(Exempt::Suffix(text.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase()))
}

impl Proxy {
    fn parse(variable: &str, value: &str) -> Result<Proxy, ProxyError> {
        let rest = value.split_once("://").map_or(value, |(_, rest)| rest);
        let (credentials, host) = match rest.rsplit_once('@') {
            Some((credentials, host)) => (Some(credentials), host),
            None => (None, rest),
        };
        let shown = || value.replace(credentials.unwrap_or("\0"), "***");
        let invalid = |why| ProxyError::Invalid { variable: variable.to_owned(), value: shown(), why };
        match value.split_once("://").map(|(scheme, _)| scheme) {
            None | Some("http") => {}
            Some(_) => return Err(invalid("only http:// proxies are supported")),
        }
        let host = host.split(['/', '?']).next().unwrap_or(host);
        let Authority { host, port } =
            authority::parse(host.as_bytes()).map_err(|error| invalid(error.as_str()))?;
        let authorization = credentials.map(basic);
        Ok(Proxy { host, port: port.unwrap_or(DEFAULT_PORT), authorization })
    }

    pub(super) fn destination(&self) -> Destination {
        match &self.host {
            Host::Name(name) => Destination::Name { name: name.clone(), port: self.port, preferred: None },
            Host::Address(address) => Destination::Address(SocketAddr::new(*address, self.port)),
        }
    }

    pub(super) fn authorization(&self) -> Option<String> {
        self.authorization.clone()
    }

    /// Asks for a tunnel (RFC 9110 section 9.3.6) and returns the stream at its first byte.
    pub(super) async fn tunnel(
        &self,
        stream: TcpStream,
        destination: &Destination,
        deadline: Instant,
    ) -> Result<TcpStream, ProxyError> {
        let target = match destination {
            Destination::Name { name, port, .. } => format!("{name}:{port}"),
            Destination::Address(address) => address.to_string(),
        };
        let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &self.authorization {
            request.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        request.push_str("\r\n");
        let exchange = async {
            write_all(&stream, request.as_bytes()).await?;
            read_answer(stream).await
        };
        timeout_at(deadline, exchange).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

/// Reads up to the blank line, byte by byte: what follows belongs to the tunnel.
async fn read_answer(mut stream: TcpStream) -> Result<TcpStream, ProxyError> {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() >= MAX_ANSWER {
            return Err(ProxyError::Refused("an endless head".to_owned()));
        }
        answer.push(stream.read_u8().await?);
    }
    let line = answer.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let status = line.split(|&byte| byte == b' ').nth(1).unwrap_or_default();
    match status {
        [b'2', _, _] => Ok(stream),
        _ => Err(ProxyError::Refused(String::from_utf8_lossy(line).into_owned())),
    }
}

/// Credentials from a URL as RFC 7617 sends them.
fn basic(credentials: &str) -> String {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(credentials).collect();
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(decoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<ParentProxies, ProxyError> {
        ParentProxies::from_environment(|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    fn name(text: &str, port: u16) -> Destination {
        Destination::Name { name: Name::parse(text).unwrap(), port, preferred: None }
    }

    #[test]
    fn reads_the_environment() {
        let parent = proxies(&[
            ("HTTPS_PROXY", "http://user:p%40ss@proxy.example:3128/"),
            ("http_proxy", "192.0.2.8:8080"),
            ("NO_PROXY", "localhost, .internal.example,192.0.2.9"),
        ])
        .unwrap();
        let tunnel = parent.for_tunnel(&name("a.example", 443)).unwrap();
        assert_eq!(tunnel.destination(), name("proxy.example", 3128));
        assert_eq!(tunnel.authorization.as_deref(), Some("Basic dXNlcjpwQHNz"));
        assert!(parent.for_http(&name("a.example", 80)).is_some());
        assert!(parent.for_tunnel(&name("x.internal.example", 443)).is_none());
        assert!(parent.for_tunnel(&name("xinternal.example", 443)).is_some());
        assert!(parent.for_tunnel(&Destination::Address("192.0.2.9:443".parse().unwrap())).is_none());
        assert_eq!(parent.names(), [Name::parse("proxy.example").unwrap()]);
    }

    #[test]
    fn refuses_what_it_cannot_use_without_showing_credentials() {
        let error = proxies(&[("https_proxy", "socks5://user:secret@h:1")]).unwrap_err().to_string();
        assert!(error.contains("https_proxy=socks5://***@h:1") && !error.contains("secret"), "{error}");
        assert!(proxies(&[("ALL_PROXY", "http://h:0")]).is_err());
        assert_eq!(proxies(&[("HTTPS_PROXY", "")]).unwrap(), ParentProxies::default());
    }
}

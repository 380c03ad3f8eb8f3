//! What rules in Rego are asked about. Pure.

use std::net::IpAddr;

use policy::{Name, Request, normal_path};

/// Octets in the texts of a question that is kept.
const SHORT: usize = 1024;

/// One thing that the job wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// What it speaks.
    pub protocol: Protocol,
    /// The host that it names.
    pub name: Option<String>,
    /// The address that it is sent to; absent for a question for a name.
    pub address: Option<IpAddr>,
    /// The port that it sent to.
    pub port: Option<u16>,
    /// Of an HTTP request.
    pub method: Option<String>,
    /// Of an HTTP request, without the query, its path in normal form.
    pub url: Option<String>,
}

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Learning the addresses of a name.
    Dns,
    /// TLS that stays closed, or is about to be opened.
    Tls,
    /// A request.
    Http,
    /// A tunnel by CONNECT; what is inside is asked about as well.
    Connect,
    /// Other bytes over TCP.
    Tcp,
    /// Datagrams.
    Udp,
}

impl Question {
    /// Of this protocol, and nothing else yet.
    pub fn new(protocol: Protocol) -> Question {
        Question { protocol, name: None, address: None, port: None, method: None, url: None }
    }

    /// For the addresses of a name.
    pub fn resolve(name: &Name) -> Question {
        Question { name: Some(name.to_string()), ..Question::new(Protocol::Dns) }
    }

    /// What a policy is asked about; `None` for what rules in Rego have no say in.
    pub fn about(request: &Request<'_>) -> Option<Question> {
        let (protocol, port) = match *request {
            Request::Resolve { .. } => (Protocol::Dns, None),
            Request::Tls { port, .. } => (Protocol::Tls, Some(port)),
            Request::Http { port, .. } => (Protocol::Http, Some(port)),
            Request::Tcp { port, .. } => (Protocol::Tcp, Some(port)),
            Request::Udp { port, .. } => (Protocol::Udp, Some(port)),
            Request::TcpAddress { destination } => (Protocol::Tcp, Some(destination.port())),
            Request::UdpAddress { destination } => (Protocol::Udp, Some(destination.port())),
            Request::Resolved { .. } | Request::DnsServer { .. } => return None,
        };
        let (name, address) = (request.name().map(Name::to_string), request.address());
        let mut question = Question { name, address, port, ..Question::new(protocol) };
        if let Request::Http { scheme, host, port, method, path } = *request {
            let port = if port == scheme.default_port() { String::new() } else { format!(":{port}") };
            question.method = Some(method.to_owned());
            question.url = Some(format!("{scheme}://{host}{port}{}", normal_path(path)));
        }
        Some(question)
    }

    /// Whether it takes no more memory than is fit to be kept.
    pub(super) fn is_short(&self) -> bool {
        let texts = [&self.name, &self.method, &self.url];
        texts.into_iter().flatten().map(String::len).sum::<usize>() <= SHORT
    }
}

impl Protocol {
    /// The word in the input.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Dns => "dns",
            Protocol::Tls => "tls",
            Protocol::Http => "http",
            Protocol::Connect => "connect",
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }
}

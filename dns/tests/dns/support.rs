//! A resolver on loopback that lies as it is told and remembers what it was asked, and the DNS
//! under test in front of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use dns::{Answered, Dns, DnsRecord, HostFiles, Transport};
use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::rdata::{A, AAAA, CNAME};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use policy::{Policy, PolicyBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// The gateway's own address, as the job sees it.
pub(crate) const OWN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 53);

/// Gives the messages to send back; each is encoded as it stands.
type Behaviour = Arc<dyn Fn(&Message, Transport) -> Vec<Vec<u8>> + Send + Sync>;

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Upstream {
    pub(crate) async fn start(
        behaviour: impl Fn(&Message, Transport) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Upstream {
        let behaviour: Behaviour = Arc::new(behaviour);
        // The port of one protocol may be taken in the other.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let upstream = Upstream { address, seen: seen.clone() };
        tokio::spawn(serve_udp(udp, behaviour.clone(), seen.clone()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                tokio::spawn(serve_tcp(stream, behaviour.clone(), seen.clone()));
            }
        });
        upstream
    }

    /// Answers every question with these records.
    pub(crate) async fn with(records: Vec<Record>) -> Upstream {
        Upstream::start(move |query, _| vec![reply(query, records.clone()).to_vec().unwrap()]).await
    }

    /// Every question so far, as `udp www.example.com. A`, in lower case.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve_udp(socket: UdpSocket, behaviour: Behaviour, seen: Arc<Mutex<Vec<String>>>) {
    let mut buffer = [0; 4096];
    while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
        for reply in behave(&buffer[..length], Transport::Udp, &behaviour, &seen) {
            socket.send_to(&reply, peer).await.unwrap();
        }
    }
}

async fn serve_tcp(mut stream: TcpStream, behaviour: Behaviour, seen: Arc<Mutex<Vec<String>>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await.unwrap();
        let replies = behave(&query, Transport::Tcp, &behaviour, &seen);
        if replies.is_empty() {
            return;
        }
        for reply in replies {
            stream.write_u16(reply.len() as u16).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    }
}

fn behave(
    query: &[u8],
    transport: Transport,
    behaviour: &Behaviour,
    seen: &Mutex<Vec<String>>,
) -> Vec<Vec<u8>> {
    let message = Message::from_vec(query).unwrap();
    let question = &message.queries[0];
    let protocol = if transport == Transport::Udp { "udp" } else { "tcp" };
    let name = question.name().to_string().to_lowercase();
    seen.lock().unwrap().push(format!("{protocol} {name} {}", question.query_type()));
    behaviour(&message, transport)
}

pub(crate) fn reply(query: &Message, records: Vec<Record>) -> Message {
    let mut reply = query.clone().into_response();
    reply.edns = None;
    reply.answers = records;
    reply
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

pub(crate) fn address(owner: &str, address: &str) -> Record {
    let data = match address.parse().unwrap() {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Record::from_rdata(name(owner), 60, data)
}

pub(crate) fn alias(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

/// A query as a job sends it, with EDNS.
pub(crate) fn query(name_text: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(name_text), kind));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.set_edns(edns);
    message.to_vec().unwrap()
}

/// The policy in front of this upstream; more of it is up to the caller.
pub(crate) fn policy(
    upstream: SocketAddr,
    allow: &[&str],
    more: impl FnOnce(&mut PolicyBuilder),
) -> Arc<Policy> {
    let mut builder = PolicyBuilder::new();
    for rule in allow {
        builder.add_allow(rule);
    }
    builder.set_resolvers([upstream.to_string()]);
    more(&mut builder);
    Arc::new(builder.build().unwrap())
}

pub(crate) fn serve(policy: Arc<Policy>) -> Dns {
    let files = HostFiles {
        resolv_conf: "/nonexistent/resolv.conf".into(),
        hosts: "/nonexistent/hosts".into(),
        host_name: "/nonexistent/hostname".into(),
        roots: Vec::new(),
    };
    Dns::new(policy, vec![OWN.ip()], files)
}

pub(crate) fn dns(upstream: SocketAddr, allow: &[&str]) -> Dns {
    serve(policy(upstream, allow, |_| {}))
}

/// Asks the gateway's own address.
pub(crate) async fn ask(dns: &Dns, name: &str, kind: RecordType) -> (Message, DnsRecord) {
    ask_at(dns, OWN, name, kind).await
}

pub(crate) async fn ask_at(
    dns: &Dns,
    server: SocketAddr,
    name: &str,
    kind: RecordType,
) -> (Message, DnsRecord) {
    let Answered { response, record } = dns.answer(&query(name, kind), server, Transport::Udp).await;
    let message = Message::from_vec(&response.expect("answered")).unwrap();
    assert!(!message.metadata.authentic_data && message.metadata.recursion_available);
    assert!(message.authorities.is_empty() && message.additionals.is_empty());
    (message, record.expect("recorded"))
}

pub(crate) fn addresses(message: &Message) -> Vec<IpAddr> {
    message.answers.iter().filter_map(|record| record.data.ip_addr()).collect()
}

/// The text of the Extended DNS Error, with its code.
pub(crate) fn extended(message: &Message) -> Option<(u16, String)> {
    let option = message.edns.as_ref()?.option(15.into())?;
    let bytes: Vec<u8> = option.try_into().unwrap();
    let (code, text) = bytes.split_first_chunk::<2>().unwrap();
    Some((u16::from_be_bytes(*code), String::from_utf8(text.to_vec()).unwrap()))
}

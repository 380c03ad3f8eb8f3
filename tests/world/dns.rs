//! The miniature internet's resolver: answers from a [`Zone`] and remembers every question.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::dns_message::{Code, Lie, Query, Question};
use super::sockets;
use super::zone::Zone;

const PORT: u16 = 53;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Tcp,
}

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) question: Question,
    pub(crate) transport: Transport,
    pub(crate) server: IpAddr,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Behaviour {
    #[default]
    Answering,
    Slow(Duration),
    Dead,
    /// Over UDP says only that the answer does not fit; TCP has it.
    Truncating,
    Failing,
    /// Over both transports.
    AlwaysTruncating,
    /// Names that begin with the word for a lie get it; see [`Lie`].
    Lying,
}

#[derive(Clone, Debug)]
pub(crate) struct Dns {
    zone: Arc<Zone>,
    behaviour: Arc<Mutex<Behaviour>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Dns {
    pub(crate) fn new(zone: Arc<Zone>) -> Self {
        Self { zone, behaviour: Arc::default(), asked: Arc::default() }
    }

    pub(crate) fn set(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// Every question that reached a server, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn was_asked_for(&self, name: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked.question.name == name)
    }

    pub(crate) fn assert_never_asked(&self, part_of_name: &str) {
        let asked = self.asked.lock().unwrap();
        let leak = asked.iter().find(|asked| asked.question.name.contains(part_of_name));
        assert!(leak.is_none(), "the resolver was asked: {leak:?}");
    }

    /// Opens udp and tcp 53; to be called in the internet namespace, on its runtime.
    pub(crate) fn listen(&self, address: IpAddr) -> io::Result<()> {
        let at = SocketAddr::new(address, PORT);
        let (udp, tcp) = (sockets::udp_socket(at)?, sockets::tcp_listener(at)?);
        let dns = self.clone();
        tokio::spawn(async move { dns.serve_udp(Arc::new(udp), address).await });
        let dns = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = tcp.accept().await {
                let dns = dns.clone();
                tokio::spawn(async move { dns.serve_tcp(stream, address).await });
            }
        });
        Ok(())
    }

    async fn serve_udp(&self, socket: Arc<UdpSocket>, server: IpAddr) {
        let mut buffer = [0; 4096];
        loop {
            let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
            let (dns, socket) = (self.clone(), socket.clone());
            let message = buffer[..length].to_vec();
            tokio::spawn(async move {
                if let Some(answer) = dns.answer(&message, Transport::Udp, server).await {
                    let _ = socket.send_to(&answer, peer).await;
                }
            });
        }
    }

    async fn serve_tcp(&self, mut stream: TcpStream, server: IpAddr) -> Option<()> {
        loop {
            let length = stream.read_u16().await.ok()?;
            let mut message = vec![0; usize::from(length)];
            stream.read_exact(&mut message).await.ok()?;
            let answer = self.answer(&message, Transport::Tcp, server).await?;
            let framed = [&(answer.len() as u16).to_be_bytes(), answer.as_slice()].concat();
            stream.write_all(&framed).await.ok()?;
        }
    }

    /// `None` for what gets no answer.
    pub(crate) async fn answer(
        &self,
        message: &[u8],
        transport: Transport,
        server: IpAddr,
    ) -> Option<Vec<u8>> {
        let query = Query::parse(message)?;
        self.asked.lock().unwrap().push(Asked { question: query.question.clone(), transport, server });
        let behaviour = *self.behaviour.lock().unwrap();
        match behaviour {
            Behaviour::Dead => return None,
            Behaviour::Failing => return Some(query.answer(Code::ServerFailure, &[])),
            Behaviour::Truncating if transport == Transport::Udp => return Some(query.truncated()),
            Behaviour::Slow(delay) => tokio::time::sleep(delay).await,
            Behaviour::AlwaysTruncating => return Some(query.truncated()),
            Behaviour::Lying => {
                if let Some(lie) = Lie::about(&query.question.name) {
                    return Some(query.lie(lie));
                }
            }
            Behaviour::Answering | Behaviour::Truncating => {}
        }
        let (code, records) = self.zone.answer(&query.question);
        Some(query.answer(code, &records))
    }
}

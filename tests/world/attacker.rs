//! Whoever is at an address that belongs to nobody else: takes connections and datagrams on every port,
//! answers what keeps the other side talking, and writes down every byte.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg};
use rustls::ServerConfig;
use socket2::{Protocol, Type};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest};
use tokio::net::{TcpStream, UdpSocket};
use tokio_rustls::TlsAcceptor;

use super::authority;
use super::dns::{Dns, Transport};
use super::net::TRAP_PORT;
use super::sockets;

/// Two of the attacker's addresses; `evil.test` and everything below it resolve to them.
pub(crate) const V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
pub(crate) const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 0x66);

const LOOT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nevil\n";
const TLS_HANDSHAKE: u8 = 22;
const DNS_PORT: u16 = 53;

/// One connection or datagram.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) transport: Transport,
    /// The address that the sender meant.
    pub(crate) target: SocketAddr,
    pub(crate) sni: Option<String>,
    /// Without the TLS around it, if there was any.
    pub(crate) bytes: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Attacker {
    contacts: Arc<Mutex<Vec<Contact>>>,
    dns: Dns,
}

impl Attacker {
    pub(crate) fn new(dns: Dns) -> Self {
        Self { contacts: Arc::default(), dns }
    }

    pub(crate) fn contacts(&self) -> Vec<Contact> {
        self.contacts.lock().unwrap().clone()
    }

    pub(crate) fn heard(&self, bytes: &[u8]) -> bool {
        let contacts = self.contacts.lock().unwrap();
        contacts.iter().any(|contact| contact.bytes.windows(bytes.len()).any(|window| window == bytes))
    }

    /// To be called in the internet namespace, on its runtime.
    pub(crate) fn listen(&self) -> io::Result<()> {
        let tls = authority::impostor_config();
        for loopback in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let trap = SocketAddr::new(loopback, TRAP_PORT);
            let listener = sockets::tcp_listener(trap)?;
            let (attacker, tls) = (self.clone(), tls.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (attacker, tls) = (attacker.clone(), tls.clone());
                    tokio::spawn(async move { attacker.take_connection(stream, tls).await });
                }
            });
            let socket = sockets::bound(trap, Type::DGRAM, Protocol::UDP)?;
            sockets::receive_original_destination(&socket, loopback)?;
            let socket = UdpSocket::from_std(socket.into())?;
            let attacker = self.clone();
            tokio::spawn(async move { attacker.take_datagrams(&socket).await });
        }
        Ok(())
    }

    async fn take_connection(&self, stream: TcpStream, tls: Arc<ServerConfig>) -> io::Result<()> {
        let target = stream.local_addr()?;
        let contact = self.begin(Transport::Tcp, target, &[]);
        let mut first = [0];
        stream.peek(&mut first).await?;
        if first[0] != TLS_HANDSHAKE {
            return self.listen_to(stream, contact).await;
        }
        let stream = TlsAcceptor::from(tls).accept(stream).await?;
        let sni = stream.get_ref().1.server_name().map(str::to_owned);
        self.contacts.lock().unwrap()[contact].sni = sni;
        self.listen_to(stream, contact).await
    }

    async fn listen_to<S>(&self, mut stream: S, contact: usize) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let length = stream.read(&mut buffer).await?;
            if length == 0 {
                return Ok(());
            }
            let complete = {
                let mut contacts = self.contacts.lock().unwrap();
                let heard = &mut contacts[contact].bytes;
                heard.extend(&buffer[..length]);
                heard.windows(4).any(|window| window == b"\r\n\r\n")
            };
            if complete {
                stream.write_all(LOOT).await?;
                return stream.shutdown().await;
            }
        }
    }

    async fn take_datagrams(&self, socket: &UdpSocket) {
        loop {
            let received = socket.async_io(Interest::READABLE, || receive(socket.as_raw_fd())).await;
            let Ok((bytes, Some(target), Some(peer))) = received else { continue };
            self.begin(Transport::Udp, target, &bytes);
            let answer = if target.port() == DNS_PORT {
                self.dns.answer(&bytes, Transport::Udp, target.ip()).await
            } else {
                Some(bytes)
            };
            if let (Some(answer), Ok(socket)) = (answer, sockets::udp_socket(target)) {
                let _ = socket.send_to(&answer, peer).await;
            }
        }
    }

    fn begin(&self, transport: Transport, target: SocketAddr, bytes: &[u8]) -> usize {
        let mut contacts = self.contacts.lock().unwrap();
        contacts.push(Contact { transport, target, sni: None, bytes: bytes.to_vec() });
        contacts.len() - 1
    }
}

type Datagram = (Vec<u8>, Option<SocketAddr>, Option<SocketAddr>);

/// A datagram, the address it was sent to, and who sent it.
fn receive(socket: i32) -> io::Result<Datagram> {
    let mut buffer = vec![0; 1 << 16];
    let mut control = nix::cmsg_space!(libc::sockaddr_in6);
    let (length, target, peer) = {
        let mut parts = [IoSliceMut::new(&mut buffer)];
        let message =
            recvmsg::<SockaddrStorage>(socket, &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
        let target = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4OrigDstAddr(address) => Some(SocketAddr::from((
                Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)),
                u16::from_be(address.sin_port),
            ))),
            ControlMessageOwned::Ipv6OrigDstAddr(address) => Some(SocketAddr::from((
                Ipv6Addr::from(address.sin6_addr.s6_addr),
                u16::from_be(address.sin6_port),
            ))),
            _ => None,
        });
        (message.bytes, target, message.address.and_then(socket_address))
    };
    buffer.truncate(length);
    Ok((buffer, target, peer))
}

fn socket_address(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddr::from((address.ip(), address.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddr::from((address.ip(), address.port()))))
}

//! Servers of other protocols than HTTP: they echo, or speak first.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use socket2::{Protocol, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use super::sockets;

/// What the clients of a server have sent, connection by connection or datagram by datagram.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<Vec<u8>>>>);

impl Heard {
    pub(crate) fn connections(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Octets of each.
    pub(crate) fn sizes(&self) -> Vec<u64> {
        self.0.lock().unwrap().iter().map(|heard| heard.len() as u64).collect()
    }

    pub(crate) fn contains(&self, bytes: &[u8]) -> bool {
        self.0.lock().unwrap().iter().any(|heard| heard.windows(bytes.len()).any(|window| window == bytes))
    }

    fn begin(&self) -> usize {
        let mut all = self.0.lock().unwrap();
        all.push(Vec::new());
        all.len() - 1
    }

    fn add(&self, connection: usize, bytes: &[u8]) {
        self.0.lock().unwrap()[connection].extend(bytes);
    }
}

/// Sends `banner` to who connects, then echoes. To be called in the internet namespace, on its runtime.
pub(crate) fn serve_tcp(addresses: [IpAddr; 2], port: u16, banner: &'static [u8]) -> io::Result<Heard> {
    let heard = Heard::default();
    for address in addresses {
        let listener = sockets::tcp_listener(SocketAddr::new(address, port))?;
        let all = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(greet_and_echo(stream, banner, all.clone()));
            }
        });
    }
    Ok(heard)
}

async fn greet_and_echo(mut stream: TcpStream, banner: &[u8], heard: Heard) -> io::Result<()> {
    let connection = heard.begin();
    stream.write_all(banner).await?;
    let mut buffer = vec![0; 1 << 16];
    loop {
        let length = stream.read(&mut buffer).await?;
        if length == 0 {
            return stream.shutdown().await;
        }
        heard.add(connection, &buffer[..length]);
        stream.write_all(&buffer[..length]).await?;
    }
}

/// Sends every datagram back. To be called in the internet namespace, on its runtime.
pub(crate) fn serve_udp(address: SocketAddr) -> io::Result<Heard> {
    let socket = UdpSocket::from_std(sockets::bound(address, Type::DGRAM, Protocol::UDP)?.into())?;
    let heard = Heard::default();
    let all = heard.clone();
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
            let datagram = all.begin();
            all.add(datagram, &buffer[..length]);
            let _ = socket.send_to(&buffer[..length], peer).await;
        }
    });
    Ok(heard)
}

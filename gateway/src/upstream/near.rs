//! Connects to an address, without pacing if its host is near.
//!
//! BBR hands each segment to a timer. Towards a host on the same machine that costs more than the bytes
//! do, and what the gateway takes in batches BBR mistakes for a slow path: an upload had half the
//! speed of a direct one. So a near host gets the congestion control of the job's link. All others
//! get the host's own; where that is BBR, one that a route names (ip-route(8), `congctl`) gives way to it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::time::Duration;

use netns::round_trip;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

/// Who answers faster is on this machine, or in the same rack.
const NEAR: Duration = Duration::from_micros(250);
/// Never paces; the kernel lets everybody choose it (tcp(7), `TCP_CONGESTION`).
const UNPACED: &[u8] = b"reno";
/// How the names of those begin that pace.
const PACED: &[u8] = b"bbr";

/// The host's own congestion control, if it paces and sockets can go back to it.
static PACED_DEFAULT: LazyLock<Option<Vec<u8>>> = LazyLock::new(|| {
    let socket = TcpSocket::new_v4().ok()?;
    let default = congestion_control(&socket)?;
    let paced = default.starts_with(PACED);
    (paced && choose(&socket, UNPACED) && choose(&socket, &default)).then_some(default)
});

/// Connects.
///
/// # Errors
/// What the kernel says.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    connect_paced(address, PACED_DEFAULT.as_deref(), NEAR).await
}

/// Connects; whoever is not within `near` is paced by `default`, if there is one.
async fn connect_paced(address: SocketAddr, default: Option<&[u8]>, near: Duration) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Pacing cannot be taken off a socket again, so it comes last.
    let paced = default.filter(|_| choose(&socket, UNPACED));
    let stream = socket.connect(address).await?;
    if let Some(paced) = paced
        && round_trip(&stream)?.is_none_or(|time| time > near)
    {
        choose(&stream, paced);
    }
    Ok(stream)
}

/// Whether the socket has that congestion control now.
fn choose(socket: &impl AsFd, name: &[u8]) -> bool {
    SockRef::from(socket).set_tcp_congestion(name).is_ok()
}

fn congestion_control(socket: &impl AsFd) -> Option<Vec<u8>> {
    let mut name = SockRef::from(socket).tcp_congestion().ok()?;
    // The kernel fills the rest of the name's room with zeroes.
    name.truncate(name.iter().position(|&octet| octet == 0).unwrap_or(name.len()));
    Some(name)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn connected(default: Option<&[u8]>, near: Duration) -> Vec<u8> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connect_paced(listener.local_addr().unwrap(), default, near).await.unwrap();
        congestion_control(&stream).unwrap()
    }

    #[tokio::test]
    async fn a_near_host_is_not_paced() {
        let own = congestion_control(&TcpSocket::new_v4().unwrap()).unwrap();
        let hour = Duration::from_secs(3600);
        assert_eq!(connected(Some(&own), hour).await, UNPACED);
        assert_eq!(connected(Some(&own), Duration::ZERO).await, own);
        assert_eq!(connected(None, hour).await, own);
    }

    #[test]
    fn only_pacing_is_replaced() {
        let own = congestion_control(&TcpSocket::new_v4().unwrap()).unwrap();
        let paced = own.starts_with(PACED);
        assert_eq!(PACED_DEFAULT.as_deref(), paced.then_some(own.as_slice()));
    }
}

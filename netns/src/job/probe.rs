//! The proof, from inside the job namespace, that the gateway sits on every way out.
//!
//! A name and addresses that no policy can allow must be answered by a denial: an NXDOMAIN for the
//! name, and a reset after the handshake for the addresses. Mere silence proves nothing and fails.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use crate::error::{During, Result, Step};
use crate::net::{GATEWAY_V4, PROBE_NAME, PROBE_V4, PROBE_V6};

/// How long the gateway may take to answer; it has usually done so within a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);
const DNS_PORT: u16 = 53;
const HTTPS_PORT: u16 = 443;
const TRANSACTION: [u8; 2] = [0xc1, 0x7a];
const NXDOMAIN: u8 = 3;

/// Asks for the probe name and connects to the probe addresses.
pub(super) fn run(both_families: bool) -> Result<()> {
    denied_name().during(Step::Probe, format!("the name {PROBE_NAME} was not denied"))?;
    denied_address(PROBE_V4.into()).during(Step::Probe, format!("the address {PROBE_V4} was not denied"))?;
    if both_families {
        denied_address(PROBE_V6.into()).during(Step::Probe, format!("the address {PROBE_V6} was not denied"))?;
    }
    Ok(())
}

fn denied_name() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((GATEWAY_V4, DNS_PORT))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&question())?;
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer)?;
    let head = answer.get(..4.min(length)).unwrap_or_default();
    match head {
        [a, b, flags, code] if [*a, *b] == TRANSACTION && flags & 0x80 != 0 && code & 0x0f == NXDOMAIN => Ok(()),
        _ => Err(io::Error::other("the answer is not a denial")),
    }
}

fn denied_address(address: IpAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, HTTPS_PORT), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    match stream.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("the connection was not reset")),
    }
}

/// A question for the probe name's address (RFC 1035 section 4.1).
fn question() -> Vec<u8> {
    let mut bytes = TRANSACTION.to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in PROBE_NAME.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

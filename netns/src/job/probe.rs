//! The proof, from inside the job namespace, that the gateway sits on every way out.
//!
//! A name and addresses that no policy can allow must be answered by a denial: an NXDOMAIN for the
//! name, and a reset after the handshake for the addresses. Mere silence proves nothing and fails.

use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::error::{During, Result, Step};
use crate::net::{GATEWAY_V4, PROBE_NAME, PROBE_V4, PROBE_V6};

/// How long the gateway may take to answer; it has usually done so within a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between the first questions, and between the last.
const FIRST_PAUSE: Duration = Duration::from_millis(3);
const LAST_PAUSE: Duration = Duration::from_millis(200);
const DNS_PORT: u16 = 53;
const HTTPS_PORT: u16 = 443;
const NXDOMAIN: u8 = 3;

/// Asks for the probe name and connects to the probe addresses.
pub(super) fn run(both_families: bool) -> Result<()> {
    denied_name().during(Step::Probe, format!("the name {PROBE_NAME} was not denied"))?;
    denied_address(PROBE_V4.into()).during(Step::Probe, format!("the address {PROBE_V4} was not denied"))?;
    if both_families {
        denied_address(PROBE_V6.into())
            .during(Step::Probe, format!("the address {PROBE_V6} was not denied"))?;
    }
    Ok(())
}

/// Asks again and again, at first quickly: a link that has just come up may lose a packet. Answers come in the
/// order of the questions; the last one is awaited too, as an answer to a closed socket would look like an ICMP
/// packet of the job.
fn denied_name() -> io::Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect((GATEWAY_V4, DNS_PORT))?;
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut asked: u16 = 0;
    let mut denied = false;
    let mut answer = [0; 512];
    loop {
        if !denied {
            asked = asked.wrapping_add(1);
            socket.send(&question(asked))?;
        }
        socket.set_read_timeout(Some(if denied { LAST_PAUSE } else { pause }))?;
        match socket.recv(&mut answer) {
            Ok(length) if is_denial(&answer[..length]) => {
                denied = true;
                if answer[..2] == asked.to_be_bytes() {
                    return Ok(());
                }
            }
            Ok(_) => return Err(io::Error::other("the answer is not a denial")),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
            // The last question was lost.
            Err(_) if denied => return Ok(()),
            Err(_) if start.elapsed() >= PATIENCE => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"));
            }
            Err(_) => pause = (pause * 2).min(LAST_PAUSE),
        }
    }
}

fn is_denial(answer: &[u8]) -> bool {
    matches!(answer, [_, _, flags, code, ..] if flags & 0x80 != 0 && code & 0x0f == NXDOMAIN)
}

fn denied_address(address: IpAddr) -> io::Result<()> {
    let reset =
        TcpStream::connect_timeout(&SocketAddr::new(address, HTTPS_PORT), PATIENCE).and_then(|mut stream| {
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.read(&mut [0])
        });
    match reset {
        // It may come before `connect` has returned; a refused handshake is another error.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("the connection was not reset")),
    }
}

/// A question for the probe name's address (RFC 1035 section 4.1).
fn question(transaction: u16) -> Vec<u8> {
    let mut bytes = transaction.to_be_bytes().to_vec();
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in PROBE_NAME.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    bytes
}

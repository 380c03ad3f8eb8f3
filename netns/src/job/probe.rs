//! The proof, from inside the job namespace, that the gateway sits on every way out.
//!
//! A name and addresses that no policy can allow must be answered by a denial: an NXDOMAIN for the
//! name, and a reset after the handshake for the addresses. Mere silence proves nothing and fails.

use std::fmt::Display;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use crate::error::{During, Result, Step};
use crate::net::{GATEWAY_V4, GATEWAY_V6, PROBE_NAME, PROBE_V4, PROBE_V6, is_denial, question};

/// How long the gateway may take to answer; it has usually done so within a millisecond.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between the first questions, and between the last.
const FIRST_PAUSE: Duration = Duration::from_millis(3);
const LAST_PAUSE: Duration = Duration::from_millis(200);
const DNS_PORT: u16 = 53;
const HTTPS_PORT: u16 = 443;

/// Asks for the probe name and connects to a probe address, over both families at once.
pub(super) fn run(both_families: bool) -> Result<()> {
    let mut families = vec![(IpAddr::from(GATEWAY_V4), IpAddr::from(PROBE_V4))];
    if both_families {
        families.push((GATEWAY_V6.into(), PROBE_V6.into()));
    }
    let not_denied = |what: &dyn Display| format!("{what} was not denied");
    // All at once, and the questions tell when the gateway answers.
    let attempts: Vec<_> = families.iter().map(|(_, address)| begin_connect(*address)).collect();
    let questions: Vec<_> = families.iter().map(|(server, _)| Question::ask(*server)).collect();
    for question in questions {
        question.and_then(Question::expect_denial).during(Step::Probe, not_denied(&PROBE_NAME))?;
    }
    for ((_, address), attempt) in families.iter().zip(attempts) {
        let begun = attempt.and_then(|stream| begun(stream, *address));
        begun.and_then(expect_reset).during(Step::Probe, not_denied(address))?;
    }
    Ok(())
}

/// A question that is on its way.
struct Question {
    socket: UdpSocket,
    asked: u16,
}

impl Question {
    fn ask(server: IpAddr) -> io::Result<Question> {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0))?;
        socket.connect((server, DNS_PORT))?;
        let mut question = Question { socket, asked: 0 };
        question.again()?;
        Ok(question)
    }

    fn again(&mut self) -> io::Result<()> {
        self.asked = self.asked.wrapping_add(1);
        self.socket.send(&question(self.asked)).map(drop)
    }

    /// Asks again and again, at first quickly. Answers come in the order of the questions; the last one is
    /// awaited too, as an answer to a closed socket would look like an ICMP packet of the job.
    fn expect_denial(mut self) -> io::Result<()> {
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut denied = false;
        let mut answer = [0; 512];
        loop {
            self.socket.set_read_timeout(Some(if denied { LAST_PAUSE } else { pause }))?;
            match self.socket.recv(&mut answer) {
                Ok(length) if is_denial(&answer[..length]) => {
                    denied = true;
                    if answer[..2] == self.asked.to_be_bytes() {
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
                Err(_) => {
                    pause = (pause * 2).min(LAST_PAUSE);
                    self.again()?;
                }
            }
        }
    }
}

/// Sends the first packet of a connection.
fn begin_connect(address: IpAddr) -> io::Result<TcpStream> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None)?;
    let target = SockaddrStorage::from(SocketAddr::new(address, HTTPS_PORT));
    match connect(fd.as_raw_fd(), &target) {
        // The read tells what has become of it.
        Ok(()) | Err(nix::Error::EINPROGRESS | nix::Error::ECONNRESET) => {}
        Err(error) => return Err(error.into()),
    }
    let stream = TcpStream::from(fd);
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// A connection that the other side has taken: a link that has just come up may have lost its first packet, and
/// TCP waits a second before the next.
fn begun(stream: TcpStream, address: IpAddr) -> io::Result<TcpStream> {
    let mut waiting = [PollFd::new(stream.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut waiting, PollTimeout::ZERO)? {
        0 => begin_connect(address),
        _ => Ok(stream),
    }
}

fn expect_reset(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    match stream.read(&mut [0]) {
        // A handshake that is refused is another error.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(io::Error::other("the connection was not reset")),
    }
}

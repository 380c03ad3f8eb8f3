//! A recorder on the internet's end of the cable: every packet that left the host, whatever its protocol.

use std::fmt;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, Protocol, Socket, Type};

const LARGEST_PACKET: usize = 1 << 16;
const MOST_BYTES: usize = 64 << 20;
const RECEIVE_BUFFER: usize = 64 << 20;
/// Of if_packet.h, since Linux 4.20.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;
const ETHERTYPE_V4: u16 = 0x0800;
const ETHERTYPE_V6: u16 = 0x86dd;

/// A frame as it was on the cable.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) frame: Vec<u8>,
}

impl Packet {
    /// Where an IP packet goes.
    pub(crate) fn destination(&self) -> Option<IpAddr> {
        match self.ethertype() {
            ETHERTYPE_V4 => {
                let octets: [u8; 4] = self.frame.get(30..34)?.try_into().ok()?;
                Some(Ipv4Addr::from(octets).into())
            }
            ETHERTYPE_V6 => {
                let octets: [u8; 16] = self.frame.get(38..54)?.try_into().ok()?;
                Some(Ipv6Addr::from(octets).into())
            }
            _ => None,
        }
    }

    /// The number of the protocol inside IP.
    pub(crate) fn protocol(&self) -> Option<u8> {
        match self.ethertype() {
            ETHERTYPE_V4 => self.frame.get(23).copied(),
            ETHERTYPE_V6 => self.frame.get(20).copied(),
            _ => None,
        }
    }

    fn ethertype(&self) -> u16 {
        self.frame.get(12..14).map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.destination(), self.protocol()) {
            (Some(address), Some(protocol)) => write!(f, "to {address}, protocol {protocol}: ")?,
            _ => write!(f, "ethertype {:04x}: ", self.ethertype())?,
        }
        write!(f, "{}", self.frame.escape_ascii())
    }
}

#[derive(Debug)]
pub(crate) struct Wire {
    tap: Arc<Tap>,
    /// Dropped to end the recorder.
    stop: Option<PipeWriter>,
    recorder: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Tap {
    socket: Socket,
    record: Mutex<Record>,
}

#[derive(Debug, Default)]
struct Record {
    packets: Vec<Packet>,
    bytes: usize,
    overflowed: bool,
}

impl Wire {
    /// To be called in the internet namespace. The recorder has a thread of its own, so that busy servers do
    /// not delay it.
    pub(crate) fn tap(interface: &str) -> io::Result<Self> {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let socket =
            Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(Protocol::from(i32::from(all))))?;
        set_option(&socket, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)?;
        bind_to(&socket, interface, all)?;
        let size = RECEIVE_BUFFER as libc::c_int;
        if set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, size).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        let tap = Arc::new(Tap { socket, record: Mutex::default() });
        let (end, stop) = io::pipe()?;
        let recorder = thread::Builder::new().name("recorder".into()).spawn({
            let tap = tap.clone();
            move || tap.serve(&end)
        })?;
        Ok(Self { tap, stop: Some(stop), recorder: Some(recorder) })
    }

    /// Everything that has left the host up to now. Fails if the record is not complete.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        let record = self.tap.read();
        assert!(!record.overflowed, "more was sent than the recorder keeps");
        assert_eq!(lost(&self.tap.socket), 0, "the recorder was too slow");
        record.packets.clone()
    }

    pub(crate) fn packets_to(&self, address: impl Into<IpAddr>) -> Vec<Packet> {
        let address = address.into();
        self.packets().into_iter().filter(|packet| packet.destination() == Some(address)).collect()
    }

    /// Whether any one packet had these bytes in it.
    pub(crate) fn saw_bytes(&self, bytes: &[u8]) -> bool {
        let contains = |packet: &Packet| packet.frame.windows(bytes.len()).any(|window| window == bytes);
        self.packets().iter().any(contains)
    }

    /// The same where letters may have changed case, as gateways ask for names in a case of their own.
    pub(crate) fn saw_bytes_of_any_case(&self, bytes: &[u8]) -> bool {
        let same = |window: &[u8]| window.eq_ignore_ascii_case(bytes);
        self.packets().iter().any(|packet| packet.frame.windows(bytes.len()).any(same))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.take();
        self.recorder.take().unwrap().join().unwrap();
    }
}

impl Tap {
    fn serve(&self, end: &PipeReader) {
        loop {
            let mut waiting =
                [&self.socket.as_fd(), &end.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
            match poll(&mut waiting, PollTimeout::NONE) {
                Err(nix::Error::EINTR) => continue,
                polled => polled.unwrap(),
            };
            if waiting[1].any().unwrap() {
                return;
            }
            drop(self.read());
        }
    }

    /// Reads what the kernel has.
    fn read(&self) -> MutexGuard<'_, Record> {
        let mut record = self.record.lock().unwrap();
        let mut buffer = vec![0; LARGEST_PACKET];
        while let Ok(length) = (&self.socket).read(&mut buffer) {
            record.add(&buffer[..length]);
        }
        record
    }
}

impl Record {
    fn add(&mut self, frame: &[u8]) {
        if self.bytes + frame.len() > MOST_BYTES {
            self.overflowed = true;
        } else {
            self.bytes += frame.len();
            self.packets.push(Packet { frame: frame.to_vec() });
        }
    }
}

fn bind_to(socket: &Socket, interface: &str, protocol: u16) -> io::Result<()> {
    let index = nix::net::if_::if_nametoindex(interface)?;
    // SAFETY: all zeroes is a valid value of this plain structure.
    let mut address: libc::sockaddr_ll = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol;
    address.sll_ifindex = index as i32;
    // SAFETY: the address is as long as its length says.
    let result = unsafe {
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn set_option(socket: &Socket, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the value is as long as its length says.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Packets that the kernel could not keep for us since the last call.
fn lost(socket: &Socket) -> u32 {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut length = size_of_val(&statistics) as libc::socklen_t;
    // SAFETY: the structure is as long as its length says.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            (&raw mut statistics).cast(),
            &raw mut length,
        )
    };
    assert_eq!(result, 0, "the kernel says how many packets were lost");
    statistics.tp_drops
}

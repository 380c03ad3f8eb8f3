//! A recorder on the internet's end of the cable: every packet that left the host, whatever its protocol.

use std::fmt;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

const LARGEST_PACKET: usize = 1 << 16;
const MOST_BYTES: usize = 64 << 20;
const RECEIVE_BUFFER: usize = 16 << 20;
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

#[derive(Clone, Debug)]
pub(crate) struct Wire {
    socket: Arc<AsyncFd<Socket>>,
    record: Arc<Mutex<Record>>,
}

#[derive(Debug, Default)]
struct Record {
    packets: Vec<Packet>,
    bytes: usize,
    overflowed: bool,
}

impl Wire {
    /// To be called in the internet namespace, on its runtime.
    pub(crate) fn tap(interface: &str) -> io::Result<Self> {
        let all = (libc::ETH_P_ALL as u16).to_be();
        let socket =
            Socket::new(Domain::PACKET, Type::RAW.nonblocking(), Some(Protocol::from(i32::from(all))))?;
        bind_to(&socket, interface, all)?;
        if set_receive_buffer(&socket, libc::SO_RCVBUFFORCE).is_err() {
            socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        // SAFETY: nothing replaces the descriptor as long as the socket is registered.
        let socket = unsafe { AsyncFd::register(socket) }?;
        let wire = Self { socket: Arc::new(socket), record: Arc::default() };
        let recorder = wire.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; LARGEST_PACKET];
            loop {
                let read = recorder.socket.async_io(Interest::READABLE, |socket| {
                    recorder.record.lock().unwrap().read_one(socket, &mut buffer)
                });
                if read.await.is_err() {
                    break;
                }
            }
        });
        Ok(wire)
    }

    /// Everything that has left the host up to now. Fails if the record is not complete.
    pub(crate) fn packets(&self) -> Vec<Packet> {
        let mut record = self.record.lock().unwrap();
        let mut buffer = vec![0; LARGEST_PACKET];
        while record.read_one(self.socket.get_ref(), &mut buffer).is_ok() {}
        assert!(!record.overflowed, "more was sent than the recorder keeps");
        assert_eq!(lost(self.socket.get_ref()), 0, "the recorder was too slow");
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

impl Record {
    fn read_one(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<()> {
        let mut source = PacketSource { socket, kind: 0 };
        let length = source.read(buffer)?;
        let sent_to_host = source.kind == libc::PACKET_OUTGOING;
        if sent_to_host {
            return Ok(());
        }
        if self.bytes + length > MOST_BYTES {
            self.overflowed = true;
        } else {
            self.bytes += length;
            self.packets.push(Packet { frame: buffer[..length].to_vec() });
        }
        Ok(())
    }
}

/// Reads one packet and notes which way it went.
struct PacketSource<'a> {
    socket: &'a Socket,
    kind: u8,
}

impl Read for PacketSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut address = MaybeUninit::<libc::sockaddr_ll>::zeroed();
        let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: buffer and address are writable for the lengths that are passed.
        let received = unsafe {
            libc::recvfrom(
                self.socket.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                address.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        // SAFETY: all zeroes is an address, and the kernel wrote one over it.
        self.kind = unsafe { address.assume_init() }.sll_pkttype;
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
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

fn set_receive_buffer(socket: &Socket, option: i32) -> io::Result<()> {
    let size = RECEIVE_BUFFER as libc::c_int;
    // SAFETY: the value is as long as its length says.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const size).cast(),
            size_of_val(&size) as libc::socklen_t,
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

//! What the outside saw: the servers and the recorder of the demo's internet write here, and nothing
//! that the job or the gateway says counts.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use netns::net::{FrameRecorder, WORLD_GATEWAY, World};

use super::token::{Needle, Token};
use super::way::Way;
use super::{DemoError, LITERAL_PORT};
use crate::frame::{Dropped, Kind};

/// Octets of one frame: links of the world have ordinary MTUs, but segments may come joined.
const MAX_FRAME: usize = 128 * 1024;
/// Octets of an Ethernet header.
const ETHERNET: usize = 14;
/// How long frames and requests may take to be looked at.
const PATIENCE: Duration = Duration::from_secs(5);
/// When a fence is sent again: a link that has just come up loses what is sent over it at first.
const AGAIN: Duration = Duration::from_millis(10);
/// What a fence starts with; a number follows.
const FENCE: &[u8] = b"cijail-net demo fence ";
/// The port that fences are sent to (discard, RFC 863); nobody has to listen there.
const FENCE_PORT: u16 = 9;

/// Shared by everything outside.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    needle: Option<Needle>,
    seen: Seen,
    fence: u64,
    busy: usize,
    failure: Option<io::Error>,
}

/// What was seen during one pass.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// How often pieces of the token came by each way.
    pub(super) ways: BTreeMap<Way, usize>,
    /// How often they came in another manner.
    pub(super) elsewhere: usize,
    /// How many packages the registry sent.
    pub(super) packages: usize,
}

impl Seen {
    /// Whether any piece of the token came at all.
    pub(super) fn anything(&self) -> bool {
        self.elsewhere > 0 || !self.ways.is_empty()
    }
}

/// Held by a server while it looks at a request.
pub(super) struct Busy<'a>(&'a Ledger);

impl Ledger {
    /// Begins a pass with a token of its own.
    pub(super) fn begin(&self, token: &Token) {
        let mut state = self.lock();
        state.needle = Some(Needle::new(token));
        state.seen = Seen::default();
    }

    /// Looks for the token in bytes that came by `way`, or else in another manner.
    pub(super) fn inspect(&self, way: Option<Way>, bytes: &[u8]) {
        let mut state = self.lock();
        if !state.needle.as_ref().is_some_and(|needle| needle.is_in(bytes)) {
            return;
        }
        match way {
            Some(way) => *state.seen.ways.entry(way).or_default() += 1,
            None => state.seen.elsewhere += 1,
        }
    }

    /// The registry sent a package.
    pub(super) fn sent_package(&self) {
        self.lock().seen.packages += 1;
    }

    /// A server has a request to look at until the result is dropped.
    pub(super) fn busy(&self) -> Busy<'_> {
        self.lock().busy += 1;
        Busy(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is whole, so a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self, recorder: &FrameRecorder) {
        let mut buffer = vec![0; MAX_FRAME];
        loop {
            match recorder.receive(&mut buffer) {
                Ok(length) => self.frame(&buffer[..length]),
                Err(error) => {
                    self.lock().failure = Some(error);
                    return self.changed.notify_all();
                }
            }
        }
    }

    fn frame(&self, frame: &[u8]) {
        if let Some(number) = fence_number(frame) {
            self.lock().fence = number;
            return self.changed.notify_all();
        }
        self.inspect(way_of(frame), frame);
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        self.0.changed.notify_all();
    }
}

/// Reads the ledger when it is complete.
#[derive(Debug)]
pub(super) struct Outside {
    pub(super) ledger: Arc<Ledger>,
    fences: UdpSocket,
    next: u64,
}

impl Outside {
    /// Starts recording in the world's internet.
    pub(super) fn start(world: &World) -> Result<Outside, DemoError> {
        let ledger = Arc::new(Ledger::default());
        let recorder = world.recorder()?;
        let fences = world.in_host(|| UdpSocket::bind("0.0.0.0:0"))?.map_err(DemoError::Internet)?;
        let on_thread = ledger.clone();
        thread::Builder::new().spawn(move || on_thread.record(&recorder)).map_err(DemoError::Internet)?;
        Ok(Outside { ledger, fences, next: 1 })
    }

    /// Everything that was sent before this call. A datagram from the host goes the same way as all
    /// packets before it; when the recorder has it, it has them.
    pub(super) fn seen(&mut self) -> Result<Seen, DemoError> {
        let fence = self.next;
        self.next += 1;
        let datagram = [FENCE, fence.to_string().as_bytes()].concat();
        let send =
            || self.fences.send_to(&datagram, (WORLD_GATEWAY, FENCE_PORT)).map_err(DemoError::Internet);
        send()?;
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.ledger.lock();
        while state.fence < fence || state.busy > 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(error) = state.failure.take() {
                return Err(DemoError::Internet(error));
            }
            if left.is_zero() {
                return Err(DemoError::Blind);
            }
            let waited = self.ledger.changed.wait_timeout(state, left.min(AGAIN));
            let result;
            (state, result) = waited.unwrap_or_else(PoisonError::into_inner);
            if result.timed_out() && state.fence < fence {
                send()?;
            }
        }
        Ok(state.seen.clone())
    }
}

fn fence_number(frame: &[u8]) -> Option<u64> {
    let at = frame.windows(FENCE.len()).position(|window| window == FENCE)?;
    std::str::from_utf8(&frame[at + FENCE.len()..]).ok()?.parse().ok()
}

/// By which of the ways a frame came, by its protocol and port.
fn way_of(frame: &[u8]) -> Option<Way> {
    let protocol = u16::from_be_bytes(frame.get(ETHERNET - 2..ETHERNET)?.try_into().ok()?);
    let packet = Dropped::read(protocol, &frame[ETHERNET..]);
    match (packet.kind, packet.destination_port) {
        (Kind::Tcp, Some(443)) => Some(Way::Https),
        (Kind::Tcp, Some(53)) => Some(Way::DnsTcp),
        (Kind::Tcp, Some(LITERAL_PORT)) => Some(Way::Literal),
        (Kind::Udp, Some(53)) => Some(Way::DnsLabels),
        (Kind::Udp, Some(443)) => Some(Way::Quic),
        (Kind::Icmp | Kind::Icmpv6, _) => Some(Way::Icmp),
        (Kind::Gre, _) => Some(Way::Raw),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::packet;

    fn framed(packet: &[u8]) -> Vec<u8> {
        [&[0; 12][..], &[8, 0], packet].concat()
    }

    fn datagram(port: u16, payload: &[u8]) -> Vec<u8> {
        let from = SocketAddr::from((WORLD_GATEWAY, 4000));
        framed(&packet::udp(from, SocketAddr::from((WORLD_GATEWAY, port)), payload))
    }

    #[test]
    fn frames_count_for_the_way_they_came() {
        let (ledger, token) = (Ledger::default(), Token::new([3; super::super::token::RANDOM]));
        ledger.begin(&token);
        ledger.frame(&datagram(443, token.as_str().as_bytes()));
        ledger.frame(&datagram(53, token.labels()[0].as_bytes()));
        ledger.frame(&datagram(123, token.as_str().as_bytes()));
        ledger.frame(&datagram(443, b"something else"));
        ledger.frame(b"short");
        let seen = ledger.lock().seen.clone();
        assert_eq!(seen.ways, BTreeMap::from([(Way::DnsLabels, 1), (Way::Quic, 1)]));
        assert!(seen.elsewhere == 1 && seen.anything());
        ledger.begin(&Token::new([4; super::super::token::RANDOM]));
        ledger.frame(&datagram(443, token.as_str().as_bytes()));
        assert!(!ledger.lock().seen.anything());
    }

    #[test]
    fn fences_are_told_by_their_number() {
        assert_eq!(fence_number(&datagram(FENCE_PORT, b"cijail-net demo fence 17")), Some(17));
        assert_eq!(fence_number(&datagram(FENCE_PORT, b"something else")), None);
    }
}

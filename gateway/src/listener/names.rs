//! Brings the job's DNS questions to the DNS, and its answers back from the server that was meant.

use std::io;
use std::sync::Arc;

use dns::{Answered, Dns, DnsRecord, Transport};
use netns::net::{CapturedDatagram, DatagramSocket};
use tokio::io::unix::AsyncFd;

use crate::audit::{Audit, Event, Kind, Origin, Outcome};
use crate::who::Who;

/// Octets of a question; more is never a question over UDP.
const MAX_QUESTION: usize = 4096;

/// Answers from one socket for as long as the run lasts.
///
/// # Errors
/// The socket cannot be watched.
pub async fn serve_dns(socket: DatagramSocket, dns: Arc<Dns>, audit: Audit, who: Who) -> io::Result<()> {
    let socket = Arc::new(netns::watch(socket)?);
    let mut buffer = vec![0; MAX_QUESTION];
    loop {
        let mut ready = socket.readable().await?;
        let Ok(received) = ready.try_io(|socket| socket.get_ref().receive(&mut buffer)) else { continue };
        // A datagram without its destination cannot be answered; the next one can.
        let Ok(datagram) = received else { continue };
        let query = &buffer[..datagram.length];
        match dns.answer_now(query, datagram.original_dst, Transport::Udp) {
            Some(answered) => {
                let is_told = answered.record.is_some();
                let origin = is_told.then(|| who.sent(datagram.peer, datagram.original_dst)).flatten();
                finish(&socket, datagram, answered, origin, &audit);
            }
            None => {
                let origin = who.sent(datagram.peer, datagram.original_dst);
                let (socket, dns, audit, query) =
                    (socket.clone(), dns.clone(), audit.clone(), query.to_vec());
                tokio::spawn(async move {
                    let answered = dns.answer(&query, datagram.original_dst, Transport::Udp).await;
                    finish(&socket, datagram, answered, origin, &audit);
                });
            }
        }
    }
}

fn finish(
    socket: &Arc<AsyncFd<DatagramSocket>>,
    datagram: CapturedDatagram,
    answered: Answered,
    origin: Option<Origin>,
    audit: &Audit,
) {
    let mut held = None;
    // First, so that the denial stands above the message of the client that it fails.
    if let Some(record) = answered.record {
        // A client closes its socket when it has its answer, and may end when that is a denial.
        held = origin.clone().filter(|origin| record.verdict == Outcome::Deny && !origin.is_settled());
        let mut event = event(record);
        event.origin = origin;
        audit.record(event);
    }
    let Some(response) = answered.response else { return };
    let Some(origin) = held else { return send(socket, datagram, &response) };
    let socket = socket.clone();
    tokio::spawn(async move {
        origin.settled().await;
        send(&socket, datagram, &response);
    });
}

fn send(socket: &AsyncFd<DatagramSocket>, datagram: CapturedDatagram, response: &[u8]) {
    // A full queue loses the answer, as anywhere on a network; the client asks again.
    let _ = socket.get_ref().send_from(response, datagram.original_dst.ip(), datagram.peer);
}

/// A question's record as an event.
pub(super) fn event(record: DnsRecord) -> Event {
    let mut event = Event::new(record.verdict, Kind::Dns);
    event.name = record.name;
    event.destination = Some(record.server.ip());
    event.port = Some(record.server.port());
    event.rule = record.rule;
    event.reason = record.reason;
    event.suggestion = record.suggestion;
    let kind = record.qtype.map(|kind| kind.to_string());
    let details: Vec<String> = kind.into_iter().chain(record.detail).collect();
    event.detail = (!details.is_empty()).then(|| details.join("; "));
    event
}

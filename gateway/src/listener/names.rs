//! Brings the job's DNS questions to the DNS, and its answers back from the server that was meant.

use std::sync::Arc;

use dns::{Answered, Dns, DnsRecord, Transport};
use netns::net::{CapturedDatagram, DatagramSocket};
use tokio::io::unix::AsyncFd;

use super::queue::OnDatagram;
use crate::audit::{Audit, Event, Kind};
use crate::relay::Uploads;

/// Handles what came on the sockets for questions.
pub struct Questions {
    /// Who answers.
    pub dns: Arc<Dns>,
    /// The log.
    pub audit: Audit,
    /// What the job's end waits for: each question has its event.
    pub uploads: Uploads,
}

impl OnDatagram for Questions {
    /// More is never a question over UDP.
    const LONGEST: usize = 4096;

    fn handle(&self, socket: &Arc<AsyncFd<DatagramSocket>>, datagram: CapturedDatagram, query: &[u8]) {
        if let Some(answered) = self.dns.answer_now(query, datagram.original_dst, Transport::Udp) {
            return finish(socket, datagram, answered, &self.audit);
        }
        let (socket, dns, audit) = (socket.clone(), self.dns.clone(), self.audit.clone());
        let (query, upload) = (query.to_vec(), self.uploads.begin());
        tokio::spawn(async move {
            let answered = dns.answer(&query, datagram.original_dst, Transport::Udp).await;
            finish(&socket, datagram, answered, &audit);
            drop(upload);
        });
    }
}

fn finish(socket: &AsyncFd<DatagramSocket>, datagram: CapturedDatagram, answered: Answered, audit: &Audit) {
    // First, so that the denial stands above the message of the client that it fails.
    if let Some(record) = answered.record {
        audit.record(event(record));
    }
    if let Some(response) = answered.response {
        // A full queue loses the answer, as anywhere on a network; the client asks again.
        let _ = socket.get_ref().send_from(&response, datagram.original_dst.ip(), datagram.peer);
    }
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

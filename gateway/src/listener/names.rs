//! Brings the job's DNS questions to the DNS, and its answers back from the server that was meant.

use std::sync::Arc;

use dns::question::name_of;
use dns::{Answered, Dns, DnsRecord, PROBE_NAME, Transport};
use netns::net::{CapturedDatagram, DatagramSocket};
use policy::{Name, Opinion};
use tokio::io::unix::AsyncFd;

use super::queue::OnDatagram;
use crate::audit::{Audit, Event, Kind, Origin, Outcome};
use crate::rego::{Question, Rego};
use crate::relay::{Upload, Uploads};
use crate::who::Who;

/// Handles what came on the sockets for questions.
pub struct Questions {
    /// Who answers.
    pub dns: Arc<Dns>,
    /// The log.
    pub audit: Audit,
    /// Whose questions they are.
    pub who: Who,
    /// What the job's end waits for: each question has its event.
    pub uploads: Uploads,
    /// Rules beside the policy's; `None` if there are none.
    pub rego: Option<Arc<Rego>>,
}

impl OnDatagram for Questions {
    /// More is never a question over UDP.
    const LONGEST: usize = 4096;

    fn handle(&self, socket: &Arc<AsyncFd<DatagramSocket>>, datagram: CapturedDatagram, query: &[u8]) {
        let whose = || self.who.sent(datagram.peer, datagram.original_dst);
        if self.rego.is_none()
            && let Some(answered) = self.dns.answer_now(query, datagram.original_dst, Transport::Udp)
        {
            let origin = answered.record.is_some().then(whose).flatten();
            return finish(socket, datagram, answered, origin, &self.audit, || self.uploads.begin());
        }
        let (origin, upload) = (whose(), self.uploads.begin());
        let (socket, dns, audit, rego, query) =
            (socket.clone(), self.dns.clone(), self.audit.clone(), self.rego.clone(), query.to_vec());
        tokio::spawn(async move {
            let opinion = opinion(rego.as_deref(), name_of(&query), origin.as_ref()).await;
            let answered = dns.answer_advised(&query, datagram.original_dst, Transport::Udp, opinion).await;
            finish(&socket, datagram, answered, origin, &audit, || upload);
        });
    }
}

/// What the rules beside the policy's say of the name in a question.
pub(super) async fn opinion(rego: Option<&Rego>, name: Option<Name>, origin: Option<&Origin>) -> Opinion {
    match (rego, name) {
        // The gateway's own question from inside the job, which is answered whatever rules say.
        (Some(_), Some(name)) if name.as_str() == PROBE_NAME => Opinion::default(),
        (Some(rego), Some(name)) => rego.advise(Question::resolve(&name), origin).await,
        _ => Opinion::default(),
    }
}

/// Records a question and answers it. `upload` is what the run's end waits for.
fn finish(
    socket: &Arc<AsyncFd<DatagramSocket>>,
    datagram: CapturedDatagram,
    answered: Answered,
    origin: Option<Origin>,
    audit: &Audit,
    upload: impl FnOnce() -> Upload,
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
    let (socket, upload) = (socket.clone(), upload());
    tokio::spawn(async move {
        origin.settled().await;
        send(&socket, datagram, &response);
        drop(upload);
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

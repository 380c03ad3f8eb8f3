//! Brings the job's DNS questions to the DNS, and its answers back from the server that was meant.

use std::sync::Arc;

use dns::question::name_of;
use dns::{Answered, Dns, DnsRecord, PROBE_NAME, Transport};
use netns::net::{CapturedDatagram, DatagramSocket};
use policy::{Name, Opinion};
use tokio::io::unix::AsyncFd;

use super::queue::OnDatagram;
use crate::audit::{Audit, Event, Kind, Origin};
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
        let asking = |origin| Asking {
            dns: self.dns.clone(),
            audit: self.audit.clone(),
            upload: self.uploads.begin(),
            socket: socket.clone(),
            datagram,
            query: query.to_vec(),
            origin,
        };
        if let Some(rego) = self.rego.clone() {
            let asking = asking(whose());
            tokio::spawn(async move {
                let opinion = opinion(Some(&rego), name_of(&asking.query), asking.origin.as_ref()).await;
                asking.answer(opinion).await;
            });
            return;
        }
        match self.dns.answer_now(query, datagram.original_dst, Transport::Udp, Opinion::default()) {
            Ok(answered) => {
                let origin = answered.record.is_some().then(whose).flatten();
                finish(socket, datagram, answered, origin, &self.audit, || self.uploads.begin());
            }
            Err(record) => {
                tokio::spawn(asking(whose()).resolve(*record, Opinion::default()));
            }
        }
    }
}

/// A question whose answer is not there yet.
struct Asking {
    dns: Arc<Dns>,
    audit: Audit,
    upload: Upload,
    socket: Arc<AsyncFd<DatagramSocket>>,
    datagram: CapturedDatagram,
    query: Vec<u8>,
    origin: Option<Origin>,
}

impl Asking {
    async fn answer(self, opinion: Opinion) {
        let asked = self.datagram.original_dst;
        match self.dns.answer_now(&self.query, asked, Transport::Udp, opinion.clone()) {
            Ok(answered) => self.finish(answered),
            Err(record) => self.resolve(*record, opinion).await,
        }
    }

    /// Asks upstream. `record` is told if the end of the run overtakes the answer.
    fn resolve(self, record: DnsRecord, opinion: Opinion) -> impl Future<Output = ()> {
        let mut event = event(record);
        event.origin.clone_from(&self.origin);
        let unanswered = Unanswered { audit: self.audit.clone(), event: Some(event) };
        async move {
            let asked = self.datagram.original_dst;
            let answered = self.dns.answer_advised(&self.query, asked, Transport::Udp, opinion).await;
            unanswered.answered();
            self.finish(answered);
        }
    }

    fn finish(self, answered: Answered) {
        finish(&self.socket, self.datagram, answered, self.origin, &self.audit, || self.upload);
    }
}

/// The event of a question that the end of the run overtakes.
struct Unanswered {
    audit: Audit,
    event: Option<Event>,
}

impl Unanswered {
    fn answered(mut self) {
        self.event = None;
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            self.audit.record(event);
        }
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
        // A client closes its socket when it has its answer, and may end with it.
        held = origin.clone().filter(|origin| origin.holds(record.verdict));
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

//! DNS over a stream from the job (RFC 7766): frames in, frames out, in whatever order they are
//! ready. The stream is the gateway's, which also puts bytes back in front that it has read.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use policy::{Name, Opinion};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::question::name_of;
use crate::record::{Answered, DnsRecord, Outcome};
use crate::response::Transport;
use crate::server::Dns;

/// Without a question being read or answered; RFC 7766 section 6.2.3 asks for a few seconds.
const IDLE: Duration = Duration::from_secs(10);
/// For a client that does not read its answers.
const WRITE: Duration = Duration::from_secs(10);
/// Questions of one stream that are being answered; further ones are not read.
const MAX_IN_FLIGHT: usize = 32;
/// Octets that are read at once.
const CHUNK: usize = 4096;

/// Answers the questions of one stream until the client closes it, is silent for ten seconds, or
/// sends what is no query. `asked` is the server that the job meant to reach; `advise` asks other
/// rules about the name of a question. Each question is told to `on_record`, also when the stream breaks
/// off; its answer waits for `hold` of the verdict.
pub async fn serve_stream<S: AsyncRead + AsyncWrite, O: Future<Output = Opinion>, H: Future<Output = ()>>(
    stream: S,
    asked: SocketAddr,
    dns: &Dns,
    advise: impl Fn(Option<Name>) -> O,
    hold: impl Fn(Outcome) -> H,
    on_record: impl FnMut(DnsRecord),
) -> io::Result<()> {
    let (reader, writer) = tokio::io::split(stream);
    tokio::pin!(reader, writer);
    let mut frames = Frames::default();
    let mut answering = FuturesUnordered::new();
    let mut records = Records { on_record, open: HashMap::new(), next: 0 };
    let served = async {
        let mut open = true;
        while open || !answering.is_empty() {
            let mut answered = None;
            let reads = open && answering.len() < MAX_IN_FLIGHT;
            tokio::select! {
                read = timeout(IDLE, reader.read_buf(&mut frames.bytes)), if reads => {
                    // Silence while answers are under way is not idleness.
                    open = match read {
                        Ok(read) => read? > 0,
                        Err(_) => !answering.is_empty(),
                    };
                }
                next = answering.next(), if !answering.is_empty() => answered = next,
            }
            match answered {
                Some(Progress::Advised(query, opinion)) => {
                    match dns.answer_now(&query, asked, Transport::Tcp, opinion.clone()) {
                        Ok(answered) => open &= reply(&mut writer, answered, &mut records, &hold).await?,
                        Err(record) => {
                            let number = records.open(*record);
                            answering.push(step(dns, asked, Work::Ask(number, query, opinion)));
                        }
                    }
                }
                Some(Progress::Answered(number, answered)) => {
                    records.open.remove(&number);
                    open &= reply(&mut writer, answered, &mut records, &hold).await?;
                }
                None => {}
            }
            while open
                && answering.len() < MAX_IN_FLIGHT
                && let Some(query) = frames.next()
            {
                answering.push(step(dns, asked, Work::Advise(advise(name_of(&query)), query)));
            }
        }
        writer.shutdown().await
    }
    .await;
    if served.is_err() {
        // What is under way is judged, and has its record, if the client is gone.
        let mut unjudged = answering.len() - records.open.len();
        while unjudged > 0
            && let Some(progress) = answering.next().await
        {
            match progress {
                Progress::Advised(query, opinion) => {
                    unjudged -= 1;
                    match dns.answer_now(&query, asked, Transport::Tcp, opinion) {
                        Ok(answered) => records.tell(answered.record),
                        Err(record) => records.tell(Some(*record)),
                    }
                }
                Progress::Answered(number, answered) => {
                    records.open.remove(&number);
                    records.tell(answered.record);
                }
            }
        }
    }
    served
}

/// What is still to be done about a question.
enum Work<O> {
    Advise(O, Vec<u8>),
    /// The record with this number is its own.
    Ask(u64, Vec<u8>, Opinion),
}

/// What has been done about it.
enum Progress {
    Advised(Vec<u8>, Opinion),
    Answered(u64, Answered),
}

async fn step(dns: &Dns, asked: SocketAddr, work: Work<impl Future<Output = Opinion>>) -> Progress {
    match work {
        Work::Advise(opinion, query) => Progress::Advised(query, opinion.await),
        Work::Ask(number, query, opinion) => {
            Progress::Answered(number, dns.answer_advised(&query, asked, Transport::Tcp, opinion).await)
        }
    }
}

/// The records of questions that are being answered: each is told, also when the stream breaks off.
struct Records<F: FnMut(DnsRecord)> {
    on_record: F,
    open: HashMap<u64, DnsRecord>,
    next: u64,
}

impl<F: FnMut(DnsRecord)> Records<F> {
    fn tell(&mut self, record: Option<DnsRecord>) {
        if let Some(record) = record {
            (self.on_record)(record);
        }
    }

    fn open(&mut self, record: DnsRecord) -> u64 {
        self.next += 1;
        self.open.insert(self.next, record);
        self.next
    }
}

impl<F: FnMut(DnsRecord)> Drop for Records<F> {
    fn drop(&mut self) {
        for (_, record) in self.open.drain() {
            (self.on_record)(record);
        }
    }
}

/// Sends one answer; `false` if the stream is to be closed, as the message deserves none.
async fn reply<H: Future<Output = ()>>(
    writer: &mut (impl AsyncWrite + Unpin),
    answered: Answered,
    records: &mut Records<impl FnMut(DnsRecord)>,
    hold: &impl Fn(Outcome) -> H,
) -> io::Result<bool> {
    if let Some(record) = answered.record {
        let verdict = record.verdict;
        records.tell(Some(record));
        hold(verdict).await;
    }
    let Some(response) = answered.response else { return Ok(false) };
    // A stream full of questions keeps no other waiting.
    yield_now().await;
    // Responses are kept within what the length can say.
    let length = u16::try_from(response.len()).map_err(io::Error::other)?;
    // One write, so that length and message leave in one segment (RFC 7766 section 8).
    let frame = [&length.to_be_bytes()[..], &response].concat();
    timeout(WRITE, writer.write_all(&frame))
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    Ok(true)
}

/// Bytes that have been read, cut into messages.
struct Frames {
    bytes: Vec<u8>,
}

impl Default for Frames {
    fn default() -> Self {
        Frames { bytes: Vec::with_capacity(CHUNK) }
    }
}

impl Frames {
    fn next(&mut self) -> Option<Vec<u8>> {
        let (length, rest) = self.bytes.split_first_chunk::<2>()?;
        let message = rest.get(..usize::from(u16::from_be_bytes(*length)))?.to_vec();
        self.bytes.drain(..2 + message.len());
        Some(message)
    }
}

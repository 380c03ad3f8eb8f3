//! DNS over TCP from the job, on an in-memory stream.

use std::time::Duration;

use dns::{DnsRecord, Outcome, serve_stream};
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use crate::support::*;

fn frame(query: &[u8]) -> Vec<u8> {
    [&(query.len() as u16).to_be_bytes()[..], query].concat()
}

fn numbered(id: u8, name: &str) -> Vec<u8> {
    let mut query = query(name, RecordType::A);
    query[..2].copy_from_slice(&[0, id]);
    frame(&query)
}

async fn next(client: &mut DuplexStream) -> Message {
    let length = client.read_u16().await.unwrap();
    let mut bytes = vec![0; length.into()];
    client.read_exact(&mut bytes).await.unwrap();
    Message::from_vec(&bytes).unwrap()
}

/// Runs a client against the server until both are done.
async fn run(dns: &dns::Dns, client: impl AsyncFnOnce(&mut DuplexStream)) -> Vec<DnsRecord> {
    let (mut near, far) = duplex(1 << 16);
    let mut records = Vec::new();
    let server = serve_stream(
        far,
        OWN,
        dns,
        |_| std::future::ready(policy::Opinion::default()),
        |_| std::future::ready(()),
        |record| records.push(record),
    );
    let client = async {
        client(&mut near).await;
        drop(near);
    };
    let both = async { tokio::join!(server, client) };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("ends").0.ok();
    records
}

#[tokio::test]
async fn answers_one_byte_at_a_time() {
    let upstream = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let records = run(&dns, async |client| {
        for name in ["evil.example.", "good.example."] {
            for byte in numbered(1, name) {
                client.write_all(&[byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            next(client).await;
        }
    })
    .await;
    let verdicts: Vec<Outcome> = records.iter().map(|record| record.verdict).collect();
    assert_eq!(verdicts, [Outcome::Deny, Outcome::Allow]);
    assert_eq!(upstream.seen(), ["udp good.example. A"]);
}

#[tokio::test]
async fn pipelined_questions_are_all_answered() {
    let upstream = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let dns = dns(upstream.address, &["*.good.example"]);
    run(&dns, async |client| {
        let batch: Vec<u8> = (0..100).flat_map(|id| numbered(id, &format!("n{id}.good.example."))).collect();
        client.write_all(&batch).await.unwrap();
        client.shutdown().await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..100 {
            ids.push(next(client).await.metadata.id);
        }
        ids.sort_unstable();
        assert_eq!(ids, (0..100).collect::<Vec<u16>>());
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "closed after the last answer");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed() {
    let dns = dns(([127, 0, 0, 1], 9).into(), &[]);
    run(&dns, async |client| {
        client.write_all(&[0]).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}

#[tokio::test]
async fn what_is_no_query_closes_the_stream() {
    let dns = dns(([127, 0, 0, 1], 9).into(), &[]);
    run(&dns, async |client| {
        client.write_all(&[0, 0]).await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
    })
    .await;
}

//! Upstreams that are dead, slow, forged or too talkative; and the host's files.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dns::{Dns, HostFiles, LookupError, Outcome, Transport};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use policy::{Mode, Name, PolicyBuilder, Reason};

use crate::support::*;

fn host(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[tokio::test]
async fn a_truncated_reply_is_asked_for_again_over_tcp() {
    let upstream = Upstream::start(|query, transport| {
        let mut reply = reply(query, vec![address("good.example.", "192.0.2.1")]);
        if transport == Transport::Udp {
            reply.answers.clear();
            reply.metadata.truncation = true;
        }
        vec![reply.to_vec().unwrap()]
    })
    .await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!(addresses(&message).len(), 1);
    assert_eq!(upstream.seen(), ["udp good.example. A", "tcp good.example. A"]);
}

#[tokio::test]
async fn forged_replies_are_ignored() {
    let upstream = Upstream::start(|query, _| {
        let good = reply(query, vec![address("good.example.", "192.0.2.1")]);
        let mut wrong_id = reply(query, vec![address("good.example.", "203.0.113.66")]);
        wrong_id.metadata.id ^= 1;
        let mut other_question = wrong_id.clone();
        other_question.metadata.id ^= 1;
        other_question.queries[0].name = name("evil.example.");
        let garbage = b"\0".to_vec();
        vec![garbage, wrong_id.to_vec().unwrap(), other_question.to_vec().unwrap(), good.to_vec().unwrap()]
    })
    .await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!(addresses(&message), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn many_records_fit_over_tcp() {
    let records = (0..200).map(|last| address("good.example.", &format!("192.0.2.{last}"))).collect();
    let upstream = Upstream::start(move |query, transport| {
        let mut reply = reply(query, Vec::clone(&records));
        if transport == Transport::Udp {
            reply = reply.truncate();
        }
        vec![reply.to_vec().unwrap()]
    })
    .await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "good.example.", RecordType::A).await;
    assert!(message.metadata.truncation && message.answers.is_empty());
    let answered = dns.answer(&query("good.example.", RecordType::A), OWN, Transport::Tcp).await;
    let message = Message::from_vec(&answered.response.unwrap()).unwrap();
    assert_eq!(addresses(&message).len(), 200);
    assert_eq!(dns.addresses(&host("good.example")).await.unwrap().len(), 200);
}

#[tokio::test]
async fn garbage_from_upstream_is_a_failure() {
    let upstream = Upstream::start(|query, _| {
        let mut reply = reply(query, vec![address("good.example.", "192.0.2.1")]).to_vec().unwrap();
        reply.truncate(reply.len() - 2);
        vec![reply]
    })
    .await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, record) = ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(record.reason, Some(Reason::UpstreamFailed));
    // What others say goes to the log and not to the job.
    let told = "could not ask the resolver";
    assert_eq!(extended(&message).unwrap().1, format!("cijail-net: upstream-failed: {told}"));
    let detail = record.detail.unwrap();
    assert!(detail.starts_with(&format!("{told}: ")), "{detail}");
}

#[tokio::test]
async fn a_dead_upstream_fails_in_time() {
    let upstream = Upstream::start(|_, _| vec![]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let began = Instant::now();
    let (message, record) = ask(&dns, "good.example.", RecordType::A).await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    let detail = "no resolver answered within 4.5 seconds";
    assert_eq!(extended(&message), Some((22, format!("cijail-net: upstream-failed: {detail}"))));
    assert_eq!((record.verdict, record.reason), (Outcome::Allow, Some(Reason::UpstreamFailed)));
    assert_eq!(record.detail.as_deref(), Some(detail));
    let error = dns.addresses(&host("good.example")).await.unwrap_err();
    assert!(matches!(error, LookupError::Upstream { .. }), "{error}");
}

#[tokio::test]
async fn negative_replies_are_told_apart() {
    let upstream = Upstream::start(|query, _| {
        let mut reply = reply(query, vec![]);
        if query.queries[0].name().to_string().to_lowercase() == "none.example." {
            reply.metadata.response_code = ResponseCode::NXDomain;
        } else if query.queries[0].name().to_string().to_lowercase() == "broken.example." {
            reply.metadata.response_code = ResponseCode::ServFail;
        }
        vec![reply.to_vec().unwrap()]
    })
    .await;
    let dns = dns(upstream.address, &["*.example"]);
    for (name, code) in [
        ("none.example.", ResponseCode::NXDomain),
        ("empty.example.", ResponseCode::NoError),
        ("broken.example.", ResponseCode::ServFail),
    ] {
        let (message, record) = ask(&dns, name, RecordType::A).await;
        assert_eq!((message.metadata.response_code, record.verdict), (code, Outcome::Allow), "{name}");
    }
    let error = dns.addresses(&host("none.example")).await.unwrap_err();
    assert!(matches!(error, LookupError::NoAddress(_)), "{error}");
}

#[tokio::test]
async fn identical_questions_are_asked_once_and_others_are_bounded() {
    let upstream = Upstream::start(|_, _| vec![]).await;
    let policy = policy(upstream.address, &["*.example"], |builder| {
        builder.add_file("policy.toml", b"[limits]\ndns-inflight = 1\n");
    });
    let dns = serve(policy);
    let first = ask(&dns, "a.example.", RecordType::A);
    let same = ask(&dns, "a.example.", RecordType::A);
    let other = ask(&dns, "b.example.", RecordType::A);
    let (first, same, other) = tokio::join!(first, same, other);
    assert_eq!(first.1.reason, Some(Reason::UpstreamFailed));
    assert_eq!(same.1.reason, Some(Reason::UpstreamFailed));
    assert_eq!((other.1.verdict, other.1.reason), (Outcome::Deny, Some(Reason::Limit)));
    assert_eq!(other.0.metadata.response_code, ResponseCode::ServFail);
    assert!(upstream.seen().iter().all(|seen| seen.contains(" a.example. ")), "{:?}", upstream.seen());
}

fn with_files(directory: &str, resolv_conf: &[u8], hosts: &[u8]) -> Dns {
    in_mode(Mode::Enforce, directory, resolv_conf, hosts)
}

fn in_mode(mode: Mode, directory: &str, resolv_conf: &[u8], hosts: &[u8]) -> Dns {
    let directory = std::env::temp_dir().join(format!("cijail-net-dns-{}-{directory}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let files = HostFiles {
        resolv_conf: directory.join("resolv.conf"),
        hosts: directory.join("hosts"),
        host_name: directory.join("hostname"),
        roots: Vec::new(),
    };
    std::fs::write(&files.resolv_conf, resolv_conf).unwrap();
    std::fs::write(&files.hosts, hosts).unwrap();
    std::fs::write(&files.host_name, "runner\n").unwrap();
    let mut builder = PolicyBuilder::new();
    builder.set_mode(mode);
    builder.add_allow("*.example");
    builder.add_allow("short.lan.test");
    builder.add_allow("*.lan.test");
    Dns::new(builder.build().unwrap().into(), vec![OWN.ip()], files)
}

#[tokio::test]
async fn the_hosts_file_answers_first() {
    let dns =
        with_files("hosts", b"# nothing\n", b"192.0.2.7 mirror.example # here\n10.0.0.1 inside.example\n");
    let (message, _) = ask(&dns, "mirror.example.", RecordType::A).await;
    assert_eq!(addresses(&message), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    assert!(message.answers[0].ttl <= 300);
    let (message, _) = ask(&dns, "mirror.example.", RecordType::AAAA).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NoError, "the name has no IPv6 address");
    let (_, record) = ask(&dns, "inside.example.", RecordType::A).await;
    assert_eq!(record.reason, Some(Reason::PrivateAddress));
}

/// The job's own C library reads the file too, and then nothing is asked here.
#[tokio::test]
async fn names_of_the_hosts_file_are_known_unasked() {
    let hosts = b"192.0.2.7 mirror.example mirror.test\n192.0.2.7 cache.example\n10.0.0.1 inside.example\n";
    let dns = with_files("unasked", b"", hosts);
    let of = |address: &str| dns.names_of(address.parse().unwrap());
    assert_eq!(of("192.0.2.7"), [host("mirror.example"), host("cache.example")]);
    assert!(of("10.0.0.1").is_empty() && of("192.0.2.8").is_empty());
    ask(&dns, "cache.example.", RecordType::A).await;
    assert_eq!(of("192.0.2.7"), [host("cache.example"), host("mirror.example")], "each once");
    // Where everything passes the others count too, but none whose rule would not let it.
    let dns = in_mode(Mode::Monitor, "monitor", b"", hosts);
    let of = |address: &str| dns.names_of(address.parse().unwrap());
    let all = ["mirror.example", "mirror.test", "cache.example"].map(host);
    assert_eq!((of("192.0.2.7").as_slice(), of("10.0.0.1").len()), (&all[..], 0));
}

/// Comments in Latin-1 were common once, and stay in files for decades.
#[tokio::test]
async fn files_in_another_encoding_are_read() {
    let resolv_conf = b"# b\xfcro\nnameserver 127.0.0.1\n";
    let dns = with_files("latin-1", resolv_conf, b"# b\xfcro\n192.0.2.7 mirror.example\n");
    let (message, _) = ask(&dns, "mirror.example.", RecordType::A).await;
    assert_eq!(addresses(&message), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    // A resolver is known, whether or not it serves.
    let (_, record) = ask(&dns, "other.example.", RecordType::A).await;
    let detail = record.detail.unwrap_or_default();
    assert!(!detail.contains("no resolver is configured"), "{detail}");
}

/// What programs ask by themselves does not exist, and is no denial; what only looks so is one.
#[tokio::test]
async fn asides_are_no_denials() {
    let dns = with_files("asides", b"nameserver 127.0.0.1\nsearch corp.test lan.test\n", b"");
    for (name, kind, verdict) in [
        ("good.example.corp.test.", RecordType::A, Outcome::Allow),
        ("short.corp.test.", RecordType::A, Outcome::Allow),
        ("short.", RecordType::A, Outcome::Allow),
        ("wild.corp.test.", RecordType::A, Outcome::Deny),
        ("wild.", RecordType::A, Outcome::Deny),
        ("runner.", RecordType::AAAA, Outcome::Allow),
        ("runner.corp.test.", RecordType::A, Outcome::Allow),
        ("_http._tcp.good.example.", RecordType::SRV, Outcome::Allow),
        ("_http._tcp.good.example.", RecordType::TXT, Outcome::Deny),
        ("_secret._tcp.good.example.", RecordType::SRV, Outcome::Deny),
        ("_http._tcp.evil.test.", RecordType::SRV, Outcome::Deny),
        ("secret.corp.test.", RecordType::A, Outcome::Deny),
        ("secret.runner.", RecordType::A, Outcome::Deny),
    ] {
        let (message, record) = ask(&dns, name, kind).await;
        assert_eq!(message.metadata.response_code, ResponseCode::NXDomain, "{name}");
        assert_eq!(record.verdict, verdict, "{name} {kind}");
        assert_eq!(record.reason.is_some(), verdict == Outcome::Deny, "{name} {kind}");
    }
}

#[tokio::test]
async fn without_resolvers_every_lookup_fails_at_once() {
    let dns = with_files("none", b"search example\noptions ndots:2\n", b"");
    let began = Instant::now();
    let (message, record) = ask(&dns, "a.example.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(record.reason, Some(Reason::UpstreamFailed));
    let error = dns.addresses(&host("a.example")).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("add a nameserver to") && source.contains("--resolver"), "{source}");
    assert_eq!(record.detail, Some(source));
    assert!(began.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_second_resolver_helps_out() {
    let dead: SocketAddr = Upstream::start(|_, _| vec![]).await.address;
    let good = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let policy = policy(dead, &["good.example"], |builder| {
        builder.set_resolvers([dead.to_string(), good.address.to_string()]);
    });
    let (message, _) = ask(&serve(policy), "good.example.", RecordType::A).await;
    assert_eq!(addresses(&message).len(), 1);
}

#[tokio::test]
async fn a_resolver_that_folds_case_and_has_no_tcp_still_works() {
    let upstream = Upstream::start(|query, transport| {
        let mut reply = reply(query, vec![address("good.example.", "192.0.2.1")]);
        reply.queries[0].name = name("good.example.");
        if transport == Transport::Tcp { vec![] } else { vec![reply.to_vec().unwrap()] }
    })
    .await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!(addresses(&message).len(), 1);
}

/// Where the resolver does not keep the random case that it was asked in, and is asked without.
#[tokio::test]
async fn the_case_of_a_name_carries_nothing() {
    let raw = Arc::<Mutex<Vec<String>>>::default();
    let heard = raw.clone();
    let upstream = Upstream::start(move |query, transport| {
        heard.lock().unwrap().push(query.queries[0].name().to_ascii());
        if transport == Transport::Tcp {
            return Vec::new();
        }
        let mut bytes = reply(query, vec![address("good.example.", "192.0.2.1")]).to_vec().unwrap();
        bytes[12..26].make_ascii_lowercase();
        vec![bytes]
    })
    .await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "GoOd.eXaMpLe.", RecordType::A).await;
    assert_eq!(addresses(&message).len(), 1);
    let raw = raw.lock().unwrap();
    assert_eq!(raw.last().map(String::as_str), Some("good.example."), "{raw:?}");
}

#[tokio::test]
async fn futures_may_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let dns = dns(([127, 0, 0, 1], 9).into(), &[]);
    let name = host("good.example");
    is_send(&dns.answer(&[], OWN, Transport::Udp));
    is_send(&dns.addresses(&name));
    is_send(&dns::serve_stream(
        tokio::io::empty(),
        OWN,
        &dns,
        |_| std::future::ready(policy::Opinion::default()),
        |_| std::future::ready(()),
        |_| {},
    ));
}

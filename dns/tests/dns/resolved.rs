//! What is allowed resolves, filtered and pinned.

use std::net::IpAddr;

use dns::{LookupError, Outcome};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::svcb::{EchConfigList, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{HTTPS, SVCB};
use hickory_proto::rr::{RData, Record, RecordType};
use policy::{Name, Reason};

use crate::support::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn host(text: &str) -> Name {
    Name::parse(text).unwrap()
}

#[tokio::test]
async fn an_allowed_name_resolves_and_is_pinned() {
    let upstream = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, record) = ask(&dns, "GOOD.example.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NoError);
    assert_eq!(addresses(&message), [ip("192.0.2.1")]);
    assert_eq!(message.answers[0].name.to_string(), "GOOD.example.", "in the client's own case");
    assert_eq!((record.verdict, record.reason), (Outcome::Allow, None));
    assert_eq!(record.rule.as_deref(), Some("good.example"));
    assert_eq!(dns.names_of(ip("192.0.2.1")), [host("good.example")]);
    assert_eq!(dns.addresses(&host("good.example")).await.unwrap(), [ip("192.0.2.1")]);
    ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!(upstream.seen(), ["udp good.example. A"], "asked once, then from the cache and the pins");
}

#[tokio::test]
async fn an_alias_binds_the_asked_name_only() {
    let chain = vec![alias("good.example.", "cdn.test."), address("cdn.test.", "192.0.2.1")];
    let upstream = Upstream::with(chain).await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!(message.answers.len(), 2);
    assert_eq!(dns.names_of(ip("192.0.2.1")), [host("good.example")]);
    let (message, _) = ask(&dns, "cdn.test.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(upstream.seen(), ["udp good.example. A"]);
}

#[tokio::test]
async fn the_target_of_an_alias_is_not_asked_for() {
    let upstream = Upstream::with(vec![alias("good.example.", "s3cret.evil.test.")]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!(message.answers.len(), 1);
    assert!(matches!(dns.addresses(&host("good.example")).await, Err(LookupError::NoAddress(_))));
    assert!(upstream.seen().iter().all(|seen| seen.contains("good.example.")), "{:?}", upstream.seen());
}

#[tokio::test]
async fn an_alias_loop_gives_no_answer() {
    let upstream =
        Upstream::with(vec![alias("a.example.", "b.example."), alias("b.example.", "a.example.")]).await;
    let dns = dns(upstream.address, &["a.example"]);
    let (message, _) = ask(&dns, "a.example.", RecordType::A).await;
    assert!(message.answers.is_empty());
}

#[tokio::test]
async fn private_addresses_are_refused() {
    let private = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0"];
    let private6 = ["::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1"];
    for text in private.iter().chain(&private6) {
        let upstream = Upstream::with(vec![address("good.example.", text)]).await;
        let dns = dns(upstream.address, &["good.example"]);
        let kind = if ip(text).is_ipv4() { RecordType::A } else { RecordType::AAAA };
        let (message, record) = ask(&dns, "good.example.", kind).await;
        assert_eq!(message.metadata.response_code, ResponseCode::NoError);
        assert!(message.answers.is_empty(), "{text}");
        let why = format!("cijail-net: private-address: {}", dns::NEEDS_ALLOW_PRIVATE);
        assert_eq!(extended(&message), Some((17, why)));
        assert_eq!((record.verdict, record.reason), (Outcome::Deny, Some(Reason::PrivateAddress)));
        assert!(dns.names_of(ip(text)).is_empty());
        let error = dns.addresses(&host("good.example")).await.unwrap_err();
        assert_eq!(error.reason(), Reason::PrivateAddress);
    }
}

#[tokio::test]
async fn private_addresses_beside_others_are_dropped() {
    let mixed = vec![address("good.example.", "10.0.0.1"), address("good.example.", "192.0.2.1")];
    let upstream = Upstream::with(mixed).await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, record) = ask(&dns, "good.example.", RecordType::A).await;
    assert_eq!((addresses(&message), record.verdict), (vec![ip("192.0.2.1")], Outcome::Allow));
    assert!(dns.names_of(ip("10.0.0.1")).is_empty());
}

#[tokio::test]
async fn ech_keys_do_not_reach_the_job() {
    let ech = SvcParamValue::EchConfigList(EchConfigList(b"keys".to_vec()));
    let params = vec![(SvcParamKey::Port, SvcParamValue::Port(443)), (SvcParamKey::EchConfigList, ech)];
    let data = RData::HTTPS(HTTPS(SVCB::new(1, name("."), params)));
    let upstream = Upstream::with(vec![Record::from_rdata(name("good.example."), 60, data)]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, _) = ask(&dns, "good.example.", RecordType::HTTPS).await;
    let RData::HTTPS(record) = &message.answers[0].data else { panic!("no HTTPS record") };
    assert_eq!(record.0.svc_params, [(SvcParamKey::Port, SvcParamValue::Port(443))]);
}

#[tokio::test]
async fn reverse_questions_are_answered_from_the_pins() {
    let upstream = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let dns = dns(upstream.address, &["good.example"]);
    ask(&dns, "good.example.", RecordType::A).await;
    let (message, record) = ask(&dns, "1.2.0.192.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!(message.answers[0].data.to_string(), "good.example.");
    assert_eq!(record.verdict, Outcome::Allow);
    let (message, record) = ask(&dns, "2.2.0.192.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!((message.metadata.response_code, record.verdict), (ResponseCode::NXDomain, Outcome::Deny));
    let (message, record) = ask(&dns, "1.0.0.10.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!((message.metadata.response_code, record.verdict), (ResponseCode::NXDomain, Outcome::Allow));
    assert_eq!(upstream.seen(), ["udp good.example. A"]);
}

#[tokio::test]
async fn localhost_is_the_jobs_own() {
    let upstream = Upstream::with(vec![]).await;
    let dns = dns(upstream.address, &[]);
    let (message, record) = ask(&dns, "localhost.", RecordType::A).await;
    assert_eq!((addresses(&message), record.verdict), (vec![ip("127.0.0.1")], Outcome::Allow));
    let (message, _) = ask(&dns, "db.localhost.", RecordType::AAAA).await;
    assert_eq!(addresses(&message), [ip("::1")]);
    assert_eq!(upstream.seen(), [""; 0]);
}

#[tokio::test]
async fn synthetic_answers_ask_nobody() {
    let upstream = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let policy = policy(upstream.address, &["*.example"], |builder| {
        builder.add_file("policy.toml", b"[dns]\nanswers = \"synthetic\"\n");
    });
    let dns = serve(policy);
    let (first, _) = ask(&dns, "a.example.", RecordType::A).await;
    let (second, _) = ask(&dns, "b.example.", RecordType::AAAA).await;
    let (first, second) = (addresses(&first)[0], addresses(&second)[0]);
    assert_eq!(dns.names_of(first), [host("a.example")]);
    assert_eq!(dns.synthetic_name(second), Some(host("b.example")));
    let (message, _) = ask(&dns, "a.example.", RecordType::HTTPS).await;
    assert!(message.answers.is_empty());
    let (message, _) = ask(&dns, "evil.test.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
    assert_eq!(upstream.seen(), [""; 0]);
    assert_eq!(
        dns.addresses(&host("good.example")).await.unwrap(),
        [ip("192.0.2.1")],
        "to dial, the real ones"
    );
}

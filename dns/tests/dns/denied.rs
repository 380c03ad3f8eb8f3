//! What is denied never reaches upstream.

use dns::{Outcome, PROBE_NAME, Transport};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use policy::{Mode, Opinion, Reason};

use crate::support::*;

#[tokio::test]
async fn a_denied_name_is_not_asked_upstream() {
    let upstream = Upstream::with(vec![address("evil.example.", "192.0.2.1")]).await;
    let dns = dns(upstream.address, &["good.example", "192.0.2.53:53"]);
    let kinds = [RecordType::A, RecordType::AAAA, RecordType::TXT, RecordType::MX, RecordType::CNAME];
    for server in [OWN, "192.0.2.53:53".parse().unwrap()] {
        for kind in kinds {
            let (message, record) = ask_at(&dns, server, "s3cret.EVIL.example.", kind).await;
            assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
            let text = "cijail-net: not-allowed; to allow: --allow s3cret.evil.example";
            assert_eq!(extended(&message), Some((17, text.to_owned())));
            assert_eq!(record.verdict, Outcome::Deny);
            assert_eq!(record.reason, Some(Reason::NotAllowed));
            assert_eq!(record.name.as_deref(), Some("s3cret.evil.example"));
        }
    }
    assert_eq!(upstream.seen(), [""; 0]);
}

#[tokio::test]
async fn denials_need_no_waiting() {
    let upstream = Upstream::with(vec![]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let now =
        |name, kind| dns.answer_now(&query(name, kind), OWN, Transport::Udp, Opinion::default()).is_ok();
    assert!(now("evil.example.", RecordType::A));
    assert!(now("good.example.", RecordType::AXFR));
    assert!(!now("good.example.", RecordType::A));
}

#[tokio::test]
async fn other_types_and_classes_are_refused_even_for_allowed_names() {
    let upstream = Upstream::with(vec![]).await;
    let dns = dns(upstream.address, &["good.example"]);
    for kind in
        [RecordType::ANY, RecordType::AXFR, RecordType::IXFR, RecordType::NULL, RecordType::Unknown(65300)]
    {
        let (message, record) = ask(&dns, "good.example.", kind).await;
        assert_eq!(message.metadata.response_code, ResponseCode::Refused, "{kind}");
        assert_eq!(record.reason, Some(Reason::ProtocolNotAllowed));
    }
    let mut chaos = query("version.bind.", RecordType::TXT);
    let class = chaos.len() - 11 - 1;
    chaos[class] = 3;
    let answered = dns.answer_now(&chaos, OWN, Transport::Udp, Opinion::default()).unwrap();
    let message = Message::from_vec(&answered.response.unwrap()).unwrap();
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
    assert_eq!(upstream.seen(), [""; 0]);
}

#[tokio::test]
async fn names_that_are_no_host_names_are_denied() {
    let upstream = Upstream::with(vec![]).await;
    let dns = dns(upstream.address, &["**.good.example"]);
    for name in ["_x.good.example.", ".", "a\\.b.good.example."] {
        let (message, record) = ask(&dns, name, RecordType::A).await;
        assert_eq!(message.metadata.response_code, ResponseCode::NXDomain, "{name}");
        assert_eq!((record.reason, record.suggestion), (Some(Reason::NotAllowed), None));
    }
    assert_eq!(upstream.seen(), [""; 0]);
}

#[tokio::test]
async fn a_denied_server_refuses() {
    let upstream = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let (message, record) = ask_at(&dns, upstream.address, "good.example.", RecordType::A).await;
    assert_eq!(message.metadata.response_code, ResponseCode::Refused);
    assert_eq!(extended(&message).map(|(code, _)| code), Some(18));
    assert_eq!((record.verdict, record.reason), (Outcome::Deny, Some(Reason::DnsServerNotAllowed)));
    assert_eq!(upstream.seen(), [""; 0]);
}

#[tokio::test]
async fn monitor_mode_asks_the_server_that_the_job_meant() {
    let main = Upstream::with(vec![address("good.example.", "192.0.2.1")]).await;
    let other = Upstream::with(vec![address("good.example.", "192.0.2.2")]).await;
    let policy = policy(main.address, &["good.example"], |builder| builder.set_mode(Mode::Monitor));
    let dns = serve(policy);
    let (message, record) = ask_at(&dns, other.address, "good.example.", RecordType::A).await;
    assert_eq!(addresses(&message), ["192.0.2.2".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!((record.verdict, record.reason), (Outcome::WouldDeny, Some(Reason::DnsServerNotAllowed)));
    assert!(main.seen().is_empty());
}

#[tokio::test]
async fn monitor_mode_lets_names_pass_and_says_so() {
    let upstream =
        Upstream::with(vec![address("evil.example.", "10.0.0.8"), address("_x.example.", "192.0.2.1")]).await;
    let dns = serve(policy(upstream.address, &[], |builder| builder.set_mode(Mode::Monitor)));
    let (message, record) = ask(&dns, "evil.example.", RecordType::A).await;
    assert_eq!(addresses(&message).len(), 1);
    assert_eq!((record.verdict, record.reason), (Outcome::WouldDeny, Some(Reason::NotAllowed)));
    assert_eq!(record.suggestion.as_deref(), Some("evil.example"));
    assert_eq!(record.detail.as_deref(), Some(dns::NEEDS_ALLOW_PRIVATE));
    let (message, record) = ask(&dns, "_x.example.", RecordType::A).await;
    assert_eq!((addresses(&message).len(), record.verdict), (1, Outcome::WouldDeny));
    let (_, record) = ask(&dns, "evil.example.", RecordType::AXFR).await;
    assert_eq!(record.verdict, Outcome::Deny, "transfers are never forwarded");
    assert_eq!(upstream.seen(), ["udp evil.example. A", "udp _x.example. A"]);
}

#[tokio::test]
async fn the_probe_never_resolves_and_leaves_no_record() {
    let upstream = Upstream::with(vec![address("probe.cijail-net.invalid.", "192.0.2.1")]).await;
    for mode in [Mode::Enforce, Mode::Monitor] {
        let dns = serve(policy(upstream.address, &[PROBE_NAME], |builder| builder.set_mode(mode)));
        let answered = dns.answer(&query(PROBE_NAME, RecordType::A), OWN, Transport::Udp).await;
        let message = Message::from_vec(&answered.response.unwrap()).unwrap();
        assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(answered.record, None);
    }
    assert_eq!(upstream.seen(), [""; 0]);
}

#[tokio::test]
async fn malformed_messages_get_an_error_or_nothing() {
    let upstream = Upstream::with(vec![]).await;
    let dns = dns(upstream.address, &["good.example"]);
    let good = query("good.example.", RecordType::A);
    let answered = dns.answer_now(&good[..good.len() - 1], OWN, Transport::Udp, Opinion::default()).unwrap();
    let message = Message::from_vec(&answered.response.unwrap()).unwrap();
    assert_eq!(message.metadata.response_code, ResponseCode::FormErr);
    assert_eq!(answered.record.unwrap().reason, Some(Reason::Malformed));
    assert_eq!(dns.answer_now(&good[..7], OWN, Transport::Udp, Opinion::default()).unwrap().response, None);
}

proptest::proptest! {
    #[test]
    fn garbage_gets_an_answer_that_parses_or_none(mut bytes: Vec<u8>, at in 0usize..50, value: u8) {
        let dns = dns(([127, 0, 0, 1], 9).into(), &[]);
        let mut mutated = query("s3cret.evil.example.", RecordType::A);
        let length = mutated.len();
        mutated[at % length] = value;
        if bytes.len() > 2 {
            // A query and not a response, so that more of the parser is reached.
            bytes[2] &= 0x7f;
        }
        for message in [bytes, mutated] {
            let answered = dns.answer_now(&message, OWN, Transport::Udp, Opinion::default());
            if let Some(response) = answered.ok().and_then(|answered| answered.response) {
                Message::from_vec(&response).unwrap();
            }
        }
    }
}

//! Names under a wildcard are bytes that the job sends: so many leave, and no more.

use dns::Outcome;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use policy::{Mode, Name, Reason};

use crate::support::*;

const FILE: &[u8] = b"allow = [\"*.data.example\", \"www.data.example\"]\n[limits]\nwildcard-names = 2\n";

/// A zone in which nothing exists.
async fn nothing() -> Upstream {
    Upstream::start(|query, _| {
        let mut reply = reply(query, Vec::new());
        reply.metadata.response_code = ResponseCode::NXDomain;
        vec![reply.to_vec().unwrap()]
    })
    .await
}

#[tokio::test]
async fn names_beyond_the_limit_are_not_asked_upstream() {
    let upstream = nothing().await;
    let dns = serve(policy(upstream.address, &[], |builder| builder.add_file("policy.toml", FILE)));
    for name in ["1.data.example.", "2.DATA.example.", "www.data.example.", "1.DATA.example."] {
        let (message, record) = ask(&dns, name, RecordType::A).await;
        assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!((record.verdict, record.reason), (Outcome::Allow, None), "{name}");
    }
    for kind in [RecordType::A, RecordType::TXT] {
        let (message, record) = ask(&dns, "3.data.example.", kind).await;
        let (code, text) = extended(&message).unwrap();
        assert_eq!((message.metadata.response_code, code), (ResponseCode::NXDomain, 17));
        assert!(text.starts_with("cijail-net: limit: more than 2 names under *.data.example; "), "{text}");
        assert!(text.ends_with("to allow: --allow 3.data.example"), "{text}");
        assert_eq!((record.verdict, record.reason), (Outcome::Deny, Some(Reason::Limit)));
        assert_eq!(record.suggestion.as_deref(), Some("3.data.example"));
    }
    assert!(dns.admit(&Name::parse("3.data.example").unwrap()).is_err());
    let (_, record) = ask(&dns, "2.data.example.", RecordType::TXT).await;
    assert_eq!(record.verdict, Outcome::Allow);
    assert!(!upstream.seen().iter().any(|seen| seen.contains("3.data")), "{:?}", upstream.seen());
}

#[tokio::test]
async fn monitor_mode_lets_them_pass_and_says_so() {
    let upstream = nothing().await;
    let dns = serve(policy(upstream.address, &[], |builder| {
        builder.add_file("policy.toml", FILE);
        builder.set_mode(Mode::Monitor);
    }));
    for (name, verdict) in [("1", Outcome::Allow), ("2", Outcome::Allow), ("3", Outcome::WouldDeny)] {
        let (_, record) = ask(&dns, &format!("{name}.data.example."), RecordType::A).await;
        assert_eq!(record.verdict, verdict, "{name}");
    }
    assert_eq!(upstream.seen().len(), 3);
}

#[tokio::test]
async fn synthetic_answers_count_nothing() {
    let upstream = nothing().await;
    let file = [FILE, b"[dns]\nanswers = \"synthetic\"\n"].concat();
    let dns = serve(policy(upstream.address, &[], |builder| builder.add_file("policy.toml", &file)));
    for number in 0..5 {
        let (message, record) = ask(&dns, &format!("{number}.data.example."), RecordType::A).await;
        assert_eq!((addresses(&message).len(), record.verdict), (1, Outcome::Allow));
    }
    assert_eq!(upstream.seen(), [""; 0]);
}

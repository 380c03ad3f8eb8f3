use proptest::prelude::*;

use super::*;
use crate::testing::{Query, query};

fn name_of(labels: &[&[u8]]) -> QuestionName {
    parse(&Query { labels, ..Query::default() }.bytes()).expect("parses").name
}

#[test]
fn reads_a_plain_question() {
    let bytes = query("WWW.Example.com", 1);
    let question = parse(&bytes).expect("parses");
    assert_eq!(question.name, QuestionName::Host(Name::parse("www.example.com").expect("name")));
    assert_eq!((question.kind, question.class, question.edns), (Kind::A, 1, None));
    assert_eq!(question.section, &bytes[12..]);
    assert!(question.head.recursion_desired);
}

#[test]
fn reads_edns_and_drops_its_options() {
    let padding: &[u8] = &[0, 12, 0, 4, b'd', b'a', b't', b'a'];
    let bytes = Query { opt: Some((0, 4096, true, padding)), ..Query::default() }.bytes();
    let question = parse(&bytes).expect("parses");
    assert_eq!(question.edns, Some(Edns { udp_payload: 4096, dnssec_ok: true }));
    let newer = Query { opt: Some((1, 4096, false, &[])), ..Query::default() }.bytes();
    assert!(matches!(parse(&newer), Err(QuestionError::EdnsVersion(_))));
}

#[test]
fn names_that_no_rule_matches_keep_an_escaped_text() {
    let text = |labels: &[&[u8]]| match name_of(labels) {
        QuestionName::Other(text) => text,
        QuestionName::Host(name) => panic!("{name} is no host name"),
    };
    assert_eq!(text(&[]), ".");
    assert_eq!(text(&[b"_dmarc", b"example"]), "_dmarc.example");
    assert_eq!(text(&[b"good.example", b"com"]), "good\\.example.com");
    assert_eq!(text(&[b"a\r\n\x1b[31m", b"com"]), "a\\013\\010\\027[31m.com");
    assert_eq!(text(&[b"\xff \\"]), "\\255\\032\\\\");
    assert_eq!(text(&[b"127", b"1"]), "127.1");
}

#[test]
fn limits_of_names() {
    let label: &[u8] = &[b'a'; 63];
    let longest: [&[u8]; 4] = [label, label, label, &[b'a'; 61]];
    assert!(matches!(name_of(&longest), QuestionName::Host(_)));
    let longer = Query { labels: &[label, label, label, &[b'a'; 62]], ..Query::default() }.bytes();
    assert!(matches!(parse(&longer), Err(QuestionError::Malformed(_))));
}

#[test]
fn refuses_what_is_not_one_question() {
    let good = query("example.com", 1);
    let with = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    assert_eq!(parse(&with(2, 0x80)), Err(QuestionError::NotAQuery), "a response");
    assert!(matches!(parse(&with(2, 0x28)), Err(QuestionError::Opcode(head)) if head.opcode == 5));
    for (at, value, why) in [(5, 0, "no question"), (5, 2, "two questions"), (7, 1, "an answer record")] {
        assert!(matches!(parse(&with(at, value)), Err(QuestionError::Malformed(_))), "{why}");
    }
    assert!(matches!(parse(&with(12, 0xc0)), Err(QuestionError::Malformed(_))), "a compression pointer");
    assert!(matches!(parse(&[&good[..], &[0]].concat()), Err(QuestionError::Malformed(_))), "trailing byte");
    let tsig = [&with(11, 1)[..], &[0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]].concat();
    assert!(matches!(parse(&tsig), Err(QuestionError::Malformed(_))), "TSIG");
    let two_opts = [&with(11, 2)[..], &[0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0].repeat(2)].concat();
    assert!(matches!(parse(&two_opts), Err(QuestionError::Malformed(_))), "two OPT records");
}

#[test]
fn every_prefix_is_refused() {
    let bytes = Query { opt: Some((0, 1232, false, &[0, 10, 0, 2, 1, 2])), ..Query::default() }.bytes();
    for end in 0..bytes.len() {
        assert!(parse(&bytes[..end]).is_err(), "prefix of {end}");
    }
    assert!(parse(&bytes).is_ok());
}

proptest! {
    #[test]
    fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn mutations_never_panic(at in 0usize..60, value: u8, cut in 0usize..60) {
        let mut bytes = Query { opt: Some((0, 1232, false, &[0, 10, 0, 2, 1, 2])), ..Query::default() }.bytes();
        let length = bytes.len();
        bytes[at % length] = value;
        bytes.truncate(length - cut % length);
        if let Ok(question) = parse(&bytes) {
            prop_assert!(question.name.as_str().bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
        }
    }
}

use std::net::Ipv4Addr;

use hickory_proto::rr::rdata::svcb::{EchConfigList, Mandatory};
use hickory_proto::rr::rdata::{CNAME, HTTPS};

use super::*;

const ANY_TTL: RangeInclusive<u32> = 0..=u32::MAX;

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn a(owner: &str, last: u8) -> Record {
    Record::from_rdata(name(owner), 60, RData::A(A(Ipv4Addr::new(192, 0, 2, last))))
}

fn link(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

fn not_nine(address: IpAddr) -> bool {
    address != IpAddr::from([192, 0, 2, 9])
}

fn owners(filtered: &Filtered) -> Vec<String> {
    filtered.records.iter().map(|record| record.name.to_string()).collect()
}

#[test]
fn keeps_the_chain_and_what_it_leads_to() {
    let answers = vec![
        a("cdn.test.", 2),
        link("WWW.example.", "edge.test."),
        a("stranger.test.", 3),
        link("edge.test.", "cdn.test."),
        a("cdn.test.", 1),
    ];
    let filtered = filter(&name("www.example."), Kind::A, answers, ANY_TTL, not_nine);
    assert_eq!(owners(&filtered), ["WWW.example.", "edge.test.", "cdn.test.", "cdn.test."]);
    assert_eq!(filtered.addresses, [IpAddr::from([192, 0, 2, 2]), IpAddr::from([192, 0, 2, 1])]);
}

#[test]
fn a_loop_gives_nothing() {
    let answers =
        vec![link("a.example.", "b.example."), link("b.example.", "a.example."), a("b.example.", 1)];
    let filtered = filter(&name("a.example."), Kind::A, answers, ANY_TTL, not_nine);
    assert!(filtered.records.is_empty() && filtered.addresses.is_empty());
}

#[test]
fn other_types_and_names_are_dropped() {
    let answers = vec![a("a.example.", 1), a("b.example.", 2)];
    let filtered = filter(&name("a.example."), Kind::AAAA, answers.clone(), ANY_TTL, not_nine);
    assert!(filtered.records.is_empty() && filtered.addresses.is_empty());
    let filtered = filter(&name("a.example."), Kind::A, answers, ANY_TTL, not_nine);
    assert_eq!(owners(&filtered), ["a.example."]);
}

#[test]
fn refused_addresses_take_their_chain_with_them() {
    let answers = vec![link("a.example.", "b.example."), a("b.example.", 9)];
    let filtered = filter(&name("a.example."), Kind::A, answers.clone(), ANY_TTL, not_nine);
    assert!(filtered.records.is_empty());
    assert_eq!(filtered.refused, [IpAddr::from([192, 0, 2, 9])]);
    let mixed = [answers, vec![a("b.example.", 1)]].concat();
    let filtered = filter(&name("a.example."), Kind::A, mixed, ANY_TTL, not_nine);
    assert_eq!(filtered.addresses, [IpAddr::from([192, 0, 2, 1])]);
    assert_eq!(filtered.records.len(), 2);
}

#[test]
fn times_to_live_are_clamped() {
    let clamped =
        |ttl| filter(&name("a.example."), Kind::A, vec![a("a.example.", 1)], ttl, not_nine).records[0].ttl;
    assert_eq!((clamped(90..=300), clamped(0..=30), clamped(0..=300)), (90, 30, 60));
}

fn https(params: Vec<(SvcParamKey, SvcParamValue)>) -> Filtered {
    let data = RData::HTTPS(HTTPS(SVCB::new(1, name("."), params)));
    let record = Record::from_rdata(name("a.example."), 60, data);
    filter(&name("a.example."), Kind::HTTPS, vec![record], ANY_TTL, not_nine)
}

fn ech() -> (SvcParamKey, SvcParamValue) {
    (SvcParamKey::EchConfigList, SvcParamValue::EchConfigList(EchConfigList(vec![1, 2, 3])))
}

fn hints(last: &[u8]) -> (SvcParamKey, SvcParamValue) {
    let hints = last.iter().map(|&last| A(Ipv4Addr::new(192, 0, 2, last))).collect();
    (SvcParamKey::Ipv4Hint, SvcParamValue::Ipv4Hint(IpHint(hints)))
}

fn params(filtered: &Filtered) -> &[(SvcParamKey, SvcParamValue)] {
    match &filtered.records[0].data {
        RData::HTTPS(record) => &record.0.svc_params,
        other => panic!("{other} is no HTTPS record"),
    }
}

#[test]
fn service_records_lose_ech_keys_and_refused_hints() {
    let filtered = https(vec![hints(&[1, 9]), ech()]);
    assert_eq!(params(&filtered), [hints(&[1])]);
    assert_eq!(filtered.addresses, [IpAddr::from([192, 0, 2, 1])]);
    assert!(params(&https(vec![hints(&[9]), ech()])).is_empty());
}

#[test]
fn a_record_that_insists_on_ech_is_dropped() {
    let mandatory = SvcParamValue::Mandatory(Mandatory(vec![SvcParamKey::EchConfigList]));
    assert!(https(vec![(SvcParamKey::Mandatory, mandatory), ech()]).records.is_empty());
}

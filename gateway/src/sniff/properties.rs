//! What holds for every first flight, however it is cut: it is recognised, no prefix of it is refused
//! or taken for something else, and each byte may come alone.

use policy::Name;
use proptest::prelude::*;

use super::client_hello::{self, HelloReader, MAX_HELLO, ServerName};
use super::http_head::{self, HeadReader, MAX_HEAD};
use super::*;

/// ClientHellos of real clients, each with the name that the client was told.
const HELLOS: &[(&str, &[u8], Option<&str>)] = &[
    ("curl 7.88", include_bytes!("../../fixtures/client_hello_curl.bin"), Some("curl.example.com")),
    ("openssl 3.0", include_bytes!("../../fixtures/client_hello_openssl.bin"), Some("registry.example.com")),
    (
        "openssl 3.0, TLS 1.2 only",
        include_bytes!("../../fixtures/client_hello_openssl_tls12.bin"),
        Some("registry.example.com"),
    ),
    ("openssl 3.0, no name", include_bytes!("../../fixtures/client_hello_openssl_no_sni.bin"), None),
    ("python 3", include_bytes!("../../fixtures/client_hello_python.bin"), Some("pypi.example.org")),
    (
        "rustls 0.23, post-quantum",
        include_bytes!("../../fixtures/client_hello_rustls_pq.bin"),
        Some("crates.example.com"),
    ),
    (
        "rustls 0.23, post-quantum, many protocols",
        include_bytes!("../../fixtures/client_hello_rustls_pq_large.bin"),
        Some("crates.example.com"),
    ),
];

/// Reads byte by byte, and checks that the answer comes with the last byte and is that of one look.
/// A short flight is also read anew at each prefix.
fn check_every_prefix(flight: &[u8]) -> Protocol {
    let Sniff::Complete(whole) = classify(flight) else { panic!("{:?}", classify(flight)) };
    let mut sniffer = Sniffer::default();
    for end in 0..flight.len() {
        assert_eq!(sniffer.read(&flight[..end]), Sniff::Incomplete, "after {end} bytes");
        let anew = flight.len() < 4096;
        assert!(!anew || classify(&flight[..end]) == Sniff::Incomplete, "after {end} bytes");
    }
    assert_eq!(sniffer.read(flight), Sniff::Complete(whole.clone()));
    whole
}

/// The handshake message of a flight in one record.
fn message(flight: &[u8]) -> &[u8] {
    &flight[5..]
}

/// The message in records of these lengths, the last length repeating.
fn in_records(message: &[u8], lengths: &[usize]) -> Vec<u8> {
    let mut rest = message;
    let mut lengths = lengths.iter().copied().chain(std::iter::repeat(*lengths.last().unwrap_or(&1)));
    let mut flight = Vec::new();
    while let Some(length) = lengths.next().filter(|_| !rest.is_empty()) {
        let (fragment, after) = rest.split_at(length.min(rest.len()));
        flight.extend([22, 3, 1]);
        flight.extend(u16::try_from(fragment.len()).unwrap().to_be_bytes());
        flight.extend(fragment);
        rest = after;
    }
    flight
}

#[test]
fn real_hellos_at_every_prefix() {
    for (client, flight, name) in HELLOS {
        let Protocol::Tls(hello) = check_every_prefix(flight) else { panic!("{client}") };
        let named = name.map(|name| Name::from_ascii(name.as_bytes()).unwrap());
        assert_eq!(hello.server_name, named.map_or(ServerName::Absent, ServerName::Name), "{client}");
        assert_eq!(hello.tls13, !client.contains("TLS 1.2"), "{client}");
        assert!(!hello.ech, "{client}");
    }
}

#[test]
fn real_hellos_split_at_every_byte() {
    for (client, flight, _) in HELLOS {
        let whole = classify(flight);
        for at in 1..message(flight).len() {
            let split = in_records(message(flight), &[at, usize::from(u16::MAX >> 2)]);
            assert_eq!(classify(&split), whole, "{client} split at {at}");
        }
    }
}

#[test]
fn records_of_one_byte() {
    for (client, flight, _) in HELLOS {
        let split = in_records(message(flight), &[1]);
        assert_eq!(
            check_every_prefix(&split),
            match classify(flight) {
                Sniff::Complete(protocol) => protocol,
                other => panic!("{client} {other:?}"),
            }
        );
    }
}

#[test]
fn post_quantum_hello_is_large() {
    assert!(HELLOS.iter().any(|(client, flight, _)| client.contains("post-quantum") && flight.len() > 2048));
}

/// Work, not time, is what has to stay linear; quadratic work would take minutes here.
#[test]
fn single_bytes_up_to_the_limits() {
    let hello = [&[1, 0, 0xc0, 0, 3, 3][..], &[0; 49146]].concat();
    let flights = [
        ([b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(MAX_HEAD / 6)].concat(), MAX_HEAD),
        (vec![b'M'; MAX_HEAD + 1], MAX_HEAD - 1),
        ([b"M /".to_vec(), vec![b'x'; MAX_HEAD]].concat(), MAX_HEAD - 1),
        (in_records(&hello, &[1]), 0),
    ];
    for (flight, still_open) in flights {
        let mut sniffer = Sniffer::default();
        let refused = (0..=flight.len()).find(|&end| sniffer.read(&flight[..end]) != Sniff::Incomplete);
        assert!(refused.is_some_and(|end| end > still_open), "{refused:?}");
    }
    assert!(matches!(client_hello::parse(&[22; MAX_HELLO]), Sniff::Malformed(_)));
}

fn token() -> impl Strategy<Value = String> {
    "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,12}"
}

fn head() -> impl Strategy<Value = String> {
    let target =
        prop_oneof!["/[!-\"$-~]{0,40}", "http://[a-z]{1,9}\\.test(:[1-9][0-9]{0,3})?(/[!-\"$-~]{0,20})?"];
    let value = "[\\t !-~\u{a0}-\u{ff}]{0,30}";
    let fields = prop::collection::vec(
        (token(), value).prop_map(|(name, value)| format!("x-{name}: {value}\r\n")),
        0..5,
    );
    ("[A-Z][A-Z0-9-]{0,9}", target, "[01]", "[a-z]{1,9}\\.test", fields).prop_filter_map(
        "CONNECT has its own form",
        |(method, target, minor, host, fields)| {
            let head = format!("{method} {target} HTTP/1.{minor}\r\nHost: {host}\r\n{}\r\n", fields.concat());
            (method != "CONNECT").then_some(head)
        },
    )
}

proptest! {
    #[test]
    fn heads_at_every_prefix(head in head()) {
        let Protocol::Http(read) = check_every_prefix(head.as_bytes()) else { panic!("{head:?}") };
        assert_eq!(read.length, head.len());
        assert!(matches!(read.host, http_head::HostField::One(_)));
    }

    #[test]
    fn hellos_in_any_records(which in 0..HELLOS.len(), lengths in prop::collection::vec(1usize..600, 1..20)) {
        let (_, flight, _) = HELLOS[which];
        let split = in_records(message(flight), &lengths);
        assert_eq!(classify(&split), classify(flight));
        check_every_prefix(&split);
    }

    #[test]
    fn damaged_flights_answer_alike_in_any_pieces(
        which in 0..HELLOS.len() + 1,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        head in head(),
    ) {
        let mut flight = HELLOS.get(which).map_or(head.into_bytes(), |(_, flight, _)| flight.to_vec());
        for (at, byte) in damage {
            let at = at.index(flight.len());
            flight[at] = byte;
        }
        let answer = classify(&flight);
        let mut sniffer = Sniffer::default();
        let first = (0..=flight.len()).map(|end| sniffer.read(&flight[..end])).find(|sniff| *sniff != Sniff::Incomplete);
        assert_eq!(first.unwrap_or(Sniff::Incomplete), answer);
    }

    #[test]
    fn any_bytes_do_not_panic(bytes: Vec<u8>) {
        let _ = HelloReader::default().read(&bytes);
        let _ = HeadReader::default().read(&bytes);
        let _ = classify(&bytes);
    }
}

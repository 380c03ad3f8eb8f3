//! The protocol does not depend on how the bytes were cut, never changes once it is told, and agrees
//! with the parser of that protocol.
#![no_main]

use gateway::sniff::{Opening, Protocol, Sniff, Sniffer, classify, client_hello, http_head, opening};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let answer = classify(data);
    match opening(data) {
        Sniff::Complete(Opening::Tls) => assert_eq!(answer, client_hello::parse(data).map(Protocol::Tls)),
        Sniff::Complete(Opening::Http) => assert_eq!(answer, http_head::parse(data).map(Protocol::Http)),
        Sniff::Complete(Opening::Http2Preface) => assert_eq!(answer, Sniff::Complete(Protocol::Http2Preface)),
        Sniff::Complete(Opening::Opaque) => assert_eq!(answer, Sniff::Complete(Protocol::Opaque)),
        Sniff::Incomplete => assert_eq!(answer, Sniff::Incomplete),
        Sniff::Malformed(why) => assert_eq!(answer, Sniff::Malformed(why)),
    }

    let mut sniffer = Sniffer::default();
    for end in 0..=data.len() {
        let prefix = sniffer.read(&data[..end]);
        if prefix != Sniff::Incomplete {
            assert_eq!(prefix, answer);
            return;
        }
    }
    assert_eq!(answer, Sniff::Incomplete);
});

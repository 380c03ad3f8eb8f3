//! The answer does not depend on how the bytes were cut, and comes at the same byte.
#![no_main]

use gateway::sniff::Sniff;
use gateway::sniff::client_hello::{self, HelloReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let answer = client_hello::parse(data);
    let mut reader = HelloReader::default();
    for end in 0..=data.len() {
        let prefix = reader.read(&data[..end]);
        if prefix != Sniff::Incomplete {
            assert_eq!(prefix, answer);
            return;
        }
    }
    assert_eq!(answer, Sniff::Incomplete);
});

//! An authority that parses is written back in one form, which parses to the same.
#![no_main]

use gateway::sniff::authority;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(authority) = authority::parse(data) else { return };
    assert!(data.is_ascii());
    let text = authority.to_string();
    assert_eq!(authority::parse(text.as_bytes()), Ok(authority));
});

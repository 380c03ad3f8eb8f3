//! The kernel's table of sockets, whose paths other users choose.
#![no_main]

use std::os::unix::ffi::OsStrExt;

use libfuzzer_sys::fuzz_target;
use netns::job::unix_sockets::reachable;

fuzz_target!(|data: &[u8]| {
    let mut octets = 0;
    for path in reachable(data) {
        let path = path.as_os_str().as_bytes();
        assert!(!path.is_empty() && path[0] != b'@');
        // Each is a piece of the table, and no two overlap.
        octets += path.len() + 1;
    }
    assert!(octets <= data.len());
    // A line of an unnamed socket says nothing, and ends the path before.
    let unnamed = b"\n0000000000000000: 00000003 00000000 00000000 0001 03   556\n";
    let longer = [data, unnamed].concat();
    assert!(reachable(&longer).count() <= reachable(data).count() + 1);
});

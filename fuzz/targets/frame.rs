//! Any packet is told apart; the first two bytes are the EtherType.
#![no_main]

use gateway::frame::{Dropped, Kind};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((protocol, packet)) = data.split_first_chunk::<2>() else { return };
    let dropped = Dropped::read(u16::from_be_bytes(*protocol), packet);
    let has_ports = dropped.source_port.is_some() || dropped.destination_port.is_some();
    assert!(!has_ports || matches!(dropped.kind, Kind::Tcp | Kind::Udp | Kind::Sctp));
    assert!(dropped.icmp.is_none() || matches!(dropped.kind, Kind::Icmp | Kind::Icmpv6));
    assert!(dropped.source.is_some() == dropped.destination.is_some());
    // What is left out of the log has to be small and of the link.
    if dropped.is_link_noise() {
        assert!(packet.len() <= 40 + 8 + 8 + 8 * 20);
        assert!(matches!(dropped.kind, Kind::Arp | Kind::Icmpv6 | Kind::Other(2)));
    }
});

//! Addresses of our own for allowed names (`answers = "synthetic"`). No I/O.
//!
//! Each name gets one IPv4 and one IPv6 address that belong to nobody else, so a connection's
//! destination names its host exactly, for any protocol, and no question goes upstream.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use policy::Name;

/// 198.18.0.0/15, set aside for benchmarks (RFC 2544): never a destination on the Internet.
const V4: u32 = u32::from_be_bytes([198, 18, 0, 0]);
/// Addresses in a /15, without the first and the last, which some programs take for broadcasts.
const ROOM: usize = (1 << 17) - 2;
/// fd63:696a:6169:6c::/64, a unique local prefix (RFC 4193); the digits spell `cijail`.
const V6: u128 = 0xfd63_696a_6169_006c << 64;

/// The table of names that got an address; an address is never given out again.
#[derive(Debug)]
pub struct Synthetic {
    capacity: usize,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_name: HashMap<Name, u32>,
    /// At `n - 1` the name with number `n`.
    names: Vec<Name>,
}

impl Synthetic {
    /// Room for this many names, at most what the IPv4 range holds.
    pub fn new(capacity: usize) -> Synthetic {
        Synthetic { capacity: capacity.min(ROOM), tables: Mutex::default() }
    }

    /// The addresses of a name, the same for the whole run; `None` when all are given out.
    pub fn addresses_of(&self, name: &Name) -> Option<(Ipv4Addr, Ipv6Addr)> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&number) = tables.by_name.get(name) {
            return Some(numbered(number));
        }
        if tables.names.len() >= self.capacity {
            return None;
        }
        tables.names.push(name.clone());
        let number = tables.names.len() as u32;
        tables.by_name.insert(name.clone(), number);
        Some(numbered(number))
    }

    /// The name that an address was given to.
    pub fn name_of(&self, address: IpAddr) -> Option<Name> {
        let number = match address {
            IpAddr::V4(address) => u32::from(address).checked_sub(V4)?.into(),
            IpAddr::V6(address) => u128::from(address).checked_sub(V6)?,
        };
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        let tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.names.get(index).cloned()
    }
}

fn numbered(number: u32) -> (Ipv4Addr, Ipv6Addr) {
    (Ipv4Addr::from(V4 + number), Ipv6Addr::from(V6 + u128::from(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn stable_and_reversible() {
        let table = Synthetic::new(10);
        let a = table.addresses_of(&name("a.example")).expect("room");
        let b = table.addresses_of(&name("b.example")).expect("room");
        assert_eq!(a, (Ipv4Addr::new(198, 18, 0, 1), "fd63:696a:6169:6c::1".parse().expect("address")));
        assert_ne!(a, b);
        assert_eq!(table.addresses_of(&name("a.example")), Some(a));
        assert_eq!(table.name_of(b.0.into()), Some(name("b.example")));
        assert_eq!(table.name_of(b.1.into()), Some(name("b.example")));
    }

    #[test]
    fn foreign_addresses_have_no_name() {
        let table = Synthetic::new(10);
        table.addresses_of(&name("a.example"));
        for text in ["198.18.0.0", "198.18.0.2", "198.17.255.255", "192.0.2.1", "::1", "ffff::1"] {
            assert_eq!(table.name_of(text.parse().expect("address")), None, "{text}");
        }
    }

    #[test]
    fn the_range_is_bounded() {
        let table = Synthetic::new(usize::MAX);
        for number in 0..ROOM {
            assert!(table.addresses_of(&name(&format!("n{number}.example"))).is_some());
        }
        assert_eq!(table.addresses_of(&name("late.example")), None);
        assert_eq!(numbered(ROOM as u32).0, Ipv4Addr::new(198, 19, 255, 254));
    }
}

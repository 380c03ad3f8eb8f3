//! Which addresses which names got, for the whole run. No I/O; the time is an argument.
//!
//! A pin lets the gateway find the name behind an address that the job connects to. Pins outlive
//! their TTL, as jobs keep addresses; freshness only says when the gateway has to ask again.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use policy::Name;

/// Names and addresses, bound in both directions. Many names may share one address.
///
/// Holds at most the given number of name-address pairs. Beyond it the least recently used name
/// goes: its opaque connections are then refused until it is asked for again, so the bound fails
/// closed and a busy job goes on working.
#[derive(Debug)]
pub struct Pins {
    capacity: usize,
    tables: Mutex<Tables>,
}

#[derive(Debug, Default)]
struct Tables {
    by_name: HashMap<Name, Pinned>,
    by_address: HashMap<IpAddr, Vec<Name>>,
    /// Names by the tick of their last use, oldest first.
    by_use: BTreeMap<u64, Name>,
    tick: u64,
    pairs: usize,
}

#[derive(Debug)]
struct Pinned {
    /// In the order of first sight.
    addresses: Vec<PinnedAddress>,
    used: u64,
}

#[derive(Debug, Clone, Copy)]
struct PinnedAddress {
    address: IpAddr,
    fresh_until: Instant,
}

impl Pins {
    /// Room for this many pairs, at least one.
    pub fn new(capacity: usize) -> Pins {
        Pins { capacity: capacity.max(1), tables: Mutex::default() }
    }

    /// Binds a name to more addresses; known ones become fresh again.
    pub fn pin(&self, name: &Name, addresses: &[IpAddr], fresh_until: Instant) {
        if addresses.is_empty() {
            return;
        }
        self.with(|tables| {
            for &address in addresses {
                tables.pin(name, PinnedAddress { address, fresh_until });
            }
            tables.touch(name);
            while tables.pairs > self.capacity {
                tables.evict();
            }
        });
    }

    /// The names that an address was an answer for.
    pub fn names_of(&self, address: IpAddr) -> Vec<Name> {
        self.with(|tables| tables.by_address.get(&address).cloned().unwrap_or_default())
    }

    /// Every address that a name got in this run.
    pub fn addresses_of(&self, name: &Name) -> Vec<IpAddr> {
        self.select(name, |_| true)
    }

    /// The addresses whose TTL has not run out.
    pub fn fresh_addresses_of(&self, name: &Name, now: Instant) -> Vec<IpAddr> {
        self.select(name, |pinned| pinned.fresh_until > now)
    }

    fn select(&self, name: &Name, keep: impl Fn(&PinnedAddress) -> bool) -> Vec<IpAddr> {
        self.with(|tables| {
            tables.touch(name);
            let Some(pinned) = tables.by_name.get(name) else { return Vec::new() };
            pinned.addresses.iter().filter(|pinned| keep(pinned)).map(|pinned| pinned.address).collect()
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Tables) -> T) -> T {
        // The tables are consistent between statements that can panic (allocation only).
        act(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tables {
    fn pin(&mut self, name: &Name, new: PinnedAddress) {
        // Tick 0 has no place in the order yet: the caller touches the name afterwards.
        let pinned =
            self.by_name.entry(name.clone()).or_insert_with(|| Pinned { addresses: Vec::new(), used: 0 });
        match pinned.addresses.iter_mut().find(|known| known.address == new.address) {
            Some(known) => known.fresh_until = known.fresh_until.max(new.fresh_until),
            None => {
                pinned.addresses.push(new);
                self.by_address.entry(new.address).or_default().push(name.clone());
                self.pairs += 1;
            }
        }
    }

    fn touch(&mut self, name: &Name) {
        let Some(pinned) = self.by_name.get_mut(name) else { return };
        self.tick += 1;
        self.by_use.remove(&pinned.used);
        pinned.used = self.tick;
        self.by_use.insert(self.tick, name.clone());
    }

    /// Drops the least recently used name, or the oldest address of the only one.
    fn evict(&mut self) {
        let Some(oldest) = self.by_use.first_entry() else { return };
        let name = oldest.get().clone();
        let only_one = self.by_name.len() == 1;
        let Some(pinned) = self.by_name.get_mut(&name) else { return };
        let gone = if only_one { pinned.addresses.drain(..1) } else { pinned.addresses.drain(..) };
        for PinnedAddress { address, .. } in gone {
            self.pairs -= 1;
            if let Some(names) = self.by_address.get_mut(&address) {
                names.retain(|other| *other != name);
                if names.is_empty() {
                    self.by_address.remove(&address);
                }
            }
        }
        if !only_one {
            oldest.remove();
            self.by_name.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    fn address(last: u8) -> IpAddr {
        Ipv4Addr::new(192, 0, 2, last).into()
    }

    #[test]
    fn binds_in_both_directions() {
        let (pins, now) = (Pins::new(10), Instant::now());
        pins.pin(&name("a.example"), &[address(1), address(2)], now);
        pins.pin(&name("b.example"), &[address(1)], now);
        assert_eq!(pins.names_of(address(1)), [name("a.example"), name("b.example")]);
        assert_eq!(pins.addresses_of(&name("a.example")), [address(1), address(2)]);
        assert_eq!(pins.names_of(address(2)), [name("a.example")]);
    }

    #[test]
    fn pins_outlive_their_ttl() {
        let (pins, now) = (Pins::new(10), Instant::now());
        let a = name("a.example");
        pins.pin(&a, &[address(1)], now + Duration::from_secs(5));
        assert_eq!(pins.fresh_addresses_of(&a, now), [address(1)]);
        assert!(pins.fresh_addresses_of(&a, now + Duration::from_secs(5)).is_empty());
        assert_eq!(pins.names_of(address(1)), [name("a.example")]);
        pins.pin(&a, &[address(1)], now + Duration::from_secs(9));
        assert_eq!(pins.fresh_addresses_of(&a, now + Duration::from_secs(8)), [address(1)]);
    }

    #[test]
    fn the_least_recently_used_name_goes() {
        let (pins, now) = (Pins::new(3), Instant::now());
        for (text, last) in [("a.example", 1), ("b.example", 2), ("c.example", 3)] {
            pins.pin(&name(text), &[address(last)], now);
        }
        pins.addresses_of(&name("a.example"));
        pins.pin(&name("d.example"), &[address(4)], now);
        assert!(pins.names_of(address(2)).is_empty());
        assert_eq!(pins.names_of(address(1)), [name("a.example")]);
        assert_eq!(pins.names_of(address(4)), [name("d.example")]);
    }

    #[test]
    fn one_name_alone_keeps_its_newest_addresses() {
        let (pins, now) = (Pins::new(2), Instant::now());
        pins.pin(&name("a.example"), &[address(1), address(2), address(3)], now);
        assert_eq!(pins.addresses_of(&name("a.example")), [address(2), address(3)]);
    }

    proptest! {
        #[test]
        fn both_directions_agree(steps in proptest::collection::vec((0u8..6, 0u8..6, any::<bool>()), 0..80)) {
            let (pins, now) = (Pins::new(7), Instant::now());
            for (who, last, look) in steps {
                let name = name(&format!("n{who}.example"));
                if look { pins.addresses_of(&name); } else { pins.pin(&name, &[address(last)], now); }
                pins.with(|tables| {
                    assert!(tables.pairs <= 7);
                    assert_eq!(tables.by_use.len(), tables.by_name.len());
                    assert_eq!(tables.by_address.values().map(Vec::len).sum::<usize>(), tables.pairs);
                    assert_eq!(tables.by_name.values().map(|p| p.addresses.len()).sum::<usize>(), tables.pairs);
                });
            }
        }
    }
}

//! Finds the rules that may speak of a name or an address without looking at the others.
//!
//! Keys are 64-bit hashes of names and ranges; a collision only makes a rule be looked at in vain,
//! since every candidate is asked [`Rule::fit`]. The keys come from the policy, which is trusted,
//! so no one can crowd a bucket from outside.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::net::IpAddr;

use ipnet::IpNet;

use crate::rule::Subject;
use crate::{Name, Pattern, Rule};

/// Rules compared with one rule for advice; a host with more URL rules gets less advice.
const MOST_AROUND: usize = 100;

/// Rules by the names and addresses that they speak of. Numbers are places in the rule list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    exact: Buckets,
    one_label: Buckets,
    any_depth: Buckets,
    /// The most dots in the name of an `any_depth` rule: longer parents need no look.
    any_depth_dots: usize,
    v4: Ranges,
    v6: Ranges,
}

/// Address rules of one family.
#[derive(Debug, Clone, Default)]
struct Ranges {
    /// The prefix lengths that occur, shortest first.
    lengths: Vec<u8>,
    buckets: Buckets,
}

/// For each key a run of rule numbers.
#[derive(Debug, Clone, Default)]
struct Buckets {
    runs: HashMap<u64, (u32, u32), BuildHasherDefault<Ready>>,
    numbers: Vec<u32>,
}

impl Index {
    /// Indexes those of `rules` that `wanted` picks.
    pub(crate) fn new(rules: &[Rule], wanted: impl Fn(&Rule) -> bool) -> Index {
        let mut index = Index::default();
        let (mut exact, mut one_label, mut any_depth) = (Vec::new(), Vec::new(), Vec::new());
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (number, rule) in (0..).zip(rules).filter(|(_, rule)| wanted(rule)) {
            match rule.subject() {
                Subject::Host { pattern, .. } => {
                    let key = name_key(pattern.base().as_str());
                    match pattern {
                        Pattern::Exact(_) => exact.push((key, number)),
                        Pattern::OneLabel(_) => one_label.push((key, number)),
                        Pattern::AnyDepth(name) => {
                            any_depth.push((key, number));
                            index.any_depth_dots = index.any_depth_dots.max(name.labels().count() - 1);
                        }
                    }
                }
                Subject::Address { range, .. } => {
                    let entry = (range.prefix_len(), range_key(bits(range.addr()), *range), number);
                    if range.addr().is_ipv4() { v4.push(entry) } else { v6.push(entry) }
                }
                Subject::Loopback { .. } | Subject::Unix { .. } | Subject::Elsewhere { .. } => {}
            }
        }
        index.exact = Buckets::new(exact);
        index.one_label = Buckets::new(one_label);
        index.any_depth = Buckets::new(any_depth);
        index.v4 = Ranges::new(v4);
        index.v6 = Ranges::new(v6);
        index
    }

    /// Rules whose pattern may match the name: exact ones first, then `*.`, then `**.`. Each rule
    /// comes once.
    pub(crate) fn for_name<'i, 'n>(&'i self, name: &'n Name) -> impl Iterator<Item = u32> + use<'i, 'n> {
        let name = name.as_str();
        // Keys grow from the right, so the parent's is on the way to the name's own.
        let (first, rest) = name.split_at(name.find('.').map_or(0, |dot| dot + 1));
        let rest = rest.bytes().rev().fold(NAME_SEED, step);
        let whole = first.bytes().rev().fold(rest, step);
        let parent = if first.is_empty() { &[] } else { self.one_label.get(finish(rest)) };
        let parents = Parents { bytes: name.as_bytes(), end: name.len(), key: NAME_SEED };
        let depth = if self.any_depth.is_empty() { 0 } else { self.any_depth_dots + 1 };
        let parents = parents.take(depth).flat_map(|key| self.any_depth.get(key));
        self.exact.get(finish(whole)).iter().chain(parent).chain(parents).copied()
    }

    /// Rules that may speak of everything that this one speaks of, but at most [`MOST_AROUND`].
    pub(crate) fn around(&self, rule: &Rule) -> Vec<u32> {
        match rule.subject() {
            Subject::Host { pattern: Pattern::Exact(name), .. } => {
                self.for_name(name).take(MOST_AROUND).collect()
            }
            Subject::Host { pattern, .. } => {
                // What speaks of every name below the base speaks of this one.
                let below = Name::parse(&format!("x.{}", pattern.base()));
                below.map(|name| self.for_name(&name).take(MOST_AROUND).collect()).unwrap_or_default()
            }
            Subject::Address { range, .. } => self.for_address(range.addr()).take(MOST_AROUND).collect(),
            Subject::Loopback { .. } | Subject::Unix { .. } | Subject::Elsewhere { .. } => Vec::new(),
        }
    }

    /// Rules whose range may hold the address, which must not be IPv4-mapped. Wider ranges come
    /// first.
    pub(crate) fn for_address(&self, address: IpAddr) -> impl Iterator<Item = u32> + '_ {
        let (ranges, width) = if address.is_ipv4() { (&self.v4, 32) } else { (&self.v6, 128) };
        let bits = bits(address);
        ranges
            .lengths
            .iter()
            .flat_map(move |&length| {
                let masked = bits & u128::MAX.checked_shl(width - u32::from(length)).unwrap_or(0);
                ranges.buckets.get(mix_range(masked, length))
            })
            .copied()
    }
}

impl Ranges {
    fn new(entries: Vec<(u8, u64, u32)>) -> Ranges {
        let mut lengths: Vec<u8> = entries.iter().map(|&(length, ..)| length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        Ranges {
            lengths,
            buckets: Buckets::new(entries.into_iter().map(|(_, key, number)| (key, number)).collect()),
        }
    }
}

impl Buckets {
    fn new(mut entries: Vec<(u64, u32)>) -> Buckets {
        entries.sort_unstable();
        let mut runs: HashMap<u64, (u32, u32), _> = HashMap::default();
        for (place, &(key, _)) in (0..).zip(&entries) {
            runs.entry(key).or_insert((place, place)).1 = place + 1;
        }
        Buckets { runs, numbers: entries.into_iter().map(|(_, number)| number).collect() }
    }

    fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    fn get(&self, key: u64) -> &[u32] {
        self.runs.get(&key).map_or(&[], |&(start, end)| &self.numbers[start as usize..end as usize])
    }
}

/// The keys of a name's parents, from the shortest; the name itself is not among them. One pass
/// from the right serves them all, so a name of 127 labels costs no more than its bytes.
struct Parents<'n> {
    bytes: &'n [u8],
    end: usize,
    key: u64,
}

impl Iterator for Parents<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while let Some(at) = self.end.checked_sub(1) {
            self.end = at;
            let key = self.key;
            self.key = step(key, self.bytes[at]);
            if self.bytes[at] == b'.' {
                return Some(finish(key));
            }
        }
        None
    }
}

/// FNV-1a, from the last byte to the first.
const NAME_SEED: u64 = 0xcbf2_9ce4_8422_2325;

fn step(key: u64, byte: u8) -> u64 {
    (key ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

fn name_key(name: &str) -> u64 {
    finish(name.bytes().rev().fold(NAME_SEED, step))
}

fn range_key(bits: u128, range: IpNet) -> u64 {
    mix_range(bits, range.prefix_len())
}

fn mix_range(bits: u128, length: u8) -> u64 {
    let (high, low) = ((bits >> 64) as u64, bits as u64);
    finish(finish(high ^ u64::from(length)).wrapping_add(low))
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Spreads the key over all its bits (the finaliser of SplitMix64).
fn finish(key: u64) -> u64 {
    let key = (key ^ key >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let key = (key ^ key >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ key >> 31
}

/// A hasher for keys that are hashes already.
#[derive(Debug, Clone, Copy, Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = step(self.0, byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

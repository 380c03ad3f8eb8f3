//! Ports as rules name them: one, a range, or all; and sets of them for quick questions.

use std::fmt;

/// What carries the bytes to a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP, the default of every rule.
    Tcp,
    /// UDP, written `/udp` after the port.
    Udp,
}

/// An inclusive range of ports, never empty and never with port 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// Every port, written `*`.
    pub const ALL: PortRange = PortRange { first: 1, last: u16::MAX };

    /// The range from `first` to `last`, both included; `None` if it is empty or holds port 0.
    pub fn new(first: u16, last: u16) -> Option<PortRange> {
        (first != 0 && first <= last).then_some(PortRange { first, last })
    }

    /// The lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether the range holds the port.
    pub fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }

    /// Whether the range holds every port of the other.
    pub(crate) fn covers(self, other: PortRange) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    pub(crate) const fn single(port: u16) -> PortRange {
        PortRange { first: port, last: port }
    }
}

/// As a rule writes it: `22`, `8000-8100` or `*`.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PortRange::ALL => f.write_str("*"),
            PortRange { first, last } if first == last => write!(f, "{first}"),
            PortRange { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

/// A set of ports, kept as sorted ranges that do not touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// Whether the set holds the port.
    pub fn contains(&self, port: u16) -> bool {
        let after = self.0.partition_point(|range| range.last < port);
        self.0.get(after).is_some_and(|range| range.contains(port))
    }

    /// Whether the set holds no port.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the set holds every port.
    pub fn is_all(&self) -> bool {
        self.0 == [PortRange::ALL]
    }

    /// The ports as ranges, lowest first; neighbours are merged.
    pub fn ranges(&self) -> impl Iterator<Item = PortRange> {
        self.0.iter().copied()
    }

    /// The ports, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().flat_map(|range| range.first..=range.last)
    }

    /// The set without the ports of the other.
    pub(crate) fn without(&self, other: &PortSet) -> PortSet {
        self.iter().filter(|&port| !other.contains(port)).map(PortRange::single).collect()
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> PortSet {
        let mut ranges: Vec<PortRange> = ranges.into_iter().collect();
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let touches = next.first <= kept.last.saturating_add(1);
            if touches {
                kept.last = kept.last.max(next.last);
            }
            touches
        });
        PortSet(ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u16, u16)]) -> PortSet {
        ranges.iter().filter_map(|&(first, last)| PortRange::new(first, last)).collect()
    }

    #[test]
    fn merges_neighbours_and_overlaps() {
        let ports = set(&[(8, 9), (1, 3), (4, 5), (9, 12)]);
        assert_eq!(ports, set(&[(1, 5), (8, 12)]));
        assert!(ports.contains(5) && !ports.contains(6) && ports.contains(12) && !ports.contains(0));
        assert!(set(&[(1, 9), (10, u16::MAX), (2, 3)]).is_all());
    }

    #[test]
    fn subtracts() {
        assert_eq!(set(&[(1, 10)]).without(&set(&[(4, 5), (10, 20)])), set(&[(1, 3), (6, 9)]));
    }
}

//! The types of DNS questions: which of them a job may ask, and how logs call them. Pure.

use std::fmt;

/// The type in a question (RFC 1035 section 3.2.2 and the IANA registry of RR types).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Kind(pub u16);

/// Types that are resolved for an allowed name. What is absent is refused: transfers and ANY are
/// ways to fetch whole zones, NULL exists to carry bytes.
const ASKABLE: [(Kind, &str); 17] = [
    (Kind::A, "A"),
    (Kind(2), "NS"),
    (Kind::CNAME, "CNAME"),
    (Kind(6), "SOA"),
    (Kind::PTR, "PTR"),
    (Kind(15), "MX"),
    (Kind(16), "TXT"),
    (Kind::AAAA, "AAAA"),
    (Kind::SRV, "SRV"),
    (Kind(35), "NAPTR"),
    (Kind(43), "DS"),
    (Kind(44), "SSHFP"),
    (Kind(48), "DNSKEY"),
    (Kind(52), "TLSA"),
    (Kind(64), "SVCB"),
    (Kind::HTTPS, "HTTPS"),
    (Kind(257), "CAA"),
];

/// Refused types that deserve a name in the log.
const REFUSED: [(Kind, &str); 5] =
    [(Kind(10), "NULL"), (Kind(41), "OPT"), (Kind::IXFR, "IXFR"), (Kind::AXFR, "AXFR"), (Kind::ANY, "ANY")];

impl Kind {
    pub(crate) const A: Kind = Kind(1);
    pub(crate) const CNAME: Kind = Kind(5);
    pub(crate) const PTR: Kind = Kind(12);
    pub(crate) const AAAA: Kind = Kind(28);
    pub(crate) const SRV: Kind = Kind(33);
    pub(crate) const HTTPS: Kind = Kind(65);
    pub(crate) const IXFR: Kind = Kind(251);
    pub(crate) const AXFR: Kind = Kind(252);
    pub(crate) const ANY: Kind = Kind(255);

    /// Whether a job may ask for this type of an allowed name.
    pub fn is_askable(self) -> bool {
        ASKABLE.iter().any(|&(kind, _)| kind == self)
    }

    /// Types that describe the exchange and not a name (RFC 6895 section 3.1: OPT, and the range
    /// of query and meta types). ANY and the mail types in it are ordinary questions.
    pub(crate) fn is_meta(self) -> bool {
        self.0 == 41 || (128..=252).contains(&self.0)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ASKABLE.iter().chain(&REFUSED).find(|(kind, _)| kind == self) {
            Some((_, name)) => f.write_str(name),
            // RFC 3597 section 5.
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfers_any_null_and_unknown_are_not_askable() {
        for kind in [Kind::AXFR, Kind::IXFR, Kind::ANY, Kind(10), Kind(41), Kind(0), Kind(65280)] {
            assert!(!kind.is_askable(), "{kind}");
        }
        assert!(Kind::A.is_askable() && Kind::HTTPS.is_askable());
    }

    #[test]
    fn names_as_logs_spell_them() {
        assert_eq!(Kind(257).to_string(), "CAA");
        assert_eq!(Kind(252).to_string(), "AXFR");
        assert_eq!(Kind(65280).to_string(), "TYPE65280");
    }
}

//! The names of a hosts file, as hosts(5) has them. Pure.

use std::collections::HashMap;
use std::net::IpAddr;

use policy::Name;

/// Names in lower case and addresses, bound in both directions, in the order of the file.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    by_name: HashMap<Box<str>, Vec<IpAddr>>,
    by_address: HashMap<IpAddr, Vec<Name>>,
}

impl Hosts {
    /// Lines that begin with no address say nothing. Scoped addresses are left out, as the scope would be lost.
    pub(super) fn read(text: &str) -> Hosts {
        let mut hosts = Hosts::default();
        for line in text.trim_start_matches('\u{feff}').lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
            for name in words.map(plain) {
                if let Ok(name) = Name::parse(&name) {
                    hosts.by_address.entry(address.to_canonical()).or_default().push(name);
                }
                hosts.by_name.entry(name.into()).or_default().push(address);
            }
        }
        hosts
    }

    /// The addresses of a name, which may end in a dot; none if the file does not have it.
    pub(super) fn addresses(&self, name: &str) -> &[IpAddr] {
        self.by_name.get(plain(name).as_str()).map_or(&[], Vec::as_slice)
    }

    /// The host names that have an address.
    pub(super) fn names(&self, address: IpAddr) -> &[Name] {
        self.by_address.get(&address).map_or(&[], Vec::as_slice)
    }
}

fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_addresses() {
        let hosts = Hosts::read(
            "\u{feff}192.0.2.1 One.Example one # first\n\
             \t2001:db8::1\tone.example.\r\n\
             # 192.0.2.2 two.example\n\
             192.0.2.3\n\
             fe80::1%eth0 scoped.example\n\
             nonsense three.example\n\
             192.0.2.4 one.example\n\
             ::ffff:192.0.2.5 mapped.example\n",
        );
        let of = |name| hosts.addresses(name).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(of("ONE.example."), ["192.0.2.1", "2001:db8::1", "192.0.2.4"]);
        assert_eq!(of("one"), ["192.0.2.1"]);
        for name in ["two.example", "scoped.example", "three.example", "first", ""] {
            assert!(of(name).is_empty(), "{name}");
        }
        let names = |address: &str| hosts.names(address.parse().unwrap());
        assert_eq!(names("192.0.2.1"), ["one.example", "one"].map(|name| Name::parse(name).unwrap()));
        assert_eq!(names("192.0.2.5").len(), 1);
        assert!(names("192.0.2.2").is_empty());
    }
}

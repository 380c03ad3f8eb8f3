//! Names that are answered here, whatever the policy: the job's own loopback, and reverse names.
//! Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use policy::Name;

/// Whether a name is the job's own loopback (RFC 6761 section 6.3).
pub(crate) fn is_localhost(name: &Name) -> bool {
    name.labels().next_back() == Some("localhost")
}

/// The address in a whole reverse name (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub(crate) fn reverse_address(name: &Name) -> Option<IpAddr> {
    if let Some(reversed) = name.as_str().strip_suffix(".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut labels = reversed.split('.');
        for octet in octets.iter_mut().rev() {
            let label = labels.next()?;
            *octet = label.parse().ok().filter(|value: &u8| value.to_string() == label)?;
        }
        return labels.next().is_none().then_some(Ipv4Addr::from(octets).into());
    }
    let reversed = name.as_str().strip_suffix(".ip6.arpa")?;
    let mut labels = reversed.split('.');
    let mut bits = 0;
    for nibble in 0..32 {
        let label = labels.next().filter(|label| label.len() == 1)?;
        bits |= u128::from(u8::from_str_radix(label, 16).ok()?) << (4 * nibble);
    }
    labels.next().is_none().then_some(Ipv6Addr::from(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reverse(text: &str) -> Option<String> {
        reverse_address(&Name::parse(text).expect("a name")).map(|address| address.to_string())
    }

    #[test]
    fn reverse_names() {
        assert_eq!(reverse("7.2.0.192.in-addr.arpa").as_deref(), Some("192.0.2.7"));
        let v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reverse(v6).as_deref(), Some("2001:db8::1"));
        for text in [
            "2.0.192.in-addr.arpa",
            "1.7.2.0.192.in-addr.arpa",
            "07.2.0.192.in-addr.arpa",
            "256.2.0.192.in-addr.arpa",
            "in-addr.arpa",
            "1.ip6.arpa",
            "example.com",
            "7.2.0.192.in-addr.arpa.example.com",
        ] {
            assert_eq!(reverse(text), None, "{text}");
        }
    }

    #[test]
    fn localhost_names() {
        let is_localhost = |text| is_localhost(&Name::parse(text).expect("a name"));
        assert!(is_localhost("localhost") && is_localhost("db.localhost"));
        assert!(!is_localhost("localhost.example") && !is_localhost("mylocalhost"));
    }
}

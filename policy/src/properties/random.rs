//! Random rules and requests.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use proptest::sample::select;

use crate::{Name, Request, Scheme};

/// Few labels, so that random rules and requests meet often.
fn host() -> impl Strategy<Value = String> {
    prop::collection::vec(select(vec!["a", "b", "test"]), 1..5).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    (select(vec!["", "*.", "**."]), host()).prop_map(|(front, host)| format!("{front}{host}"))
}

fn ports() -> impl Strategy<Value = String> {
    select(vec!["80", "443", "53", "22", "50-100", "*", "443/udp", "50-60/udp", "*/udp"])
        .prop_map(str::to_owned)
}

fn range() -> impl Strategy<Value = String> {
    let ranges = ["10.0.0.0/8", "10.0.0.0/9", "10.0.0.1", "192.0.2.0/24", "192.0.2.1", "0.0.0.0/0"];
    let v6 = ["[::/0]", "[2001:db8::/32]", "[2001:db8::1]", "[fd00::/8]"];
    select([ranges.as_slice(), v6.as_slice()].concat()).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    select(vec!["/", "/p", "/p/", "/p/q", "/pq", "/%C3%A9"]).prop_map(str::to_owned)
}

pub(crate) fn rule() -> impl Strategy<Value = String> {
    let methods = select(vec!["", "GET ", "GET,HEAD ", "POST "]);
    let port = select(vec!["", ":443", ":80"]);
    let url = (methods, select(vec!["https", "http"]), pattern(), port, path());
    prop_oneof![
        3 => pattern(),
        3 => (pattern(), ports()).prop_map(|(host, ports)| format!("{host}:{ports}")),
        3 => url.prop_map(|(methods, scheme, host, port, path)| format!("{methods}{scheme}://{host}{port}{path}")),
        1 => pattern().prop_map(|host| format!("dns:{host}")),
        3 => (range(), ports()).prop_map(|(range, ports)| format!("{range}:{ports}")),
    ]
}

pub(super) fn deny_rule() -> impl Strategy<Value = String> {
    prop_oneof![4 => rule(), 1 => range()]
}

/// A request that owns what it speaks of.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    kind: u8,
    pub(super) name: Name,
    address: IpAddr,
    port: u16,
    https: bool,
    method: &'static str,
    path: &'static str,
}

impl Asked {
    pub(super) fn request(&self) -> Request<'_> {
        let (name, port, address) = (&self.name, self.port, self.address);
        let destination = SocketAddr::new(address, port);
        match self.kind {
            0 => Request::Resolve { name },
            1 => Request::DnsServer { server: destination },
            2 => Request::Resolved { name, address },
            3 => Request::Tls { name, port },
            4 => Request::Tcp { name, port },
            5 => Request::TcpAddress { destination },
            6 => Request::Udp { name, port },
            7 => Request::UdpAddress { destination },
            _ => {
                let scheme = if self.https { Scheme::Https } else { Scheme::Http };
                Request::Http { scheme, host: name, port, method: self.method, path: self.path }
            }
        }
    }
}

pub(super) fn asked() -> impl Strategy<Value = Asked> {
    let addresses = ["10.0.0.1", "10.200.0.1", "192.0.2.1", "192.0.2.2", "127.0.0.1", "169.254.169.254"];
    let more = ["::ffff:10.0.0.1", "2001:db8::1", "2001:db8::2", "fd00::1", "::1", "64:ff9b::a00:1"];
    let address = select([addresses.as_slice(), more.as_slice()].concat());
    let paths =
        ["/", "/p", "/p/", "/p/x", "/p/q/r", "/pq", "/p/../q", "/p%2fq", "//p", "/%c3%a9", "", "/%70"];
    (
        0..12_u8,
        host(),
        address,
        select(vec![22_u16, 53, 80, 443, 60]),
        any::<bool>(),
        select(vec!["GET", "HEAD", "POST", "get"]),
        select(paths.to_vec()),
    )
        .prop_map(|(kind, host, address, port, https, method, path)| Asked {
            kind,
            name: Name::parse(&host).unwrap(),
            address: address.parse().unwrap(),
            port,
            https,
            method,
            path,
        })
}

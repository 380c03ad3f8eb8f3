//! The meaning of rules, one table a subject: rules, a request, the verdict.

use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::PolicyBuilder;

pub(crate) fn policy(allow: &[&str], deny: &[&str]) -> Policy {
    let mut builder = PolicyBuilder::new();
    allow.iter().for_each(|rule| builder.add_allow(rule));
    deny.iter().for_each(|rule| builder.add_deny(rule));
    builder.build().unwrap()
}

/// The verdict in a word: `allow` or the reason.
fn verdict(policy: &Policy, request: &Request<'_>) -> &'static str {
    match policy.judge(request) {
        Verdict::Allow(_) => "allow",
        Verdict::Deny(denial) => denial.reason.as_str(),
    }
}

/// A request in a line: `resolve a.b`, `tls a.b:443`, `GET http://a.b:80/p`, `tcp a.b:22`,
/// `udp 192.0.2.1:53`, `dns 192.0.2.1:53`, `resolved a.b 10.0.0.1`.
fn ask(policy: &Policy, line: &str) -> &'static str {
    let (what, rest) = line.split_once(' ').unwrap();
    if let Some((scheme, url)) = rest.split_once("://") {
        let (authority, path) = url.split_at(url.find('/').unwrap());
        let (host, port) = authority.split_once(':').unwrap();
        let scheme = if scheme == "http" { Scheme::Http } else { Scheme::Https };
        let host = Name::parse(host).unwrap();
        return verdict(
            policy,
            &Request::Http { scheme, host: &host, port: port.parse().unwrap(), method: what, path },
        );
    }
    if let Ok(address) = rest.parse::<SocketAddr>() {
        let request = match what {
            "dns" => Request::DnsServer { server: address },
            "tcp" => Request::TcpAddress { destination: address },
            _ => Request::UdpAddress { destination: address },
        };
        return verdict(policy, &request);
    }
    if let Some((name, address)) = rest.split_once(' ') {
        let address: IpAddr = address.parse().unwrap();
        return verdict(policy, &Request::Resolved { name: &Name::parse(name).unwrap(), address });
    }
    let (name, port) = rest.split_once(':').unwrap_or((rest, "0"));
    let (name, port) = (&Name::parse(name).unwrap(), port.parse().unwrap());
    let request = match what {
        "resolve" => Request::Resolve { name },
        "tls" => Request::Tls { name, port },
        "tcp" => Request::Tcp { name, port },
        "udp" => Request::Udp { name, port },
        other => panic!("{other}"),
    };
    verdict(policy, &request)
}

#[track_caller]
fn check(policy: &Policy, cases: &[(&str, &str)]) {
    for (line, wanted) in cases {
        assert_eq!(ask(policy, line), *wanted, "{line}");
    }
}

#[test]
fn the_empty_policy_allows_nothing() {
    let empty = policy(&[], &[]);
    assert_eq!(empty.mode(), Mode::Enforce);
    check(
        &empty,
        &[
            ("resolve a.example", "not-allowed"),
            ("tls a.example:443", "not-allowed"),
            ("GET http://a.example:80/", "not-allowed"),
            ("udp a.example:443", "not-allowed"),
            ("tcp 192.0.2.1:443", "ip-not-allowed"),
            ("udp 192.0.2.1:443", "ip-not-allowed"),
            ("dns 192.0.2.1:53", "dns-server-not-allowed"),
            ("resolved a.example 192.0.2.1", "not-allowed"),
        ],
    );
}

#[test]
fn a_name_is_the_web() {
    check(
        &policy(&["example.com"], &[]),
        &[
            ("resolve example.com", "allow"),
            ("resolve EXAMPLE.com.", "allow"),
            ("tls example.com:443", "allow"),
            ("tls example.com:8443", "not-allowed"),
            ("tls example.com:80", "not-allowed"),
            ("POST http://example.com:80/any/../thing", "allow"),
            ("GET https://example.com:443/", "allow"),
            ("GET http://example.com:443/", "not-allowed"),
            ("GET http://example.com:8080/", "not-allowed"),
            ("tcp example.com:443", "not-allowed"),
            ("udp example.com:443", "not-allowed"),
            ("tls www.example.com:443", "not-allowed"),
            ("tls evilexample.com:443", "not-allowed"),
            ("tls example.com.evil.test:443", "not-allowed"),
        ],
    );
}

#[test]
fn ports_are_any_tcp() {
    check(
        &policy(&["example.com:22", "a.test:8000-8100", "b.test:*", "c.test:123/udp"], &[]),
        &[
            ("resolve example.com", "allow"),
            ("tcp example.com:22", "allow"),
            ("tls example.com:22", "allow"),
            ("GET http://example.com:22/", "allow"),
            ("GET https://example.com:22/", "allow"),
            ("tls example.com:443", "not-allowed"),
            ("udp example.com:22", "not-allowed"),
            ("tcp a.test:8050", "allow"),
            ("tcp a.test:8101", "not-allowed"),
            ("tcp b.test:1", "allow"),
            ("tcp b.test:65535", "allow"),
            ("udp b.test:1", "not-allowed"),
            ("resolve c.test", "allow"),
            ("udp c.test:123", "allow"),
            ("tcp c.test:123", "not-allowed"),
            ("tls c.test:443", "not-allowed"),
        ],
    );
}

#[test]
fn wildcards() {
    check(
        &policy(&["*.one.test", "**.any.test:22"], &[]),
        &[
            ("tls a.one.test:443", "allow"),
            ("tls one.test:443", "not-allowed"),
            ("tls a.b.one.test:443", "not-allowed"),
            ("tcp a.any.test:22", "allow"),
            ("tcp a.b.c.any.test:22", "allow"),
            ("tcp any.test:22", "not-allowed"),
            ("tcp aany.test:22", "not-allowed"),
        ],
    );
}

#[test]
fn urls() {
    let policy = policy(
        &["https://h.test/p/", "GET,HEAD https://h.test/m", "http://h.test:8080/x", "https://w.test"],
        &[],
    );
    check(
        &policy,
        &[
            ("resolve h.test", "allow"),
            ("tls h.test:443", "allow"),
            ("PUT https://h.test:443/p/a", "allow"),
            ("PUT https://h.test:443/p", "path-not-allowed"),
            ("PUT https://h.test:443/P/a", "path-not-allowed"),
            ("PUT https://h.test:443/p/../s", "path-not-allowed"),
            ("PUT https://h.test:443/p/%2e%2e/s", "path-not-allowed"),
            ("PUT https://h.test:443//p/s", "path-not-allowed"),
            ("PUT https://h.test:443/p%2fs", "path-not-allowed"),
            ("GET https://h.test:443/m/x", "allow"),
            ("POST https://h.test:443/m/x", "method-not-allowed"),
            ("get https://h.test:443/m/x", "method-not-allowed"),
            ("GET http://h.test:80/p/a", "not-allowed"),
            ("GET http://h.test:8080/x/y", "allow"),
            ("GET http://h.test:8080/xy", "path-not-allowed"),
            ("tls h.test:8080", "not-allowed"),
            ("tcp h.test:443", "not-allowed"),
            ("tls w.test:443", "allow"),
            ("GET https://w.test:443/a/../b", "allow"),
            ("GET http://w.test:80/", "not-allowed"),
        ],
    );
    let name = |text| Name::parse(text).unwrap();
    assert!(policy.intercepts(&name("h.test"), 443));
    assert!(!policy.intercepts(&name("h.test"), 8080));
    assert!(!policy.intercepts(&name("w.test"), 443));
    assert_eq!(policy.needs_interception().count(), 2);
}

#[test]
fn interception_is_left_out_where_it_could_not_matter() {
    let name = Name::parse("h.test").unwrap();
    assert!(!policy(&["https://h.test/p/", "**.test"], &[]).intercepts(&name, 443));
    assert!(policy(&["h.test"], &["https://h.test/secret"]).intercepts(&name, 443));
    assert!(policy(&["h.test"], &["POST https://h.test"]).intercepts(&name, 443));
    assert!(!policy(&["h.test"], &["https://h.test"]).intercepts(&name, 443));
}

#[test]
fn addresses() {
    check(
        &policy(
            &[
                "192.0.2.7:53",
                "10.1.0.0/16:5432",
                "[2001:db8::/32]:443",
                "198.51.100.1:9/udp",
                "0.0.0.0/0:7777",
            ],
            &[],
        ),
        &[
            ("dns 192.0.2.7:53", "allow"),
            ("dns [::ffff:192.0.2.7]:53", "allow"),
            ("dns 192.0.2.8:53", "dns-server-not-allowed"),
            // Opaque bytes to a DNS server would go round the filter on names.
            ("tcp 192.0.2.7:53", "ip-not-allowed"),
            ("tcp 10.1.255.255:5432", "allow"),
            ("tcp [::ffff:10.1.0.1]:5432", "allow"),
            ("tcp 10.2.0.1:5432", "ip-not-allowed"),
            ("udp 10.1.0.1:5432", "ip-not-allowed"),
            ("tcp [2001:db8:ffff::1]:443", "allow"),
            ("tcp [2001:db9::1]:443", "ip-not-allowed"),
            ("udp 198.51.100.1:9", "allow"),
            ("tcp 198.51.100.1:9", "ip-not-allowed"),
            ("tcp 8.8.8.8:7777", "allow"),
            // That would be the gateway's own host.
            ("tcp 127.0.0.1:7777", "ip-not-allowed"),
            ("tcp 0.0.0.0:7777", "ip-not-allowed"),
            ("resolve 7.test", "not-allowed"),
        ],
    );
}

#[test]
fn private_answers_need_a_rule() {
    let mut builder = PolicyBuilder::new();
    for rule in ["a.test", "**.test", "10.1.0.0/16:5432"] {
        builder.add_allow(rule);
    }
    builder.add_deny("203.0.113.0/24");
    builder.add_deny("198.51.100.0/24:443");
    builder.add_file("f", b"[[rule]]\nhost = '*.corp.test'\nallow-private = true");
    check(
        &builder.build().unwrap(),
        &[
            ("resolved a.test 192.0.2.1", "allow"),
            ("resolved a.test 10.2.0.1", "private-address"),
            ("resolved a.test 10.1.0.1", "allow"),
            ("resolved a.test ::ffff:10.1.0.1", "allow"),
            ("resolved a.test ::ffff:127.0.0.1", "private-address"),
            ("resolved a.test 169.254.169.254", "private-address"),
            ("resolved a.test fd00:ec2::254", "private-address"),
            ("resolved a.test 64:ff9b::a00:1", "private-address"),
            ("resolved b.corp.test 10.2.0.1", "allow"),
            ("resolved b.corp.test 203.0.113.9", "ip-not-allowed"),
            ("resolved a.test 203.0.113.9", "ip-not-allowed"),
            ("resolved a.test 198.51.100.9", "allow"),
            ("resolved other.example 10.1.0.1", "not-allowed"),
        ],
    );
}

#[test]
fn deny_wins() {
    let policy = policy(
        &["**.test:*", "x.test:53/udp", "x.test", "10.0.0.0/8:*"],
        &[
            "x.test",
            "**.y.test:22",
            "10.9.0.0/16",
            "10.8.0.1:80",
            "https://z.test/secret",
            "POST https://p.test",
            "dns:q.test",
            "10.7.0.0/16:53",
        ],
    );
    check(
        &policy,
        &[
            ("resolve x.test", "not-allowed"),
            ("tls x.test:443", "not-allowed"),
            ("udp x.test:53", "not-allowed"),
            ("resolve a.y.test", "allow"),
            ("tcp a.y.test:22", "not-allowed"),
            ("tcp a.y.test:23", "allow"),
            ("tcp 10.9.1.1:80", "ip-not-allowed"),
            ("udp 10.9.1.1:80", "ip-not-allowed"),
            ("dns 10.9.1.1:53", "dns-server-not-allowed"),
            ("dns 10.7.1.1:53", "dns-server-not-allowed"),
            ("dns 10.6.1.1:53", "allow"),
            ("tcp 10.8.0.1:80", "ip-not-allowed"),
            ("tcp 10.8.0.1:81", "allow"),
            ("tls z.test:443", "allow"),
            ("GET https://z.test:443/secret/x", "path-not-allowed"),
            ("GET https://z.test:443/a/../secret", "path-not-allowed"),
            ("GET https://z.test:443/secrets", "allow"),
            ("GET https://p.test:443/x", "allow"),
            ("post https://p.test:443/x", "method-not-allowed"),
            ("resolve q.test", "not-allowed"),
        ],
    );
    let Verdict::Deny(denial) = policy.judge(&Request::Resolve { name: &Name::parse("x.test").unwrap() })
    else {
        panic!("allowed")
    };
    assert_eq!(denial.rule.map(Rule::text), Some("x.test"));
}

#[test]
fn what_lies_beside_names_and_addresses() {
    let policy = policy(
        &["localhost:5432", "localhost:8000-8001", "unix:/run/a", "unix:/run/b", "dns:d.test"],
        &["localhost:8001", "unix:/run/b"],
    );
    assert_eq!(policy.loopback_ports().iter().collect::<Vec<_>>(), [5432, 8000]);
    assert_eq!(policy.unix_sockets().collect::<Vec<_>>(), ["/run/a"]);
    check(
        &policy,
        &[
            ("resolve d.test", "allow"),
            ("tls d.test:443", "not-allowed"),
            ("tcp 127.0.0.1:5432", "ip-not-allowed"),
        ],
    );
}

#[test]
fn ports_that_anything_may_use() {
    let some = policy(
        &["a.test", "b.test:22", "10.0.0.0/8:9000-9001", "c.test:443/udp", "http://d.test:8080/"],
        &[],
    );
    let tcp: Vec<u16> = (0..=u16::MAX).filter(|&port| some.may_allow_tcp(port)).collect();
    assert_eq!(tcp, [22, 80, 443, 8080, 9000, 9001]);
    let udp: Vec<u16> = (0..=u16::MAX).filter(|&port| some.may_allow_udp(port)).collect();
    assert_eq!(udp, [443]);
    assert!(policy(&["localhost:*"], &[]).loopback_ports().is_all());
}

#[test]
fn addresses_of_allow_rules() {
    let policy = policy(&["192.0.2.0/24:22", "[2001:db8::1]:443", "good.example"], &["198.51.100.7"]);
    let may = |address: &str| policy.may_allow_address(address.parse().unwrap());
    assert!(may("192.0.2.200") && may("2001:db8::1"));
    assert!(!may("192.0.3.1") && !may("2001:db8::2") && !may("198.51.100.7"));
}

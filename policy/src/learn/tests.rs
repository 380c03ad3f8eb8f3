//! What is learned of made-up jobs.

use super::*;
use crate::PolicyBuilder;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn get(url: &str) -> Need {
    request("GET", url)
}

fn request(method: &str, url: &str) -> Need {
    let (scheme, rest) = url.split_once("://").unwrap();
    let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    Need::Http {
        scheme,
        host: name(host),
        port: scheme.default_port(),
        method: method.to_owned(),
        path: path.to_owned(),
    }
}

fn policy(file: &str) -> Policy {
    let mut builder = PolicyBuilder::new();
    builder.add_file("p", file.as_bytes());
    builder.build().unwrap()
}

fn texts(needs: &[Need], existing: &str, fold: Option<usize>) -> Vec<String> {
    let learned = learn(&needs.iter().cloned().collect(), &policy(existing), fold);
    assert_eq!(learned.impossible, BTreeSet::new());
    learned.rules.into_iter().map(|(rule, _)| rule.text).collect()
}

#[test]
fn rules_are_small() {
    let needs = [
        Need::Resolve(name("a.test")),
        Need::Tls(name("a.test"), 443),
        Need::Tls(name("b.test"), 8443),
        Need::Resolve(name("only.test")),
        Need::Tcp(name("ssh.test"), 22),
        Need::Udp(name("time.test"), 123),
        Need::TcpAddress("192.0.2.1:5432".parse().unwrap()),
        Need::UdpAddress("[2001:db8::1]:99".parse().unwrap()),
        Need::DnsServer("192.0.2.53:53".parse().unwrap()),
        Need::Loopback(5432),
    ];
    assert_eq!(
        texts(&needs, "", None),
        [
            "192.0.2.1:5432",
            "192.0.2.53:53",
            "[2001:db8::1]:99/udp",
            "dns:only.test",
            "https://a.test/",
            "https://b.test:8443/",
            "localhost:5432",
            "ssh.test:22",
            "time.test:123/udp",
        ]
    );
}

#[test]
fn requests_become_methods_and_a_prefix() {
    let needs = [
        get("https://r.test/pkg/a/1"),
        request("HEAD", "https://r.test/pkg/b"),
        get("http://one.test/file.txt"),
        get("https://odd.test/a%2fb"),
        get("https://odd.test/a/c"),
    ];
    assert_eq!(
        texts(&needs, "", None),
        ["GET http://one.test/file.txt", "GET https://odd.test/", "GET,HEAD https://r.test/pkg/"]
    );
}

#[test]
fn whole_hosts_need_no_second_rule() {
    let needs = [get("https://a.test/p"), Need::Tls(name("a.test"), 443), Need::Resolve(name("a.test"))];
    assert_eq!(texts(&needs, "", None), ["https://a.test/"]);
}

#[test]
fn what_is_allowed_is_not_learned() {
    let needs = [Need::Tls(name("a.test"), 443), Need::Tls(name("b.test"), 443)];
    assert_eq!(texts(&needs, "allow = ['a.test']", None), ["https://b.test/"]);
    assert_eq!(texts(&[Need::Loopback(9)], "allow = ['localhost:*']", None), [""; 0]);
}

#[test]
fn deny_rules_are_not_overruled() {
    let needs = BTreeSet::from([Need::Tls(name("a.test"), 443)]);
    let learned = learn(&needs, &policy("deny = ['a.test']"), None);
    assert_eq!((learned.rules.len(), learned.impossible), (0, needs));
}

#[test]
fn siblings_are_folded_when_asked() {
    let needs: Vec<Need> =
        ["a", "b", "c"].map(|label| Need::Tls(name(&format!("{label}.x.test")), 443)).into();
    assert_eq!(texts(&needs, "", None).len(), 3);
    assert_eq!(texts(&needs, "", Some(4)).len(), 3);
    assert_eq!(texts(&needs, "", Some(3)), ["https://*.x.test/"]);
    // Nothing below a registry.
    let needs: Vec<Need> = ["a", "b", "c"].map(|label| Need::Tls(name(&format!("{label}.test")), 443)).into();
    assert_eq!(texts(&needs, "", Some(2)).len(), 3);
    let many = (0..100).map(|number| Need::Tls(name(&format!("n{number}.x.test")), 443)).collect();
    let learned = learn(&many, &policy(""), Some(2));
    assert_eq!(learned.rules[0].0.max_names, Some(100));
}

#[test]
fn private_names_say_so() {
    let needs = BTreeSet::from([Need::Private(name("db.test")), Need::Tcp(name("db.test"), 5432)]);
    let learned = learn(&needs, &policy(""), None);
    assert_eq!(learned.rules.len(), 1);
    assert!(learned.rules[0].0.allow_private);
    assert_eq!(learned.rules[0].0.text, "db.test:5432");
}

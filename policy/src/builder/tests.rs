//! Files, options and variables together: what they add up to, and every mistake at once.

use std::time::Duration;

use super::*;
use crate::settings::Answers;

fn file(text: &str) -> Result<Policy, String> {
    let mut builder = PolicyBuilder::new();
    builder.add_file("policy.toml", text.as_bytes());
    builder.build().map_err(|errors| errors.to_string())
}

fn texts(policy: &Policy) -> Vec<String> {
    policy.rules().iter().map(|rule| format!("{} {} {}", rule.origin(), rule.effect(), rule.text())).collect()
}

#[test]
fn a_whole_file() {
    let policy = file(
        r#"
mode = "monitor"
allow = ["example.com", "@git"]
deny = ["**.evil.test"]

[sets]
git = ["github.com", "GET https://api.github.com/repos/"]

[[rule]]
host = "db.corp.test"
ports = [5432, "6000-6010", "9/udp"]
allow-private = true
note = "the test database"

[[rule]]
host = "api.test"
ports = 8443
methods = ["GET", "HEAD"]
paths = ["/v1/", "/v2/"]

[[rule]]
host = "web.test"
scheme = "http"

[[rule]]
host = "2001:db8::/32"
ports = "*"
effect = "deny"

[dns]
answers = "synthetic"
resolvers = ["192.0.2.1", "tls://9.9.9.9#dns.quad9.net"]
ttl-min = "1s"
ttl-max = 60

[limits]
connections = 2_000
sniff-timeout = "500ms"
"#,
    )
    .unwrap();
    assert_eq!(
        texts(&policy),
        [
            "policy.toml:3:10 allow example.com",
            "policy.toml:4:9 deny **.evil.test",
            "policy.toml:7:8 allow github.com",
            "policy.toml:7:22 allow GET https://api.github.com/repos/",
            "policy.toml:10:8 allow db.corp.test:5432",
            "policy.toml:10:8 allow db.corp.test:6000-6010",
            "policy.toml:10:8 allow db.corp.test:9/udp",
            "policy.toml:16:8 allow GET,HEAD https://api.test:8443/v1/",
            "policy.toml:16:8 allow GET,HEAD https://api.test:8443/v2/",
            "policy.toml:22:8 allow http://web.test/",
            "policy.toml:26:8 deny [2001:db8::/32]:*",
        ]
    );
    let database = &policy.rules()[4];
    assert!(database.allow_private() && !policy.rules()[0].allow_private());
    assert_eq!(database.note(), Some("the test database"));
    assert_eq!(policy.mode(), Mode::Monitor);
    assert_eq!(policy.dns().answers, Answers::Synthetic);
    assert_eq!(policy.dns().resolvers.len(), 2);
    assert_eq!(policy.dns().ttl_max, Duration::from_secs(60));
    assert_eq!(policy.limits().connections, 2000);
    assert_eq!(policy.limits().sniff_timeout, Duration::from_millis(500));
    assert_eq!(policy.limits().pins, Limits::default().pins);
}

#[test]
fn every_mistake_of_a_file() {
    let errors = file(
        r#"mode = "monitr"
alow = ["x"]
allow = ["a.test:70000", 5, "@githb", "b\u0061:x"]
deny = "x"
[sets]
github = ["github.com", "@other", "github.com:0"]
unused = ["a b c", "10.0.0.0/8"]
[[rule]]
host = "h.test"
paths = ["/x/", "z"]
Note = "n"
[[rule]]
hosts = "h.test"
[[rule]]
host = "10.0.0.0/8"
ports = [22, "99999", 1.5]
[[rule]]
host = "10.0.0.0/8"
ports = 22
allow-private = true
[[rule]]
host = "h.test"
methods = []
[dns]
answers = "fake"
resolvers = ["dns.example"]
ttl-min = "10m"
[limits]
connections = 0
idle-timeout = "10"
udp_flows = 3
"#,
    )
    .unwrap_err();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(
        lines,
        [
            r#"policy.toml:1:8: a mode is "enforce" or "monitor": "monitr""#,
            r#"policy.toml:2:1: unknown key: did you mean allow?: "alow""#,
            r#"policy.toml:3:18: port 70000 is not between 1 and 65535: "a.test:70000""#,
            r#"policy.toml:3:26: this is a number: write a string in quotes"#,
            r#"policy.toml:3:29: there is no such set: did you mean @github?: "@githb""#,
            r#"policy.toml:3:39: `x` is not a port: write a number, a range such as 8000-8100, or `*` for all: "ba:x""#,
            r#"policy.toml:4:8: this is a string: write a list of strings, such as ["example.com"]"#,
            r#"policy.toml:6:26: sets hold rules, not other sets: "@other""#,
            r#"policy.toml:6:47: port 0 is not between 1 and 65535: "github.com:0""#,
            r#"policy.toml:7:12: a rule has no white space but between methods and a URL: "a b c""#,
            r#"policy.toml:10:9: a path starts with a slash: "z""#,
            r#"policy.toml:11:1: unknown key: did you mean note?: "Note""#,
            r#"policy.toml:12:1: a rule needs a host: add host = "example.com""#,
            r#"policy.toml:13:1: unknown key: did you mean host?: "hosts""#,
            r#"policy.toml:16:14: port 99999 is not between 1 and 65535: "99999""#,
            r#"policy.toml:16:23: this is a fraction: write a port, or a range such as "8000-8100""#,
            r#"policy.toml:20:17: allow-private is for allow rules of host names: remove it: "10.0.0.0/8:22""#,
            r#"policy.toml:23:11: the list is empty: remove the key, or add an entry"#,
            r#"policy.toml:24:1: ttl-min, 600 s, is more than ttl-max, 300 s"#,
            r#"policy.toml:25:11: answers are "real" or "synthetic": "fake""#,
            r#"policy.toml:26:14: `dns.example` is not an address: write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53: "dns.example""#,
            r#"policy.toml:29:15: the number is not between 1 and 16777216: "0""#,
            r#"policy.toml:30:16: a time is a number with ms, s, m or h, such as "10s", and at most a year: "10""#,
            r#"policy.toml:31:1: unknown key: did you mean udp-flows?: "udp_flows""#,
        ]
    );
}

#[test]
fn every_source_reports() {
    let mut builder = PolicyBuilder::new();
    builder.add_file("bad.toml", b"x = \nallow = [\"a..b\"]");
    builder.add_file("latin.toml", b"allow = [\"\nab\xe9");
    builder.add_file("huge.toml", &vec![b' '; MAX_POLICY_BYTES + 1]);
    builder.add_endpoints("a.b b..c # c..d\n GET https://h.test/a/../b GET");
    builder.add_allow("a\u{1b}[31m.test");
    builder.add_deny("*");
    builder.set_resolvers(["x"]);
    let errors = builder.build().unwrap_err().to_string();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(
        lines,
        [
            "bad.toml:1:5: not valid TOML: string values must be quoted, expected literal string",
            "latin.toml:2:3: byte 0xe9 is not UTF-8: save the file as UTF-8 text",
            "huge.toml: the file has 16777217 octets, a policy at most 16777216: split it, or use wildcards and address ranges",
            "CIJAIL_ENDPOINTS:1:5: empty label in name: \"b..c\"",
            "CIJAIL_ENDPOINTS:2:20: the path is not in normal form: write GET https://h.test/b: \"GET https://h.test/a/../b\"",
            "--allow: name has a character other than letters, digits and inner hyphens: \"a\\u{1b}[31m.test\"",
            "--deny: `*` alone would allow every name: to see what a job asks for, use monitor mode: \"*\"",
            "--resolver: `x` is not an address: write 192.0.2.1, 192.0.2.1:53 or [2001:db8::1]:53: \"x\"",
        ]
    );
}

#[test]
fn terms_of_url_rules() {
    let table = |keys: &str| file(&format!("[[rule]]\nhost = 'h.test'\n{keys}"));
    let policy = table("scheme = 'https'\nmax-upload = '10MB'\nclient-cert = 'ci.pem'").unwrap();
    let rule = &policy.rules()[0];
    assert_eq!((rule.max_upload(), rule.client_cert()), (Some(10_000_000), Some("ci.pem")));
    // A whole host is opened as well if there is something to see to inside.
    assert!(rule.needs_interception());
    assert!(!table("scheme = 'https'").unwrap().rules()[0].needs_interception());
    assert!(table("scheme = 'http'\nmax-upload = 0").is_ok());
    for (keys, error) in [
        (
            "max-upload = 5",
            "policy.toml:3:14: max-upload is for allow rules of URLs: add scheme = \"https\": \"h.test\"",
        ),
        (
            "scheme = 'https'\neffect = 'deny'\nmax-upload = 5",
            "policy.toml:5:14: max-upload is for allow rules of URLs: add scheme = \"https\": \"https://h.test/\"",
        ),
        (
            "paths = '/p'\nmax-upload = '5 MBit'",
            "policy.toml:4:14: a size is a number of octets, or a number with kB, MB, GB, KiB, MiB or GiB, such as \"10MB\": \"5 MBit\"",
        ),
        (
            "scheme = 'http'\nclient-cert = 'ci.pem'",
            "policy.toml:4:15: client-cert is for allow rules of https URLs: add scheme = \"https\": \"http://h.test/\"",
        ),
    ] {
        assert_eq!(table(keys).unwrap_err(), error);
    }
}

#[test]
fn times_to_live_are_whole_seconds() {
    let error = file("[dns]\nttl-min = '1500ms'").unwrap_err();
    assert_eq!(error, "policy.toml:2:11: a time to live is in whole seconds: write \"1s\"");
}

#[test]
fn the_command_line_wins() {
    let mut builder = PolicyBuilder::new();
    builder.set_mode(Mode::Enforce);
    builder.set_resolvers(["192.0.2.9"]);
    builder.add_file("a", b"mode = 'enforce'\n[dns]\nresolvers = ['192.0.2.1']");
    builder.add_file("b", b"mode = 'monitor'");
    let policy = builder.build().unwrap();
    assert_eq!(policy.mode(), Mode::Enforce);
    assert_eq!(policy.dns().resolvers, [Resolver::parse("192.0.2.9").unwrap()]);
}

#[test]
fn endpoints_are_words() {
    let mut builder = PolicyBuilder::new();
    builder.add_endpoints("é.test # x\n\tGET,HEAD https://h.test/p\r\n # all\nlocalhost:1 NAS h.test");
    assert_eq!(
        texts(&builder.build().unwrap()),
        [
            "CIJAIL_ENDPOINTS:1:1 allow xn--9ca.test",
            "CIJAIL_ENDPOINTS:2:2 allow GET,HEAD https://h.test/p",
            "CIJAIL_ENDPOINTS:4:1 allow localhost:1",
            "CIJAIL_ENDPOINTS:4:13 allow nas",
            "CIJAIL_ENDPOINTS:4:17 allow h.test",
        ]
    );
}

#[test]
fn long_forms_cannot_multiply_without_bound() {
    let ports = (1..=2000).map(|port: u16| port.to_string()).collect::<Vec<_>>().join(",");
    let paths = (0..2000).map(|path| format!("'/{path}'")).collect::<Vec<_>>().join(",");
    let error =
        file(&format!("[[rule]]\nhost = 'h.test'\nports = [{ports}]\npaths = [{paths}]")).unwrap_err();
    assert_eq!(
        error,
        "policy.toml:2:8: ports times paths make 4000000 rules, a policy has at most 1048576: \"h.test\""
    );
}

#[test]
fn what_is_watched_adds_up() {
    let mut builder = PolicyBuilder::new();
    builder.add_file("a.toml", b"[watch]\nexec = true\npaths = [\"~/.npmrc\"]\n");
    builder.add_file("b.toml", b"[watch]\nexec = false\npaths = [\"*.key\"]\n");
    builder.add_watched_path("/etc/**");
    let policy = builder.build().unwrap();
    let globs = ["~/.npmrc", "*.key", "/etc/**"].map(|text| Glob::parse(text).unwrap());
    assert_eq!(policy.watch(), &Watch { exec: true, paths: globs.to_vec() });
    assert!(PolicyBuilder::new().build().unwrap().watch().is_off());
}

#[test]
fn every_mistake_of_what_is_watched() {
    let mut builder = PolicyBuilder::new();
    builder.add_file("a.toml", b"[watch]\nexec = 1\npaths = [\"/a/\", 5, \"[\"]\npath = []\n");
    builder.add_watched_path("../x");
    let errors = builder.build().unwrap_err().to_string();
    for part in [
        "a.toml:2:8",
        "a.toml:3:10",
        "a.toml:3:17",
        "a.toml:3:20",
        "did you mean paths?",
        "--watch-path",
        "`..`",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
}

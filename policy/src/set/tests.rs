//! Sets from files, documents and the program itself.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::*;
use crate::{Policy, PolicyBuilder, Request, Verdict, parse_target};

const META: &str = r#"{
  "verifiable_password_authentication": false,
  "web": ["192.0.2.0/24", "2001:db8:1::/48"],
  "api": ["192.0.2.5/32"],
  "git": ["192.0.2.6/32"],
  "actions": ["198.51.100.0/24",
    "2001:db8::/32"],
  "domains": {"actions": ["*.actions.test", "cdn.test"], "other": 5}
}"#;

fn files(file: SetFile<'_>) -> Result<SetText, String> {
    let (source, text) = match file {
        SetFile::Stored(name) => (format!("/store/{name}.json"), META),
        SetFile::Path("meta.json") => ("/dir/meta.json".to_owned(), META),
        SetFile::Path("broken.json") => ("/dir/broken.json".to_owned(), "{\n \"é\": [1,]}"),
        SetFile::Path("ranges.txt") => (
            "/dir/ranges.txt".to_owned(),
            "# the office\n192.0.2.0/24  # first\n\n  2001:db8::/32\nGET https://a.test/p\nb.test\nc.test:22\n[2001:db8:5::7]\n",
        ),
        SetFile::Path("bad.txt") => {
            ("/dir/bad.txt".to_owned(), "a.test\n  10.0.0.1/8 #x\n2001:db8::1/32\n@other\n")
        }
        SetFile::Path(other) => return Err(format!("reading {other}: no such file")),
    };
    Ok(SetText { source, bytes: text.as_bytes().to_vec() })
}

fn built(file: &str, sets: &[&str]) -> Result<Policy, String> {
    let mut builder = PolicyBuilder::new();
    builder.add_file_with("p.toml", file.as_bytes(), &mut files);
    for set in sets {
        builder.add_allow_set("--allow-set", set, &mut files);
    }
    builder.build().map_err(|errors| errors.to_string())
}

fn rules(file: &str, sets: &[&str]) -> Vec<String> {
    let policy = built(file, sets).unwrap();
    let line = |rule: &Rule| {
        let (effect, text, origin) = (rule.effect(), rule.text(), rule.origin());
        format!("{effect} {text} {origin} {}", rule.set().unwrap_or_default())
    };
    policy.rules().iter().map(line).collect()
}

fn errors(file: &str, sets: &[&str]) -> Vec<String> {
    built(file, sets).unwrap_err().lines().map(str::to_owned).collect()
}

#[track_caller]
fn allows(policy: &Policy, target: &str) -> bool {
    let target = parse_target(target).unwrap();
    target.requests().iter().any(|request| matches!(policy.judge(request), Verdict::Allow(_)))
}

#[test]
fn a_text_file() {
    assert_eq!(
        rules("allow = ['@office:8443/udp']\n[sets]\noffice = { file = 'ranges.txt' }", &["office:22"]),
        [
            "allow 192.0.2.0/24:8443/udp /dir/ranges.txt:2:1 @office:8443/udp",
            "allow [2001:db8::/32]:8443/udp /dir/ranges.txt:4:3 @office:8443/udp",
            "allow GET https://a.test/p /dir/ranges.txt:5:1 @office:8443/udp",
            "allow b.test:8443/udp /dir/ranges.txt:6:1 @office:8443/udp",
            "allow c.test:22 /dir/ranges.txt:7:1 @office:8443/udp",
            "allow [2001:db8:5::7]:8443/udp /dir/ranges.txt:8:1 @office:8443/udp",
            "allow 192.0.2.0/24:22 /dir/ranges.txt:2:1 @office:22",
            "allow [2001:db8::/32]:22 /dir/ranges.txt:4:3 @office:22",
            "allow GET https://a.test/p /dir/ranges.txt:5:1 @office:22",
            "allow b.test:22 /dir/ranges.txt:6:1 @office:22",
            "allow c.test:22 /dir/ranges.txt:7:1 @office:22",
            "allow [2001:db8:5::7]:22 /dir/ranges.txt:8:1 @office:22",
        ]
    );
    assert_eq!(
        rules("deny = ['@office']\n[sets]\noffice = { file = 'ranges.txt' }", &[])[..2],
        ["deny 192.0.2.0/24 /dir/ranges.txt:2:1 @office", "deny [2001:db8::/32] /dir/ranges.txt:4:3 @office"]
    );
}

#[test]
fn keys_of_a_document() {
    assert_eq!(
        rules(
            "allow = ['@gh:22']\n[sets]\ngh = { file = 'meta.json', keys = ['actions', 'domains.actions'] }",
            &[]
        ),
        [
            "allow 198.51.100.0/24:22 /dir/meta.json:6:15 @gh:22",
            "allow [2001:db8::/32]:22 /dir/meta.json:7:5 @gh:22",
            "allow *.actions.test:22 /dir/meta.json:8:27 @gh:22",
            "allow cdn.test:22 /dir/meta.json:8:45 @gh:22",
        ]
    );
}

#[test]
fn what_github_publishes() {
    assert_eq!(
        rules("", &["github-actions"]),
        [
            "allow 198.51.100.0/24:443 /store/github.json:6:15 @github-actions",
            "allow [2001:db8::/32]:443 /store/github.json:7:5 @github-actions",
        ]
    );
    assert_eq!(
        rules("allow = ['@github-git:22']", &[]),
        ["allow 192.0.2.6:22 /store/github.json:5:11 @github-git:22"]
    );
    // Names stay whole hosts.
    assert_eq!(
        rules("", &["@github-domains.actions"])[1],
        "allow cdn.test /store/github.json:8:45 @github-domains.actions"
    );
    assert_eq!(check_github(META), Ok(6));
    assert!(check_github("[]").unwrap_err().contains("no object"));
    assert!(check_github("<html>").unwrap_err().contains("not valid JSON"));
}

#[test]
fn local_ranges_and_what_is_not_local() {
    let policy = built("", &["local-ranges"]).unwrap();
    for target in
        ["10.1.2.3:5432", "172.31.0.1:1", "192.168.0.1:9/udp", "[fd00::1]:65535", "[fd00:ec2::253]:80"]
    {
        assert!(allows(&policy, target), "{target}");
    }
    for target in [
        "169.254.169.254:80",
        "169.254.170.2:80",
        "168.63.129.16:80",
        "100.100.100.200:80",
        "192.0.0.192:80",
        "[fd00:ec2::254]:80",
        "[fd20:ce::254]:80",
        "[fd00:42::42]:80",
        "[fe80::1]:80",
        "127.0.0.1:80",
        "[::1]:80",
        "0.0.0.0:80",
        "100.64.0.1:80",
        "172.32.0.1:80",
        "192.0.2.1:80",
        "10.1.2.3:53",
        "10.1.2.3:53/udp",
        "[::ffff:169.254.169.254]:80",
        "[64:ff9b::169.254.169.254]:80",
    ] {
        assert!(!allows(&policy, target), "{target}");
    }
    // Whatever else allows them.
    let both = built("allow = ['@local-ranges', '[fd00:ec2::254]:80']", &[]).unwrap();
    assert!(!allows(&both, "[fd00:ec2::254]:80"));
    let destination: SocketAddr = "[fd00:ec2::254]:80".parse().unwrap();
    let explained = policy.explain(&Request::TcpAddress { destination }).to_string();
    assert!(
        explained.contains("decides       deny [fd00:ec2::254] (--allow-set, @local-ranges)"),
        "{explained}"
    );
    let only = built("", &["local-ranges:5432"]).unwrap();
    assert!(allows(&only, "10.1.2.3:5432") && !allows(&only, "10.1.2.3:5433"));
    let denied = built("allow = ['10.0.0.1:22']\ndeny = ['@local-ranges']", &[]).unwrap();
    assert!(!allows(&denied, "10.0.0.1:22"));
}

#[test]
fn mistakes_have_the_place_where_they_are() {
    assert_eq!(
        errors(
            "allow = ['@office', '@b', '@gh', '@gh:x', '@gone', '@github-nothing', '@ofice']\n[sets]\n\
             office = { file = 'ranges.txt' }\nb = { file = 'bad.txt' }\nc = { file = 'broken.json', keys = ['a'] }\n\
             gh = { file = 'meta.json', keys = ['acttions', 'domains', 'domains.other', 'web'] }\n\
             gone = { file = 'gone.txt' }\nd = { path = 'x' }\ne = 5\n",
            &[]
        ),
        [
            "p.toml:1:10: the set has addresses without a port: write @office:443, or @office:* for every TCP port: \"@office\"",
            "p.toml:1:27: the set has addresses without a port: write @gh:443, or @gh:* for every TCP port: \"@gh\"",
            "p.toml:1:39: `x` is not a port: write a number, a range such as 8000-8100, or `*` for all: \"@gh:x\"",
            "p.toml:1:71: there is no such set: did you mean @office?: \"@ofice\"",
            "p.toml:7:17: reading gone.txt: no such file: \"gone.txt\"",
            "p.toml:8:5: a set is a list of rules, or has a file: add file = \"ranges.txt\"",
            "p.toml:8:7: unknown key: known here: file, keys: \"path\"",
            "p.toml:9:5: this is a number: write a list of rules, or a table such as { file = \"ranges.txt\" }",
            "/dir/bad.txt:2:3: the range has bits set beyond its prefix: write 10.0.0.0/8: \"10.0.0.1/8\"",
            "/dir/bad.txt:3:1: the range has bits set beyond its prefix: write [2001:db8::/32]: \"2001:db8::1/32\"",
            "/dir/bad.txt:4:1: sets hold rules, not other sets: \"@other\"",
            "/dir/broken.json:2:10: not valid JSON: expected value",
            "/dir/meta.json:1:1: there is no such key: did you mean actions?: \"acttions\"",
            "/dir/meta.json:8:14: this is no list of addresses or rules: \"domains\"",
            "/dir/meta.json:8:67: this is no list of addresses or rules: \"domains.other\"",
            "/store/github.json:1:1: there is no such key: \"nothing\"",
        ]
    );
}

#[test]
fn a_set_that_denies_nothing_is_a_mistake() {
    let file = "allow = ['@none']\ndeny = ['@none', '@none']\n[sets]\nnone = []\nother = []";
    let mistake = "the set is empty, so this denies nothing: fill it, or remove this entry: \"@none\"";
    assert_eq!(errors(file, &[]), [format!("p.toml:2:9: {mistake}"), format!("p.toml:2:18: {mistake}")]);
    built("allow = ['@none']\n[sets]\nnone = []", &["none"]).unwrap();
}

#[test]
fn a_document_without_keys_is_a_mistake() {
    let file = "deny = ['@gh']\n[sets]\ngh = { file = 'meta.json', keys = [] }";
    assert_eq!(errors(file, &[]), ["p.toml:3:35: the list is empty: remove the key, or add an entry"]);
}

#[test]
fn names_that_are_no_sets() {
    assert_eq!(
        errors("", &["gihub"]),
        ["--allow-set: there is no such set: add it under [sets] in a policy file: \"gihub\""]
    );
    assert_eq!(
        errors("[sets]\noffice = []", &["ofice"]),
        ["--allow-set: there is no such set: did you mean office?: \"ofice\""]
    );
    let mut builder = PolicyBuilder::new();
    builder.add_file("a", b"[sets]\nx = []");
    builder.add_file("b", b"[sets]\nx = []");
    builder.add_allow_set("--allow-set", "x", &mut files);
    assert_eq!(builder.build().unwrap_err().to_string(), "--allow-set: a and b both have this set: \"x\"");
    let mut builder = PolicyBuilder::new();
    let mut none = |_: SetFile<'_>| Err("there is no data: get some".to_owned());
    builder.add_allow_set("--allow-set", "github-actions", &mut none);
    let text = builder.build().unwrap_err().to_string();
    assert_eq!(text, "--allow-set: there is no data: get some: \"github-actions\"");
}

/// A file's own set wins over one that the program knows.
#[test]
fn own_sets_come_first() {
    assert_eq!(
        rules("allow = ['@local-ranges']\n[sets]\nlocal-ranges = ['a.test']", &["local-ranges"]),
        ["allow a.test p.toml:3:17 "]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// A policy's rules, written one a line, are the same policy.
    #[test]
    fn rules_go_through_a_file_and_back(texts in prop::collection::vec(crate::properties::rule(), 0..20)) {
        let direct: Vec<Rule> = texts
            .iter()
            .map(|text| Rule::parse(text, Effect::Allow, Origin::option("--test")).unwrap())
            .collect();
        let lines: String = direct.iter().map(|rule| format!("  {} # as before\r\n", rule.text())).collect();
        let mut read = |_: SetFile<'_>| Ok(SetText { source: "f".into(), bytes: lines.clone().into_bytes() });
        let mut builder = PolicyBuilder::new();
        builder.add_file_with("p", b"allow = ['@s']\n[sets]\ns = { file = 'f' }", &mut read);
        let policy = builder.build().unwrap();
        let found: Vec<&str> = policy.rules().iter().map(Rule::text).collect();
        let wanted: Vec<&str> = direct.iter().map(Rule::text).collect();
        prop_assert_eq!(found, wanted);
    }

    /// Whatever a file of a set has, it is read, or its mistakes have a place in it.
    #[test]
    fn any_file_is_read_or_refused(text in "[\\PC\n#\"{}\\[\\],:./0-9a-z]{0,200}", keyed in any::<bool>()) {
        let toml: &[u8] = match keyed {
            true => b"allow = ['@s:443']\n[sets]\ns = { file = 'f', keys = ['a'] }",
            false => b"allow = ['@s:443']\n[sets]\ns = { file = 'f' }",
        };
        let mut read = |_: SetFile<'_>| Ok(SetText { source: "f".into(), bytes: text.clone().into_bytes() });
        let mut builder = PolicyBuilder::new();
        builder.add_file_with("p", toml, &mut read);
        if let Err(errors) = builder.build() {
            let lines = text.lines().count().max(1) + 1;
            for error in errors.iter() {
                prop_assert_eq!(error.source_name(), "f");
                prop_assert!(error.position().is_some_and(|at| at.line <= lines), "{}", error);
            }
        }
    }
}

//! Rules in the shape of kntrl's, each with what it allows and what it does not, on events as kntrl has them.
//! `tests/kntrl/README.md` says whose rules they stand for.

use netns::job::Program;
use policy::{Advice, Objection};
use serde_json::{Value, json};

use super::super::*;

const DENIED: Advice = Advice::Deny(Objection::Rule);

/// A file of `tests/kntrl`, by its path there.
macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../tests/kntrl/", $path)))
    };
}

const BUNDLE: [(&str, &str); 10] = [
    file!("bundle/kntrl/main.rego"),
    file!("bundle/kntrl/ancestry.rego"),
    file!("bundle/kntrl/custom/custom.rego"),
    file!("bundle/kntrl/network/is_allowed_cidr.rego"),
    file!("bundle/kntrl/network/is_allowed_hosts.rego"),
    file!("bundle/kntrl/network/is_allowed_ip.rego"),
    file!("bundle/kntrl/network/is_github_range.rego"),
    file!("bundle/kntrl/network/is_local_ip_addr.rego"),
    file!("bundle/kntrl/network/is_metadata.rego"),
    file!("bundle/kntrl/network/is_process_profile.rego"),
];
const RANGES: (&str, &str) = file!("bundle/assets/github/data.json");
const ONE_PROGRAM: (&str, &str) = file!("examples/one_program.rego");
const BELOW_NPM: (&str, &str) = file!("examples/below_npm.rego");
const BELOW_MANAGERS: (&str, &str) = file!("examples/below_package_managers.rego");

/// The bundle with the data that kntrl makes of its options, and further modules.
fn bundle(data: &Value, examples: &[(&str, &str)]) -> Rules {
    let module =
        |(source, text): &(&str, &str)| Document::Module { source: (*source).into(), text: (*text).into() };
    let mut documents: Vec<Document> = BUNDLE.iter().chain(examples).map(module).collect();
    let (source, ranges) = RANGES;
    let path = vec!["assets".into(), "github".into()];
    documents.push(Document::Data { source: source.into(), path, text: ranges.into() });
    documents.push(Document::Data { source: "data.json".into(), path: vec![], text: data.to_string() });
    Rules::new(&documents).unwrap()
}

/// A process and its ancestors, the nearest first.
fn process(chain: &[&str]) -> Program {
    let path = |name: &str| format!("/usr/bin/{name}");
    let parents = chain[1..].iter().map(|name| path(name)).collect();
    Program { pid: 2806, exe: path(chain[0]), args: vec![chain[0].into()], parents }
}

/// A TLS connection to a host, or one of unknown bytes to an address without a name.
fn connection(host: &str, address: &str) -> Question {
    let protocol = if host.is_empty() { Protocol::Tcp } else { Protocol::Tls };
    Question {
        name: (!host.is_empty()).then(|| host.into()),
        address: Some(address.parse().unwrap()),
        port: Some(443),
        ..Question::new(protocol)
    }
}

/// What the rules say to a connection of a process.
fn advice(rules: &mut Rules, chain: &[&str], host: &str, address: &str) -> Advice {
    rules.evaluate(connection(host, address).input(Some(&process(chain)))).advice
}

/// What the bundle says with this data to a connection of `curl` below `bash`.
fn curls(data: &Value, host: &str, address: &str) -> Advice {
    advice(&mut bundle(data, &[]), &["curl", "bash"], host, address)
}

#[test]
fn the_event() {
    let event = |question: &Question, program: Option<&Program>| Value::from(question.input(program).kntrl);
    let npm = process(&["curl", "dash", "node"]);
    assert_eq!(
        event(&connection("site.test", "192.0.2.22"), Some(&npm)),
        json!({
            "pid": 2806, "task_name": "curl", "ancestors": ["dash", "node"], "proto": "tcp", "daddr": "192.0.2.22",
            "dport": 443, "domains": ["site.test"], "policy": "pass", "sni": "site.test",
        })
    );
    assert_eq!(
        event(&connection("", "2001:db8::7"), Some(&process(&["curl"]))),
        json!({
            "pid": 2806, "task_name": "curl", "proto": "tcp", "daddr": "2001:db8::7", "dport": 443, "domains": ["."],
            "policy": "pass",
        })
    );
    let mapped = Question { protocol: Protocol::Udp, ..connection("time.test", "::ffff:192.0.2.22") };
    let udp = json!({
        "proto": "udp", "daddr": "192.0.2.22", "dport": 443, "domains": ["time.test"], "policy": "pass",
    });
    assert_eq!(event(&mapped, None), udp);
    let name = policy::Name::parse("site.test").unwrap();
    let asked =
        json!({ "proto": "udp", "daddr": "", "dport": 53, "domains": ["site.test"], "policy": "pass" });
    assert_eq!(event(&Question::resolve(&name), None), asked);
}

/// Its rules go through all values of the input, so nothing else may be among them.
#[test]
fn rules_of_ours_see_more() {
    let labels = Labels::parse(&["branch=host.test"]).unwrap();
    let mut rules = bundle(&json!({ "allowed_hosts": ["host.test"] }), &[]).with_labels(&labels);
    assert_eq!(advice(&mut rules, &["x.host.test", "bash"], "other.test", "192.0.2.1"), Advice::Silent);
    let ours = "package cijail\nimport rego.v1\n\
                allow if { input.domains == [input.name]; input.labels.branch; data.kntrl.reachable }\n";
    let mut rules =
        bundle(&json!({ "allowed_hosts": ["host.test"], "allowed_processes": ["git"] }), &[("a.rego", ours)])
            .with_labels(&labels);
    assert_eq!(advice(&mut rules, &["curl"], "host.test", "192.0.2.1"), Advice::Allow);
    assert_eq!(advice(&mut rules, &["curl"], "", "192.0.2.1"), Advice::Silent);
}

#[test]
fn allowed_hosts() {
    let data = json!({ "allowed_hosts": ["forge.test", ".cdn.test"] });
    for host in ["forge.test", "api.forge.test", "files.cdn.test", "a.b.cdn.test"] {
        assert_eq!(curls(&data, host, "192.0.2.1"), Advice::Allow, "{host}");
    }
    for host in ["evil-forge.test", "forge.test.evil.test", "cdn.test", "other.test", ""] {
        assert_eq!(curls(&data, host, "192.0.2.1"), Advice::Silent, "{host}");
    }
    // Before there is a connection the name has to resolve.
    let mut rules = bundle(&data, &[]);
    let mut resolves = |name: &str| {
        let question = Question::resolve(&policy::Name::parse(name).unwrap());
        rules.evaluate(question.input(Some(&process(&["curl", "bash"])))).advice
    };
    assert_eq!(resolves("api.forge.test"), Advice::Allow);
    assert_eq!(resolves("other.test"), Advice::Silent);
}

#[test]
fn allowed_addresses() {
    let data = json!({ "allowed_ip_addr": ["192.0.2.222"], "allowed_ipv6s": ["2001:db8::1"] });
    for address in ["192.0.2.222", "::ffff:192.0.2.222", "2001:db8::1", "2001:db8:0:0::1"] {
        assert_eq!(curls(&data, "foo.test", address), Advice::Allow, "{address}");
    }
    for address in ["192.0.2.22", "198.51.100.222", "2001:db8::2"] {
        assert_eq!(curls(&data, "foo.test", address), Advice::Silent, "{address}");
    }
    let data = json!({ "allowed_cidrs": ["192.0.2.128/25", "2001:db8:7::/48"] });
    for address in ["192.0.2.128", "192.0.2.255", "2001:db8:7::9"] {
        assert_eq!(curls(&data, "", address), Advice::Allow, "{address}");
    }
    for address in ["192.0.2.127", "2001:db8:8::9"] {
        assert_eq!(curls(&data, "", address), Advice::Silent, "{address}");
    }
}

/// Addresses of a kind, each with the option that allows them.
#[test]
fn kinds_of_addresses() {
    for (option, address) in [
        ("allow_github_meta", "203.0.113.12"),
        ("allow_github_meta", "2001:db8:ac::1"),
        ("allow_local_ip_ranges", "192.168.0.1"),
        ("allow_local_ip_ranges", "172.16.0.22"),
        ("allow_local_ip_ranges", "10.255.0.1"),
        ("allow_metadata", "169.254.169.254"),
        ("allow_metadata", "168.63.129.16"),
    ] {
        assert_eq!(curls(&json!({ option: true }), "foo.test", address), Advice::Allow, "{option} {address}");
        assert_eq!(
            curls(&json!({ option: false }), "foo.test", address),
            Advice::Silent,
            "{option} {address}"
        );
        // Another range of GitHub's, a public address, and one past a private range.
        for other in ["198.51.100.7", "192.0.2.8", "172.32.0.1"] {
            assert_eq!(
                curls(&json!({ option: true }), "foo.test", other),
                Advice::Silent,
                "{option} {other}"
            );
        }
    }
}

#[test]
fn process_profiles() {
    let data = json!({ "process_profiles": [
        { "process": "curl", "allowed_hosts": ["forge.test", ".store.test"], "allowed_cidrs": [] },
        { "process": "npm", "allowed_hosts": ["registry.test"] },
        { "process": "pip", "allowed_hosts": ["index.test"], "allowed_cidrs": ["198.51.100.0/24"] },
    ] });
    let mut rules = bundle(&data, &[]);
    let mut said =
        |process: &str, host: &str, address: &str| advice(&mut rules, &[process, "bash"], host, address);
    for (process, host, address) in [
        ("curl", "forge.test", "192.0.2.4"),
        ("curl", "api.forge.test", "192.0.2.4"),
        ("curl", "bucket.store.test", "192.0.2.4"),
        ("npm", "registry.test", "192.0.2.1"),
        ("pip", "other.test", "198.51.100.1"),
    ] {
        assert_eq!(said(process, host, address), Advice::Allow, "{process} {host}");
    }
    for (process, host, address) in [
        ("curl", "registry.test", "192.0.2.1"),
        ("curl", "", "198.51.100.1"),
        ("npm", "forge.test", "192.0.2.4"),
        ("pip", "other.test", "192.0.2.1"),
        ("malware", "forge.test", "198.51.100.1"),
    ] {
        assert_eq!(said(process, host, address), Advice::Silent, "{process} {host}");
    }
    let question = connection("forge.test", "192.0.2.4");
    assert_eq!(rules.evaluate(question.input(None)).advice, Advice::Silent);
}

#[test]
fn allowed_processes() {
    let said = |processes: Option<Value>, process: &str, host: &str| {
        let mut data = json!({ "allowed_hosts": ["files.test"] });
        if let Some(processes) = processes {
            data["allowed_processes"] = processes;
        }
        advice(&mut bundle(&data, &[]), &[process, "bash"], host, "192.0.2.14")
    };
    assert_eq!(said(None, "wget", "files.test"), Advice::Allow);
    assert_eq!(said(Some(json!([])), "wget", "files.test"), Advice::Allow);
    assert_eq!(said(Some(json!(["npm", "git"])), "git", "files.test"), Advice::Allow);
    assert_eq!(said(Some(json!(["npm", "git"])), "wget", "files.test"), Advice::Silent);
    assert_eq!(said(Some(json!(["npm", "git"])), "git", "other.test"), Advice::Silent);
}

#[test]
fn blocked_chains() {
    let denied = |chains: Value, chain: &[&str]| {
        let data = json!({ "allowed_hosts": ["forge.test"], "blocked_process_chains": chains });
        match advice(&mut bundle(&data, &[]), chain, "forge.test", "192.0.2.1") {
            DENIED => true,
            Advice::Allow => false,
            other => panic!("{other:?}"),
        }
    };
    let below = |process: &str, ancestors: &[&str]| json!([{ "process": process, "ancestors": ancestors }]);
    assert!(denied(below("curl", &["sh"]), &["curl", "sh", "bash"]));
    assert!(denied(below("curl", &["npm"]), &["curl", "sh", "npm", "bash"]));
    assert!(denied(below("curl", &["npm", "sh"]), &["curl", "sh", "npm", "node", "bash"]));
    assert!(denied(below("curl", &[]), &["curl", "bash"]));
    assert!(!denied(below("curl", &["npm", "sh"]), &["curl", "npm", "node", "bash"]));
    assert!(!denied(below("curl", &["sh"]), &["curl", "bash"]));
    assert!(!denied(below("curl", &["sh"]), &["curl"]));
    assert!(!denied(below("curl", &["npm"]), &["npm", "bash"]));
    assert!(!denied(below("curl", &["sh"]), &["git", "sh", "npm"]));
    assert!(!denied(json!([]), &["curl", "npm"]));
}

/// kntrl writes lists that nobody set as null, or leaves them out.
#[test]
fn data_without_lists() {
    let nulls = json!({
        "allowed_hosts": null, "allowed_ip_addr": null, "allow_github_meta": false, "allow_local_ip_ranges": false,
        "allow_metadata": false,
    });
    for data in [json!({}), nulls] {
        for (host, address) in
            [("forge.test", "203.0.113.1"), ("", "10.0.0.1"), ("a.test", "169.254.169.254")]
        {
            assert_eq!(curls(&data, host, address), Advice::Silent, "{data} {host} {address}");
        }
    }
}

#[test]
fn one_program() {
    let mut rules = bundle(&json!({ "allowed_hosts": ["forge.test"] }), &[ONE_PROGRAM]);
    assert_eq!(advice(&mut rules, &["ls", "bash"], "forge.test", "192.0.2.1"), DENIED);
    assert_eq!(advice(&mut rules, &["curl", "ls"], "forge.test", "192.0.2.1"), Advice::Allow);
}

#[test]
fn what_a_worm_does() {
    let data = json!({
        "allowed_hosts": ["test"], "blocked_process_chains": [{ "process": "bun", "ancestors": ["node"] }],
    });
    let mut rules = bundle(&data, &[BELOW_NPM]);
    let any = "192.0.2.1";
    for (chain, host, address) in [
        (&["node"][..], "collector.test", any),
        (&["curl", "bash"], "x.paste.test", any),
        (&["node", "npm", "bash"], "api.forge.test", any),
        (&["curl", "npm", "bash"], "", "169.254.169.254"),
        (&["wget", "node"], "", "168.63.129.16"),
        (&["curl", "npm"], "example.test", any),
        // An address that nobody asked a name for has a name that is not the registry's.
        (&["curl", "npm"], "", any),
        (&["bun", "node"], "registry.test", any),
    ] {
        assert_eq!(advice(&mut rules, chain, host, address), DENIED, "{chain:?} {host} {address}");
    }
    for (chain, host, address) in [
        (&["npm", "bash"][..], "registry.test", any),
        (&["gh", "bash"], "api.forge.test", any),
        (&["curl", "npm"], "registry.test", any),
        (&["npm", "bash"], "forge.test", any),
        (&["git", "npm"], "forge.test", any),
        (&["node", "npm"], "registry.test", any),
        (&["curl", "bash"], "example.test", "169.254.169.254"),
    ] {
        assert_eq!(advice(&mut rules, chain, host, address), Advice::Allow, "{chain:?} {host} {address}");
    }
    assert_eq!(advice(&mut rules, &["curl", "bash"], "", "169.254.169.254"), Advice::Silent);
}

#[test]
fn what_install_scripts_do() {
    for examples in [&[BELOW_MANAGERS][..], &[ONE_PROGRAM, BELOW_MANAGERS]] {
        let mut rules = bundle(&json!({ "allowed_hosts": ["test"] }), examples);
        let address = "192.0.2.1";
        for (chain, host) in [
            (&["python3", "bash"][..], "collector.test"),
            (&["curl", "pip", "bash"], "example.test"),
            (&["wget", "pip3"], "registry.test"),
            (&["curl", "node"], "index.test"),
        ] {
            assert_eq!(advice(&mut rules, chain, host, address), DENIED, "{chain:?} {host}");
        }
        for (chain, host) in [
            (&["curl", "pip"][..], "files.index.test"),
            (&["python3", "pip"], "example.test"),
            (&["git", "pip3"], "forge.test"),
            (&["curl", "npm"], "registry.test"),
        ] {
            assert_eq!(advice(&mut rules, chain, host, address), Advice::Allow, "{chain:?} {host}");
        }
        assert_eq!(advice(&mut rules, &["python3", "pip"], "", "169.254.169.254"), DENIED);
    }
}

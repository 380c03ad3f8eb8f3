//! Jobs under rules in the shape of kntrl's, of `tests/kntrl`.

use std::fs;

use super::curl;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(suite, the_bundle_and_an_example);
}

/// A file of the bundle, by its path there.
macro_rules! file {
    ($path:literal) => {
        ($path, include_str!(concat!("../kntrl/bundle/", $path)))
    };
}

/// The bundle in kntrl's shape with the data that kntrl makes of its options, and tests that are left out.
fn the_bundle_and_an_example(mode: Mode) {
    let world = World::new();
    for name in ["registry.test", "files.cdn.test", "forge.test", "other.test", "collector.test"] {
        world.site(name);
    }
    let bundle = world.files().shared().join("bundle");
    let data = r#"{"allowed_hosts": ["registry.test", ".cdn.test"], "allowed_ip_addr": null, "allow_metadata": false,
        "process_profiles": [{"process": "curl", "allowed_hosts": ["forge.test"]}],
        "blocked_process_chains": [{"process": "curl", "ancestors": ["npm"]}]}"#;
    for (name, text) in [
        file!("assets/github/data.json"),
        file!("kntrl/main.rego"),
        file!("kntrl/ancestry.rego"),
        file!("kntrl/custom/custom.rego"),
        file!("kntrl/network/is_allowed_cidr.rego"),
        file!("kntrl/network/is_allowed_hosts.rego"),
        file!("kntrl/network/is_allowed_ip.rego"),
        file!("kntrl/network/is_github_range.rego"),
        file!("kntrl/network/is_local_ip_addr.rego"),
        file!("kntrl/network/is_metadata.rego"),
        file!("kntrl/network/is_process_profile.rego"),
        ("kntrl/main_test.rego", "package kntrl\nthis is no Rego\n"),
        (".manifest", "{ \"roots\": [\"kntrl\", \"assets\"] }"),
        ("data.json", data),
    ] {
        let path = bundle.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let example = world.files().shared().join("below_npm.rego");
    fs::write(&example, include_str!("../kntrl/examples/below_npm.rego")).unwrap();
    let jail = Jail::new(&world, mode).option("--rego").option(&bundle).option("--rego").option(&example);
    let jail = jail.allow("other.test").allow("collector.test");
    for url in
        ["https://registry.test/", "http://files.cdn.test/", "https://forge.test/", "https://other.test/"]
    {
        jail.run(curl(url)).assert_success();
    }
    jail.run(curl("https://evil.test/")).assert_failure().assert_denied("dns", "evil.test", "not-allowed");
    // A profile is one process's own.
    let copied = "cp \"$(command -v curl)\" fetch; ./fetch -sS --max-time 10 https://forge.test/; exit 0";
    jail.shell(copied).assert_denied("dns", "forge.test", "not-allowed");
    let below = |url: &str| format!("cp /bin/bash npm; ./npm -c 'curl -sS --max-time 10 {url}; exit 0'");
    for command in [
        below("https://registry.test/"),
        below("https://other.test/"),
        "curl -sS --max-time 10 https://collector.test/; exit 0".to_owned(),
    ] {
        let outcome = jail.shell(&command);
        let denied = outcome.denied();
        assert!(!denied.is_empty(), "{outcome}");
        assert!(denied.iter().all(|event| event.rule.as_deref() == Some("rego: deny")), "{outcome}");
    }
    world.assert_attacker_saw_nothing();
}

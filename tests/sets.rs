//! Sets of addresses: from files, from what GitHub publishes, and the local ranges.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        sets_from_files_allow,
        published_ranges_allow,
        data_that_is_missing_or_old_is_told,
        local_ranges_without_metadata,
        unused_sets_are_told_once,
        mistakes_in_set_files_run_nothing,
        thousands_of_ranges,
    );
}

/// Sets of a policy file in the shared directory, beside these files.
fn with_files<'w>(world: &World, jail: Jail<'w>, toml: &str, files: &[(&str, &str)]) -> Jail<'w> {
    for (name, text) in files {
        fs::write(world.files().shared().join(name), text).unwrap();
    }
    jail.policy(toml)
}

fn curl(address: &str) -> String {
    format!("curl -sS --max-time 5 http://{address}/ -o /dev/null")
}

fn sets_from_files_allow(mode: Mode) {
    let world = World::new();
    let site = world.site_without_name("site.test", false);
    let other = world.site_without_name("other.test", false);
    let (first, second) = (site.v4.to_string(), other.v4.to_string());
    let toml = "allow = ['@listed:80']\n[sets]\nlisted = { file = 'ranges.txt' }\n\
                meta = { file = 'meta.json', keys = ['domains.all'] }";
    let files = [
        ("ranges.txt", format!("# servers\n{first}/32  # one\n2001:db8:ffff::/48\n")),
        ("meta.json", format!("{{\"domains\": {{\"all\": [\"{second}\"]}}}}")),
    ];
    let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let jail = with_files(&world, Jail::new(&world, mode), toml, &files);
    let outcome = jail.shell(&curl(&first));
    outcome.assert_success().assert_allowed("http", &first);
    assert_eq!(outcome.events[0].rule.as_deref(), Some(format!("{first}:80").as_str()));
    jail.shell(&curl(&second)).assert_denied("http", &second, "ip-not-allowed");
    assert_eq!(other.requests().len(), 0);
    let more = jail.option("--allow-set").option("meta:80");
    more.shell(&curl(&second)).assert_success().assert_allowed("http", &second);
    assert_eq!(other.requests().len(), 1);
}

/// A document as GitHub gives it, with one range.
fn document(range: &str) -> String {
    format!("{{\"web\": [], \"api\": [], \"git\": [], \"actions\": [\"{range}\", \"2001:db8:ffff::/48\"]}}")
}

fn published_ranges_allow(mode: Mode) {
    let world = World::new();
    let site = world.site_without_name("site.test", false);
    world.open_port(&site, 8080, false);
    let address = site.v4.to_string();
    let refresh = ["policy", "refresh", "github"];
    let bare = Jail::bare(&world, mode);
    bare.clone()
        .input(document(&address))
        .run(refresh)
        .assert_success()
        .assert_says("2 addresses and ranges");
    bare.clone().input("<html>").run(refresh).assert_code(125).assert_says("not valid JSON");
    bare.clone()
        .run(["policy", "refresh", "github", "--from", "/nowhere"])
        .assert_code(125)
        .assert_says("/nowhere");
    let jail = Jail::new(&world, mode).option("--allow-set").option("github-actions:8080");
    let outcome = jail.shell(&curl(&format!("{address}:8080")));
    outcome.assert_success().assert_says("addresses of 20").assert_says("github.json");
    jail.shell(&curl(&address)).assert_denied("http", &address, "ip-not-allowed");
    let explain = ["policy", "explain", "--allow-set", "github-actions", &format!("{address}:443")];
    bare.run(explain)
        .assert_success()
        .assert_says("github.json:1:47, @github-actions")
        .assert_says("addresses of 20");
}

fn data_that_is_missing_or_old_is_told(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--allow-set").option("github-actions");
    let fetch = "curl -fsS https://api.github.com/meta | cijail-net policy refresh github";
    jail.shell("touch ran").assert_code(125).assert_says(fetch);
    assert!(!jail.home().join("ran").exists());
    Jail::bare(&world, mode)
        .input(document("203.0.113.1"))
        .run(["policy", "refresh", "github"])
        .assert_success();
    let stored = jail.home().join(".local/share/cijail-net/sets/github.json");
    let file = fs::File::options().append(true).open(stored).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(100 * 86_400)).unwrap();
    jail.shell("true").assert_success().assert_says("warning: addresses of 20").assert_says("100 days ago");
    let policy = world.files().shared().join("gh.toml");
    fs::write(&policy, "allow = ['@github-actions']").unwrap();
    let checked = Jail::bare(&world, mode).run(["policy", "check", "--strict", policy.to_str().unwrap()]);
    checked.assert_code(1).assert_says("100 days ago");
}

fn local_ranges_without_metadata(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--allow-local-ranges");
    let reach = |address: &str| jail.shell(&format!("{}; true", curl(address)));
    for address in ["10.1.2.3", "172.16.0.9:8080", "192.168.7.7", "[fd12::1]"] {
        let outcome = reach(address);
        assert!(outcome.denied().is_empty(), "{address} was denied: {outcome}");
    }
    // Addresses that no rule lists, and those that a rule of the set denies.
    for address in
        ["169.254.169.254", "168.63.129.16", "100.100.100.200", "[fd00:ec2::254]", "[fd20:ce::254]"]
    {
        let plain = address.trim_matches(['[', ']']);
        reach(address).assert_denied("http", plain, "ip-not-allowed");
    }
    // A name that is allowed may resolve to a local range, and to no metadata service.
    world.zone().address("in.test", [10, 9, 9, 9]);
    world.zone().address("meta.test", "fd00:ec2::254".parse::<std::net::Ipv6Addr>().unwrap());
    let named = jail.clone().allow("in.test").allow("meta.test");
    named.run(["dig", "+short", "in.test"]).assert_stdout("10.9.9.9\n");
    named.run(["dig", "+short", "AAAA", "meta.test"]).assert_stdout("").assert_denied(
        "dns",
        "meta.test",
        "ip-not-allowed",
    );
    let seen: Vec<SocketAddr> = world.attacker().contacts().iter().map(|contact| contact.target).collect();
    assert_eq!(
        seen.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.1.2.3:80", "172.16.0.9:8080", "192.168.7.7:80", "[fd12::1]:80"]
    );
    // Nobody in the local ranges is asked for names.
    jail.run(["dig", "+time=1", "+tries=1", "@10.1.2.3", "evil.test"]).assert_denied(
        "dns",
        "10.1.2.3",
        "dns-server-not-allowed",
    );
}

fn unused_sets_are_told_once(mode: Mode) {
    let world = World::new();
    let ranges = "192.0.2.0/26\n192.0.2.64/26\n";
    let toml = "allow = ['@a:80', '@b:80']\n[sets]\na = { file = 'r.txt' }\nb = ['192.0.2.128/25:80']";
    let jail = with_files(&world, Jail::new(&world, mode), toml, &[("r.txt", ranges)]);
    let outcome = jail.option("--report").option("text").shell("true");
    outcome.assert_success();
    let unused: Vec<&str> =
        outcome.stderr.lines().filter_map(|line| line.split("never used: ").nth(1)).collect();
    assert_eq!(unused, ["192.0.2.128/25:80", "@a:80"]);
}

fn mistakes_in_set_files_run_nothing(mode: Mode) {
    let world = World::new();
    let toml = "allow = ['@a:80']\n[sets]\na = { file = 'r.txt' }\nb = { file = 'gone.txt' }";
    let jail =
        with_files(&world, Jail::new(&world, mode), toml, &[("r.txt", "192.0.2.1\n 192.0.2.1/33 # x\n")]);
    let outcome = jail.shell("touch ran");
    outcome.assert_code(125).assert_says("/r.txt:2:2: ").assert_says(":4:14: ").assert_says("gone.txt");
    assert!(!jail.home().join("ran").exists());
}

/// As many as GitHub publishes for its runners.
fn thousands_of_ranges(mode: Mode) {
    let world = World::new();
    let site = world.site_without_name("site.test", false);
    let mut ranges: String = (0..6000).map(|n| format!("100.{}.{}.0/24\n", 64 + n / 256, n % 256)).collect();
    ranges.push_str(&format!("{}\n", site.v4));
    let toml = "allow = ['@many:80']\n[sets]\nmany = { file = 'many.txt' }";
    let jail = with_files(&world, Jail::new(&world, mode), toml, &[("many.txt", &ranges)]);
    jail.shell(&curl(&site.v4.to_string())).assert_success().assert_allowed("http", &site.v4.to_string());
}

//! Monitoring, and what the environment and the options change.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        monitor_lets_pass_and_tells,
        dry_run_of_cijail,
        endpoints_of_cijail,
        policy_file,
        text_log,
        quiet,
        proxy_variables_are_removed,
        policy_cannot_change_during_the_run,
        explicit_resolver,
    );
}

fn monitor_lets_pass_and_tells(mode: Mode) {
    let world = World::new();
    let (_, address) = world.tcp_echo("echo.test", 7007, b"");
    world.udp_echo("time.test", 123);
    let other = world.site("other.test");
    let jail = Jail::new(&world, mode).option("--mode").option("monitor");
    let outcome = jail.clone().allow("some.test").shell(&format!(
        "curl -sS http://other.test/; curl -sS https://other.test/; \
         exec 3<>/dev/tcp/{address}/7007 || true"
    ));
    let first = outcome.stderr.lines().next();
    assert_eq!(first, Some("cijail-net: monitoring with 1 rule: everything passes"), "{outcome}");
    assert_eq!(outcome.stdout.matches("hello from other.test").count(), 2, "{outcome}");
    assert_eq!(other.requests().len(), 2);
    for kind in ["dns", "http", "tls"] {
        outcome.assert_event("would-deny", kind, "other.test", Some("not-allowed"));
    }
    assert!(outcome.denied().is_empty(), "{outcome}");
    jail.run(["bash", "-c", &format!("echo hi >/dev/tcp/{address}/7007")]).assert_success();
    // What programs could read in two ways goes nowhere, and is told as that.
    let unclear = jail.run(["curl", "-sS", "-i", "-H", "Host: a_b", "http://other.test/"]);
    unclear.assert_says(" 400").assert_denied("http", "other.test", "malformed");
    assert_eq!(other.requests().len(), 2);
}

fn dry_run_of_cijail(mode: Mode) {
    let world = World::new();
    world.site("other.test");
    let jail = Jail::new(&world, mode).env("CIJAIL_DRY_RUN", "1");
    let outcome = jail.run(["curl", "-sS", "http://other.test/"]);
    outcome.assert_success().assert_stdout("hello from other.test\n");
    outcome.assert_event("would-deny", "http", "other.test", None);
}

fn endpoints_of_cijail(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode)
        .env("CIJAIL_ENDPOINTS", "other.test # not this one: evil.test\n good.test:80");
    jail.run(["curl", "-sS", "http://good.test/"]).assert_success();
    jail.run(["curl", "-sS", "http://evil.test/"]).assert_code(6);
    world.assert_attacker_saw_nothing();
}

fn policy_file(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    world.site("other.test");
    world.open_port(&site, 8080, false);
    let policy = "\
allow = [\"other.test\"]
deny = [\"evil.test\"]

[[rule]]
host = \"good.test\"
ports = [80, \"8000-8100\"]
note = \"what the build needs\"
";
    let jail = Jail::new(&world, mode).policy(policy);
    jail.shell("curl -sS http://good.test:8080/ http://good.test/ https://other.test/").assert_success();
    jail.run(["curl", "-sS", "https://good.test/"]).assert_failure();
    let monitor = Jail::new(&world, mode).policy("mode = \"monitor\"\n");
    monitor.run(["curl", "-sS", "https://good.test/"]).assert_success();
}

fn text_log(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").without_log_file();
    let outcome = jail.run(["curl", "-sS", "https://evil.test/"]);
    assert_eq!(outcome.stderr.lines().next(), Some("cijail-net: enforcing 1 rule"), "{outcome}");
    let line = outcome.stderr.lines().find(|line| line.contains("cijail-net: deny")).unwrap_or_default();
    for part in ["dns", "evil.test", "not-allowed", "--allow evil.test"] {
        assert!(line.contains(part), "{part} is missing: {outcome}");
    }
}

fn quiet(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).option("--quiet").without_log_file();
    let outcome = jail.run(["getent", "hosts", "evil.test"]);
    assert_eq!(outcome.stderr, "", "{outcome}");
}

fn proxy_variables_are_removed(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test").env("http_proxy_of_mine", "kept");
    let jail = jail.env("no_proxy", "x").env("ALL_PROXY", "").env("NO_PROXY", "x");
    let seen = jail.run(["env"]);
    seen.assert_success().assert_says("http_proxy_of_mine=kept");
    assert!(!seen.stdout.lines().any(|line| line.to_lowercase().starts_with("no_proxy=")), "{seen}");
    let kept = jail.option("--keep-proxy-env").run(["env"]);
    kept.assert_says("no_proxy=x");
}

fn policy_cannot_change_during_the_run(mode: Mode) {
    let world = World::new();
    let path = world.files().shared().join("changing.toml");
    std::fs::write(&path, "allow = [\"good.test\"]\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    let jail = Jail::new(&world, mode).option("--policy").option(&path);
    let script = format!(
        "echo 'allow = [\"evil.test\"]' >{}; export CIJAIL_ENDPOINTS=evil.test; curl -sS http://evil.test/",
        path.display()
    );
    jail.shell(&script).assert_code(6);
    world.assert_attacker_saw_nothing();
}

fn explicit_resolver(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.files().set_resolv_conf("nameserver 198.51.100.53\n");
    let jail = Jail::new(&world, mode).allow("good.test").option("--resolver").option("203.0.113.53");
    jail.run(["getent", "hosts", "good.test"]).assert_success();
    world.assert_attacker_saw_nothing();
}

//! From monitor to enforcement: a policy that is learned from a run allows the run, and nothing else.

use std::fs;
use std::path::Path;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Reply, World};

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        learned_policy_allows_the_same,
        new_destination_stands_out,
        comments_stay,
        urls_are_learned,
        planted_links_are_not_followed,
        short_names_are_learned_in_full,
        private_names_are_learned_as_such,
    );
}

/// Runs the script in monitor mode, and learns into `policy.toml` of the world's shared directory.
fn learn(world: &World, jail: &Jail<'_>, script: &str) -> String {
    let shared = world.files().shared();
    let (log, policy) = (shared.join("monitor.json"), shared.join("policy.toml"));
    monitored(jail, &log).shell(script).assert_success();
    learn_from(world, &[&log], &policy);
    fs::remove_file(log).unwrap();
    fs::read_to_string(policy).unwrap()
}

/// The same jail in monitor mode, with the log in this file.
pub(crate) fn monitored<'w>(jail: &Jail<'w>, log: &Path) -> Jail<'w> {
    let monitored = jail.clone().without_log_file().option("--mode").option("monitor");
    monitored.option("--log-format").option("json").option("--log-file").option(log)
}

/// Adds what the logs tell to the policy file, or makes it.
#[track_caller]
pub(crate) fn learn_from(world: &World, logs: &[&Path], policy: &Path) {
    let words = ["policy".as_ref(), "learn".as_ref(), "-o".as_ref(), policy.as_os_str()];
    let logs = logs.iter().map(|log| log.as_os_str());
    Jail::bare(world, Mode::Root).run(words.into_iter().chain(logs)).assert_success();
}

const BUILD: &str = "curl -sS https://good.test/ && curl -sS http://plain.test/a/b && \
                     curl -sS http://plain.test/a/c && getent hosts name.test && \
                     echo hello | nc -N -w 5 echo.test 7007";

fn world_of_a_build() -> World {
    let world = World::new();
    world.site("good.test");
    world.site("plain.test").page("/a/b", Reply::ok("b\n")).page("/a/c", Reply::ok("c\n"));
    world.site("name.test");
    world.tcp_echo("echo.test", 7007, b"hello\n");
    world
}

fn learned_policy_allows_the_same(mode: Mode) {
    let world = world_of_a_build();
    let policy = learn(&world, &Jail::new(&world, mode), BUILD);
    for rule in ["https://good.test/", "GET http://plain.test/a/", "dns:name.test", "echo.test:7007"] {
        assert!(policy.contains(&format!("\"{rule}\"")), "{rule} is not in {policy}");
    }
    let jail = Jail::new(&world, mode).policy(&policy).option("--fail-on-blocked");
    jail.shell(BUILD).assert_success();
    jail.run(["curl", "-sS", "https://evil.test/secret"]).assert_failure();
    jail.run(["curl", "-sS", "-i", "http://plain.test/other"]).assert_says(" 403");
    world.assert_attacker_saw_nothing();
}

fn new_destination_stands_out(mode: Mode) {
    let world = world_of_a_build();
    let shared = world.files().shared();
    let before = learn(&world, &Jail::new(&world, mode), BUILD);
    fs::write(shared.join("before.toml"), &before).unwrap();
    let hostile = format!("{BUILD}; curl -sS https://evil.test/ || true");
    let jail = Jail::new(&world, mode).policy(&before).option("--fail-on-blocked");
    jail.shell(&hostile).assert_code(122).assert_denied("dns", "evil.test", "not-allowed");
    learn(&world, &Jail::new(&world, mode), &hostile);
    let (before, after) = (shared.join("before.toml"), shared.join("policy.toml"));
    let diff = Jail::bare(&world, Mode::Root);
    let diff = diff.run(["policy".as_ref(), "diff".as_ref(), before.as_os_str(), after.as_os_str()]);
    diff.assert_code(1).assert_stdout("+ allow https://evil.test/\n");
}

fn comments_stay(mode: Mode) {
    let world = world_of_a_build();
    let path = world.files().shared().join("policy.toml");
    fs::write(&path, "# written by hand\nallow = [\n  \"good.test\", # the mirror\n]\n").unwrap();
    let policy = learn(&world, &Jail::new(&world, mode), BUILD);
    assert!(policy.starts_with("# written by hand\nallow = [\n  \"good.test\", # the mirror\n"), "{policy}");
    assert!(!policy.contains("https://good.test/"), "{policy}");
    assert!(policy.contains("dns:name.test"), "{policy}");
    // Learning twice adds nothing.
    assert_eq!(learn(&world, &Jail::new(&world, mode), BUILD), policy);
}

fn urls_are_learned(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/only/this");
    let script = "curl -sS https://good.test/pkg/a https://good.test/pkg/b; curl -sSI https://good.test/pkg/";
    let policy = learn(&world, &jail, script);
    assert!(policy.contains("\"GET,HEAD https://good.test/pkg/\""), "{policy}");
    let jail = Jail::new(&world, mode).policy(&policy);
    jail.shell(script).assert_success();
    jail.run(["curl", "-sS", "-i", "-d", "x", "https://good.test/pkg/a"]).assert_says(" 403");
}

/// A hostile job leaves a link where the new file will be written.
fn planted_links_are_not_followed(mode: Mode) {
    let world = world_of_a_build();
    let shared = world.files().shared();
    let (policy, victim, log) = (shared.join("ci.toml"), shared.join("victim"), shared.join("log.json"));
    fs::write(&victim, "precious").unwrap();
    std::os::unix::fs::symlink(&victim, shared.join("ci.toml.new")).unwrap();
    fs::write(&log, "{\"verdict\":\"allow\",\"kind\":\"tls\",\"name\":\"a.test\",\"port\":443}\n").unwrap();
    let learn = ["policy".as_ref(), "learn".as_ref(), log.as_os_str(), "-o".as_ref(), policy.as_os_str()];
    Jail::bare(&world, mode).run(learn).assert_code(125).assert_says("ci.toml.new");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!policy.exists());
}

/// What a search list completes is learned by its full name, which is what the next run needs.
fn short_names_are_learned_in_full(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let build = "curl -sS http://good/ && curl -sSk https://good/";
    let jail = Jail::new(&world, mode).env("LOCALDOMAIN", "test");
    let policy = learn(&world, &jail, build);
    assert!(policy.contains("\"https://good.test/\"") && !policy.contains("/good/"), "{policy}");
    jail.policy(&policy).option("--fail-on-blocked").shell(build).assert_success();
    assert_eq!(site.paths().len(), 4);
}

/// That it is private is seen in the first run, in which no rule has its name.
fn private_names_are_learned_as_such(mode: Mode) {
    let world = World::new();
    world.zone().address("inner.test", [10, 1, 2, 3]);
    let jail = Jail::new(&world, mode);
    let lookup = "getent ahostsv4 inner.test";
    let policy = learn(&world, &jail, lookup);
    jail.policy(&policy).option("--fail-on-blocked").shell(lookup).assert_success().assert_says("10.1.2.3");
}

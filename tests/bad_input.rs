//! What a user gets wrong: a clear error, 125, and nothing started.

use std::fs;
use std::time::Duration;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        bad_rules,
        bad_files,
        every_error_at_once,
        bad_environment,
        url_rules,
        empty_command,
        unknown_options,
        huge_file,
    );
}

/// The error names what is wrong, and the command did not run.
fn refused(world: &World, mode: Mode, jail: &Jail<'_>, words: &[&str]) {
    let outcome = jail.run(["touch", "started"]);
    outcome.assert_code(125).assert_faster_than(Duration::from_secs(5));
    for word in words {
        outcome.assert_says(word);
    }
    assert!(!outcome.says("panicked"), "{outcome}");
    assert!(!world.files().home(mode).join("started").exists(), "{outcome}");
}

fn bad_rules(mode: Mode) {
    let world = World::new();
    for rule in [
        "good.test:0",
        "good.test:65536",
        "good.test:http",
        "good.test:90-80",
        "good.test:80/sctp",
        "10.0.0.0/33:80",
        "10.0.0.1/8:80",
        "[2001:db8::/129]:80",
        "under_score.test",
        "-dash.test",
        "a..test",
        "*",
        "foo.*.test",
        "fo*.test",
        "ftp://good.test/",
        "localhost",
        "unix:relative/path",
    ] {
        refused(&world, mode, &Jail::new(&world, mode).allow(rule), &[rule]);
    }
    refused(&world, mode, &Jail::new(&world, mode).allow(&format!("{}.test", "a".repeat(64))), &["63"]);
    refused(&world, mode, &Jail::new(&world, mode).allow(""), &["--allow"]);
    refused(&world, mode, &Jail::new(&world, mode).deny("good.test:0"), &["good.test:0"]);
    world.assert_nothing_left();
}

fn bad_files(mode: Mode) {
    let world = World::new();
    let with = |toml: &str| Jail::new(&world, mode).policy(toml);
    refused(&world, mode, &with("allow = [\"good.test\"]\nalow = []\n"), &["alow", "2"]);
    refused(&world, mode, &with("allow = [\n  \"good.test:0\",\n]\n"), &["good.test:0", "2"]);
    refused(&world, mode, &with("allow = \"unfinished\n"), &["toml"]);
    refused(&world, mode, &with("mode = \"lenient\"\n"), &["lenient", "enforce", "monitor"]);
    refused(&world, mode, &with("[[rule]]\nports = [80]\n"), &["host"]);
    refused(&world, mode, &with("[[rule]]\nhost = \"good.test\"\nports = [70000]\n"), &["70000"]);
    let file = |path: &str| Jail::new(&world, mode).option("--policy").option(path);
    refused(&world, mode, &file("/no/such/policy.toml"), &["/no/such/policy.toml"]);
    refused(&world, mode, &file("/etc"), &["/etc", "directory"]);
    let path = world.files().shared().join("latin-1.toml");
    fs::write(&path, b"allow = [\"caf\xe9.test\"]\n").unwrap();
    refused(&world, mode, &file(path.to_str().unwrap()), &["latin-1.toml", "UTF-8"]);
}

fn every_error_at_once(mode: Mode) {
    let world = World::new();
    let policy = "allow = [\"one.test:0\", \"good.test\", \"two.test:99999\"]\ndeny = [\"10.0.0.0/40:80\"]\nextra = 1\n";
    let words = ["one.test:0", "two.test:99999", "10.0.0.0/40:80", "extra"];
    refused(&world, mode, &Jail::new(&world, mode).policy(policy), &words);
}

fn bad_environment(mode: Mode) {
    let world = World::new();
    let jail = Jail::new(&world, mode).env("CIJAIL_ENDPOINTS", "good.test:0");
    refused(&world, mode, &jail, &["CIJAIL_ENDPOINTS", "good.test:0"]);
    let jail = Jail::new(&world, mode).option("--mode").option("perhaps");
    refused(&world, mode, &jail, &["perhaps"]);
    let jail = Jail::new(&world, mode).option("--resolver").option("not an address");
    refused(&world, mode, &jail, &["not an address"]);
}

/// What cannot be obeyed yet is refused, never obeyed by half.
/// Each is told what to write instead.
fn url_rules(mode: Mode) {
    let world = World::new();
    for (rule, instead) in [
        ("https://user:secret@good.test/path/", "https://good.test/path/"),
        ("https://good.test/path/#part", "https://good.test/path/"),
        ("https://good.test/path/?query", "https://good.test/path/"),
        ("https://good.test:*/path/", "port"),
        ("https://good.test/a/../path/", "https://good.test/path/"),
        ("https://good.test//path/", "https://good.test/path/"),
        ("https://good.test/%70ath/", "https://good.test/path/"),
        ("https://good.test/path/*", "https://good.test/path/"),
        ("https://192.0.2.7/path/", "name"),
        ("get https://good.test/path/", "GET"),
        ("ftp://good.test/path/", "https://"),
    ] {
        refused(&world, mode, &Jail::new(&world, mode).allow(rule), &["--allow", instead]);
    }
}

fn empty_command(mode: Mode) {
    let world = World::new();
    let bare = Jail::bare(&world, mode);
    bare.run(["run"]).assert_code(125);
    bare.run(["run", "--"]).assert_code(125);
    bare.run(["run", "--allow", "good.test", "--"]).assert_code(125);
    bare.run(["run", "--", ""]).assert_code(125).assert_says("empty");
}

fn unknown_options(mode: Mode) {
    let world = World::new();
    let bare = Jail::bare(&world, mode);
    bare.run(["run", "--alow", "good.test", "--", "true"]).assert_code(125).assert_says("--allow");
    bare.run(["rum", "--", "true"]).assert_code(125);
    bare.run(["run", "--", "sh", "-c", "exit 4"]).assert_code(4);
    bare.run(["--help"]).assert_code(0).assert_says("run");
    bare.run(["--version"]).assert_code(0).assert_says("cijail-net");
}

fn huge_file(mode: Mode) {
    let world = World::new();
    let path = world.files().shared().join("huge.toml");
    // A hole: it takes no room.
    fs::File::create(&path).unwrap().set_len(1 << 30).unwrap();
    refused(&world, mode, &Jail::new(&world, mode).option("--policy").option(&path), &["huge.toml"]);
}

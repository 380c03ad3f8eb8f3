//! What a run tells at its end.

use std::fs;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{World, give_away};

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        reports_agree,
        new_destinations_fail_the_run,
        workflows_are_told,
        report_that_cannot_be_written,
    );
}

const SCRIPT: &str =
    "curl -sS https://good.test/; curl -sS https://good.test/; curl -sS https://evil.test/; true";

fn jail<'w>(world: &'w World, mode: Mode) -> Jail<'w> {
    Jail::new(world, mode).allow("good.test").allow("unused.test")
}

fn reports_agree(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let home = jail(&world, mode).home();
    let (json, markdown) = (home.join("report.json"), home.join("report.md"));
    let outcome = jail(&world, mode)
        .option("--report")
        .option("text")
        .option(format!("--report=json={}", json.display()))
        .option(format!("--report=markdown={}", markdown.display()))
        .shell(SCRIPT);
    outcome.assert_success().assert_says("2 destinations, 1 blocked").assert_says("never used: unused.test");
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let rows = report["destinations"].as_array().unwrap();
    let row = |host: &str| rows.iter().find(|row| row["host"] == host).unwrap();
    assert_eq!((&row("good.test")["allowed"], &row("good.test")["rule"]), (&2.into(), &"good.test".into()));
    assert_eq!(
        (&row("evil.test")["kind"], &row("evil.test")["reason"]),
        (&"dns".into(), &"not-allowed".into())
    );
    let told: u64 = outcome.events.iter().filter_map(|event| event.bytes_down).sum();
    assert_eq!(row("good.test")["bytes_down"], told);
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("| `good.test:443` | tls | ✅ | 2 | 0 |"), "{markdown}");
    assert!(markdown.contains("`not-allowed; to allow: evil.test`"), "{markdown}");
}

fn new_destinations_fail_the_run(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.site("other.test");
    let baseline = jail(&world, mode).home().join("baseline.json");
    let jail = jail(&world, mode).allow("other.test");
    let report = format!("--report=json={}", baseline.display());
    jail.clone().option(report).shell(SCRIPT).assert_success();
    let compared = jail.option("--fail-on-new").option(&baseline);
    compared.shell(SCRIPT).assert_success();
    let outcome = compared.shell(&format!("curl -sS https://other.test/; {SCRIPT}"));
    outcome.assert_code(122).assert_says("new destination, not in the baseline: tls other.test:443");
    // The command's own failure stays what it is.
    compared.shell("curl -sS https://other.test/; exit 3").assert_code(3);
    fs::write(&baseline, "{}").unwrap();
    compared.shell("true").assert_code(125).assert_says("is no report");
}

fn workflows_are_told(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let summary = jail(&world, mode).home().join("summary.md");
    fs::write(&summary, "### Before\n").unwrap();
    if mode == Mode::Rootless {
        give_away(&summary).unwrap();
    }
    let jail = jail(&world, mode).env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_ACTIONS", "true");
    let outcome = jail.shell(SCRIPT);
    let annotation = "::error title=cijail-net::dns evil.test BLOCKED: not-allowed; to allow: evil.test";
    assert!(outcome.stderr.lines().any(|line| line.starts_with(annotation)), "{outcome}");
    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("### Before\n### cijail-net: 2 destinations, 1 blocked\n"), "{summary}");
}

fn report_that_cannot_be_written(mode: Mode) {
    let world = World::new();
    let bad = |report: &str| jail(&world, mode).option("--report").option(report).run(["echo", "ran"]);
    for (report, says) in
        [("json=/nowhere/report", "/nowhere/report"), ("xml", "is no format"), ("json=", "empty")]
    {
        let outcome = bad(report);
        outcome.assert_code(125).assert_says(says);
        assert!(!outcome.says("ran"), "{outcome}");
    }
    bad("json=/dev/full").assert_code(125).assert_says("writing the report /dev/full");
}

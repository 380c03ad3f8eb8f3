//! What whoever starts a run tells the rules of it.

use super::{curl, with_rules};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(suite, rules_look_at_labels, bad_labels_run_nothing);
}

fn rules_look_at_labels(mode: Mode) {
    let world = World::new();
    let site = world.site("site.test");
    let rules = "allow if { input.labels.stage in {\"install\", \"fetch\"}; input.name == \"site.test\" }\n\
                 deny if { input.name == \"site.test\"; startswith(input.labels[\"ci/branch\"], \"fork/\") }\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules);
    let labelled = |labels: &[&str]| {
        labels.iter().fold(jail.clone(), |jail, label| jail.option("--label").option(label))
    };
    labelled(&["stage=install", "ci/branch=main"]).run(curl("https://site.test/")).assert_success();
    let refused: [&[&str]; 4] = [
        &[],
        &["stage=test"],
        &["stage=install ", "other=install"],
        &["stage=install", "ci/branch=fork/a=b"],
    ];
    for labels in refused {
        let outcome = labelled(labels).run(curl("https://site.test/"));
        outcome.assert_failure().assert_denied("dns", "site.test", "not-allowed");
    }
    // The job has no say in them.
    let outcome = labelled(&["stage=test"]).shell(
        "export CIJAIL_LABEL=stage=install CIJAIL_LABELS=stage=install stage=install; \
         curl -sS --max-time 10 https://site.test/",
    );
    outcome.assert_failure().assert_denied("dns", "site.test", "not-allowed");
    assert_eq!(site.requests().len(), 1);
    let path = world.files().shared().join("rules.rego");
    let explain = ["policy", "explain", "--rego", path.to_str().unwrap(), "--label"];
    let bare = Jail::bare(&world, mode);
    bare.run(explain.into_iter().chain(["stage=fetch", "site.test"])).assert_success();
    bare.run(explain.into_iter().chain(["stage=test", "site.test"])).assert_code(1);
}

fn bad_labels_run_nothing(mode: Mode) {
    let world = World::new();
    let jail = with_rules(&world, Jail::new(&world, mode), "allow if input.labels.a\n");
    let long = format!("a={}", "v".repeat(1025));
    for (labels, says) in [
        (&["stage"][..], "label `stage` has no value: write KEY=VALUE"),
        (&["a b=c"], "label key `a b`"),
        (&["=c"], "label key ``"),
        (&["a=1", "b=2", "a=1"], "label `a` is given twice"),
        (&[&long], "1025 octets"),
        (&["\u{1b}[2J=c"], "label key `\\u{1b}[2J`"),
    ] {
        let jail = labels.iter().fold(jail.clone(), |jail, label| jail.option("--label").option(label));
        jail.shell("touch ran").assert_code(125).assert_says("--label").assert_says(says);
    }
    // Nobody would look at it.
    Jail::new(&world, mode)
        .option("--label")
        .option("a=b")
        .shell("touch ran")
        .assert_code(125)
        .assert_says("--rego");
    assert!(!jail.home().join("ran").exists());
}

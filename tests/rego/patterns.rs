//! Regular expressions in rules.

use super::{curl, with_rules};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, rego_has_patterns, mistakes_in_patterns_run_nothing);
}

/// Classes, cases and categories as in RE2, whose tables are a matter of how the program is built.
fn rego_has_patterns(mode: Mode) {
    let world = World::new();
    for name in ["site7.test", "siteseven.test", "evil7.test"] {
        world.site(name);
    }
    let rules = "allow if regex.match(`^site\\d\\.\\w+\\b`, input.name)\n\
                 deny contains \"evil\" if regex.match(`(?i)^EVIL\\pN`, input.name)\n\
                 deny contains \"Greek\" if regex.match(`\\p{Greek}`, input.name)\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules).allow("evil7.test");
    jail.run(curl("https://site7.test/")).assert_success();
    let other = jail.run(curl("https://siteseven.test/"));
    other.assert_denied("dns", "siteseven.test", "not-allowed");
    let evil = jail.run(curl("https://evil7.test/"));
    evil.assert_denied("dns", "evil7.test", "not-allowed");
    let details: Vec<_> = evil.denied().iter().filter_map(|event| event.detail.as_deref()).collect();
    assert!(details.iter().all(|detail| detail.ends_with("data.cijail.deny: evil")), "{details:?}");
}

fn mistakes_in_patterns_run_nothing(mode: Mode) {
    let world = World::new();
    world.site("site7.test");
    for (pattern, what) in [
        ("`^(a|b`", "\"^(a|b\" is wrong: unclosed group"),
        ("\"\\\\pX\"", "\"\\\\pX\" is wrong: Unicode property not found"),
        ("`^\\w+\\.\\w+\\.\\w+$`", "takes more than 100 KiB"),
    ] {
        let rules = format!("allow if regex.match({pattern}, input.name)\n");
        let jail = with_rules(&world, Jail::new(&world, mode), &rules);
        jail.shell("touch ran")
            .assert_code(125)
            .assert_says("rules.rego:3:23: the pattern")
            .assert_says(what);
        assert!(!jail.home().join("ran").exists());
    }
    // One that is not written so is looked at when it is asked for, and denies.
    let rules = "allow if regex.match(concat(``, [`(`, input.name]), `x`)\n";
    let outcome = with_rules(&world, Jail::new(&world, mode), rules).run(curl("https://site7.test/"));
    outcome.assert_failure().assert_denied("dns", "site7.test", "not-allowed");
    assert_eq!(outcome.events[0].rule.as_deref(), Some("rego: error"));
    let ascii = "allow if regex.match(`^(?-u:\\w)+\\.(?-u:\\w)+\\.(?-u:\\w)+$`, input.name)\n";
    let outcome = with_rules(&world, Jail::new(&world, mode), ascii).run(curl("https://site7.test/"));
    assert_eq!(outcome.denied()[0].rule, None, "{outcome}");
}

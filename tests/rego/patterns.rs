//! Regular expressions in rules.

use super::{curl, with_rules};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, rego_has_patterns);
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

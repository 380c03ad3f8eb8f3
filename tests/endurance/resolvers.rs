//! Resolvers that lie. Those that are dead, slow or fail are in `dns`.

use std::time::Duration;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Behaviour, World};

const LIES: [&str; 5] = ["id", "question", "oversized", "loop", "cut"];

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, lies_are_not_believed, truncated_for_ever);
}

/// Each question gets an answer in time, none of them the lie, and the truth gets through beside them.
fn lies_are_not_believed(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    world.dns().set(Behaviour::Lying);
    let jail = LIES
        .iter()
        .fold(Jail::new(&world, mode).allow("good.test"), |jail, lie| jail.allow(&format!("{lie}.test")));
    let outcome = jail.shell(&format!(
        "for lie in {}; do dig +time=8 +tries=1 $lie.test A >$lie.out & done
         dig +short good.test A; wait; cat *.out",
        LIES.join(" ")
    ));
    outcome.assert_success().assert_says(&site.v4.to_string()).assert_faster_than(Duration::from_secs(8));
    assert!(!outcome.says("192.0.2.66"), "{outcome}");
    assert_eq!(outcome.stdout.matches("status: SERVFAIL").count(), LIES.len(), "{outcome}");
    for lie in LIES {
        outcome.assert_event("allow", "dns", &format!("{lie}.test"), Some("upstream-failed"));
    }
    jail.run(["curl", "-sS", "http://good.test/"]).assert_success();
    world.assert_nothing_left();
}

fn truncated_for_ever(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    world.dns().set(Behaviour::AlwaysTruncating);
    let outcome = jail.run(["dig", "+time=8", "+tries=1", "good.test"]);
    outcome.assert_faster_than(Duration::from_secs(8));
    let questions = world.dns().asked().len();
    assert!(questions < 20, "{questions} questions for one: {outcome}");
    world.dns().set(Behaviour::Answering);
    jail.run(["curl", "-sS", "http://good.test/"]).assert_success();
}

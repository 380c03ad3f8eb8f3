//! Real clients, unmodified and without proxy variables: an allowed host works, another fails at once with the
//! client's own error, and nobody else hears of it.

mod archive;
mod cargo;
mod download;
mod git;
pub(crate) mod jvm;
mod node;
mod npm;
mod pip;
mod postgres;
mod python;
mod rsync;

use std::time::Duration;

use crate::outcome::Outcome;
use crate::suite::Suite;
use crate::world::World;

/// How much longer than a success a failure may take.
const AT_ONCE: Duration = Duration::from_secs(1);

pub(crate) fn add(suite: &mut Suite) {
    for add in [
        download::add,
        git::add,
        rsync::add,
        pip::add,
        npm::add,
        cargo::add,
        jvm::add,
        node::add,
        python::add,
        postgres::add,
    ] {
        add(suite);
    }
}

/// `denied` failed, in the client's own words, about as fast as `allowed` succeeded, and the attacker knows nothing.
#[track_caller]
fn assert_contrast(world: &World, allowed: &Outcome, denied: &Outcome, words: &[&str]) {
    allowed.assert_success();
    denied.assert_failure().assert_says_one_of(words);
    denied.assert_faster_than(allowed.duration + AT_ONCE);
    world.assert_attacker_saw_nothing();
}

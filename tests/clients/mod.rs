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
pub(crate) mod registry;
mod rsync;

use std::fs;
use std::time::Duration;

use crate::jail::Jail;
use crate::learn::{learn_from, monitored};
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

/// A build that runs in a directory which `clean` makes anew: from two runs in monitor mode exactly these
/// rules are learned, whatever the order, and they suffice.
#[track_caller]
fn assert_learned(
    world: &World,
    jail: &Jail<'_>,
    clean: impl Fn(),
    build: impl Fn(&Jail<'_>) -> Outcome,
    rules: &[&str],
) {
    let shared = world.files().shared();
    let file = |name: &str| shared.join(name);
    let (first, second) = (file("first.json"), file("second.json"));
    for before in ["first.json", "second.json", "ci.toml", "both.toml", "again.toml"] {
        let _ = fs::remove_file(file(before));
    }
    for log in [&first, &second] {
        clean();
        build(&monitored(jail, log)).assert_success();
    }
    learn_from(world, &[&first], &file("ci.toml"));
    let learned = fs::read_to_string(file("ci.toml")).unwrap();
    assert_eq!(allowed(&learned), rules, "{learned}");
    // Learning is stable: once more, anew, in another order, in two steps.
    learn_from(world, &[&second, &first], &file("ci.toml"));
    learn_from(world, &[&second, &first], &file("both.toml"));
    learn_from(world, &[&first, &second], &file("again.toml"));
    for again in ["ci.toml", "both.toml", "again.toml"] {
        assert_eq!(fs::read_to_string(file(again)).unwrap(), learned, "{again}");
    }
    // A person's words stay when rules are added to theirs.
    fs::write(file("ours.toml"), "# ours\nmode = \"enforce\" # always\n").unwrap();
    learn_from(world, &[&first], &file("ours.toml"));
    let ours = fs::read_to_string(file("ours.toml")).unwrap();
    assert!(ours.starts_with("# ours\nmode = \"enforce\" # always\n"), "{ours}");
    assert_eq!(allowed(&ours), rules, "{ours}");
    clean();
    let enforced = jail.clone().without_rules().policy(&ours).option("--fail-on-blocked");
    build(&enforced).assert_success();
}

/// The rules in `allow`.
fn allowed(policy: &str) -> Vec<String> {
    let policy: toml_edit::DocumentMut = policy.parse().unwrap();
    assert!(!policy.contains_key("rule"), "{policy}");
    let rules = policy["allow"].as_array().unwrap();
    rules.iter().map(|rule| rule.as_str().unwrap().to_owned()).collect()
}

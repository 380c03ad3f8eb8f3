//! `docs/threat-model.md` names the test of each way out: all of them exist, and no row goes without.

use std::collections::BTreeSet;

use crate::suite::Suite;

const THREAT_MODEL: &str = include_str!("../docs/threat-model.md");

/// To be called when all other tests are known.
pub(crate) fn add(suite: &mut Suite) {
    let names = suite.names();
    suite.once(concat!(module_path!(), "::its_tests_exist"), move || its_tests_exist(&names));
    suite.once(concat!(module_path!(), "::every_way_out_has_a_test"), every_way_out_has_a_test);
}

fn its_tests_exist(names: &BTreeSet<String>) {
    let named: Vec<&str> = tests_named_in(THREAT_MODEL).collect();
    assert!(named.len() > 80, "{} tests are found in the table", named.len());
    let missing: Vec<&str> = named.into_iter().filter(|name| !names.contains(*name)).collect();
    assert!(missing.is_empty(), "there are no tests {missing:?}");
}

fn every_way_out_has_a_test() {
    let rows = THREAT_MODEL
        .lines()
        .skip_while(|line| *line != "## Ways out")
        .filter(|line| line.starts_with("| ") && line.matches(" |").count() == 3);
    let untested = rows.filter(|row| {
        let is_head = row.ends_with("| tests |");
        !is_head
            && !row.contains("**residual**")
            && !row.contains("(../fuzz)")
            && tests_named_in(row).next().is_none()
    });
    assert_eq!(untested.collect::<Vec<_>>(), [""; 0]);
}

/// What is between backticks and looks like the name of a test.
fn tests_named_in(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |word: &&str| {
        word.contains("::")
            && word.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b':'))
    };
    text.split('`').skip(1).step_by(2).filter(is_path)
}

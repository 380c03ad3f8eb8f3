//! The tests run the program that users build. Cargo builds it for them with the features that the tests' own
//! dependencies ask for as well, so each of these must be known not to matter.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

type Features = BTreeSet<String>;

/// What only the tests' builds have: functions that nothing else calls, a clock that stops
/// when a test says so, and properties of characters that RE2 does not know either.
const HARMLESS: [(&str, &[&str]); 3] = [
    ("rcgen", &["pem"]),
    ("regex-syntax", &["default", "unicode", "unicode-age", "unicode-bool", "unicode-segment"]),
    ("tokio", &["process", "test-util"]),
];

#[test]
fn tests_have_the_features_of_the_shipped_program() {
    let shipped = features(&["--package", "gateway", "--edges", "normal"]);
    let tested = features(&["--workspace", "--edges", "normal,dev"]);
    assert!(shipped.contains_key("regorus"), "{shipped:?}");
    let mut more = BTreeMap::new();
    for (name, features) in &shipped {
        let only_tested: Features = tested[name].difference(features).cloned().collect();
        if !only_tested.is_empty() {
            more.insert(name.as_str(), only_tested);
        }
    }
    let harmless: BTreeMap<_, Features> = HARMLESS
        .iter()
        .map(|(name, features)| (*name, features.iter().map(ToString::to_string).collect()))
        .collect();
    assert_eq!(more, harmless, "ask for them in [dependencies], or find them harmless");
}

/// The features of each package of a build of these, by its name, whatever its version.
fn features(of: &[&str]) -> BTreeMap<String, Features> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}\t{f}"]).args(of);
    tree.current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = tree.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut found = BTreeMap::<String, Features>::new();
    // Empty lines stand between the members of the workspace.
    for line in String::from_utf8(output.stdout).unwrap().lines().filter(|line| !line.is_empty()) {
        let (package, features) = line.split_once('\t').unwrap();
        let name = package.split(' ').next().unwrap();
        let of_package = found.entry(name.to_owned()).or_default();
        of_package.extend(features.split(',').filter(|feature| !feature.is_empty()).map(str::to_owned));
    }
    found
}

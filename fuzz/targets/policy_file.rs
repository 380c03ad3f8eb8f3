//! A policy file is read or every mistake has a place in it; what is read judges as its rules' own
//! texts do.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Policy, PolicyBuilder, Verdict, lint, parse_target};

/// Rules that are looked at one by one; more make a run slow and show nothing new.
const MANY: usize = 200;

fuzz_target!(|data: &[u8]| {
    let mut builder = PolicyBuilder::new();
    builder.add_file("policy.toml", data);
    let policy = match builder.build() {
        Ok(policy) => policy,
        Err(errors) => return check_errors(data, &errors),
    };
    if policy.rules().len() > MANY {
        return;
    }
    for lint in lint(&policy) {
        assert!(lint.to_string().starts_with("policy.toml:"));
    }
    let mut again = PolicyBuilder::new();
    for rule in policy.rules() {
        again.add_rule("again", rule.effect(), rule.text());
    }
    let again = again.build().expect("canonical texts are rules");
    for rule in policy.rules() {
        compare(&policy, &again, rule.text());
    }
    compare(&policy, &again, "a.test");
});

fn check_errors(data: &[u8], errors: &policy::PolicyErrors) {
    let lines = data.iter().filter(|&&byte| byte == b'\n').count() + 1;
    for error in errors.iter() {
        let position = error.position().expect("a mistake in a file has a place");
        assert!(position.line >= 1 && position.line <= lines && position.column >= 1);
        let text = error.to_string();
        assert!(!text.chars().any(char::is_control), "{text:?} would reach a terminal");
    }
}

/// Rules are written much like targets, so most of them are one.
fn compare(policy: &Policy, again: &Policy, target: &str) {
    let Ok(target) = parse_target(target) else { return };
    for request in target.requests() {
        let verdict = policy.judge(&request);
        let explanation = policy.explain(&request);
        assert_eq!(verdict.to_string(), explanation.verdict.to_string());
        match (verdict, again.judge(&request)) {
            (Verdict::Allow(one), Verdict::Allow(other)) => assert_eq!(one.text(), other.text()),
            (Verdict::Deny(one), Verdict::Deny(other)) => assert_eq!(one.reason, other.reason),
            (one, other) => panic!("{request}: {one}, but by short forms {other}"),
        }
    }
}

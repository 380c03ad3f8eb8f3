//! What a target stands for is denied by the empty policy, allowed by the rule that is suggested
//! then, and denied again where that rule denies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Policy, PolicyBuilder, Verdict, parse_target};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let target = match parse_target(text) {
        Ok(target) => target,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let requests = target.requests();
    assert!(!requests.is_empty());
    for request in &requests {
        assert!(matches!(policy(None, None).judge(request), Verdict::Deny(_)));
        let Some(rule) = request.suggestion() else { continue };
        let allowing = policy(Some(&rule), None);
        let verdict = allowing.judge(request);
        assert!(matches!(verdict, Verdict::Allow(_)), "{rule} does not allow {request}: {verdict}");
        let denying = policy(Some(&rule), Some(&rule));
        let verdict = denying.judge(request);
        assert!(matches!(verdict, Verdict::Deny(_)), "{rule} does not deny {request}: {verdict}");
        let shown = denying.explain(request).to_string();
        assert!(!shown.chars().any(|character| character.is_control() && character != '\n'));
    }
});

fn policy(allow: Option<&str>, deny: Option<&str>) -> Policy {
    let mut builder = PolicyBuilder::new();
    allow.iter().for_each(|rule| builder.add_allow(rule));
    deny.iter().for_each(|rule| builder.add_deny(rule));
    builder.build().expect("a suggestion is a rule")
}

//! A rule that parses has a canonical text that parses to itself; a mistake has a place in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use policy::{Effect, Origin, PolicyBuilder, Rule, lint};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for effect in [Effect::Allow, Effect::Deny] {
        let parse = |text: &str| Rule::parse(text, effect, Origin::option("--rule"));
        let rule = match parse(text) {
            Ok(rule) => rule,
            Err(error) => {
                assert!(text.is_char_boundary(error.offset));
                assert!(!error.to_string().is_empty());
                continue;
            }
        };
        let canonical = parse(rule.text()).expect("the canonical text is a rule");
        assert_eq!(canonical.text(), rule.text());
        assert_eq!(canonical.needs_interception(), rule.needs_interception());

        let mut builder = PolicyBuilder::new();
        builder.add_rule("first", effect, text);
        builder.add_rule("second", effect, rule.text());
        let policy = builder.build().expect("both are rules");
        let says_so = |lint: &policy::Lint<'_>| {
            lint.rule.origin().source() == "second" && lint.kind.to_string().starts_with("adds nothing")
        };
        // Ports of the job's own loopback and sockets are no requests, so no rule is in the index.
        let is_request = !text.starts_with("unix:") && !rule.text().starts_with("localhost");
        assert!(!is_request || lint(&policy).iter().any(says_so), "{text:?} does not cover itself");
    }
});

//! Texts that no one would write.

use proptest::prelude::*;
use proptest::sample::select;

use super::random::{deny_rule, rule};
use crate::{Effect, Origin, PolicyBuilder, Rule, parse_target};

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn canonical_texts_read_back(text in prop_oneof![rule(), deny_rule()]) {
        for effect in [Effect::Allow, Effect::Deny] {
            let Ok(rule) = Rule::parse(&text, effect, Origin::option("--test")) else { continue };
            let again = Rule::parse(rule.text(), effect, Origin::option("--test")).unwrap();
            prop_assert_eq!(again.subject(), rule.subject());
            prop_assert_eq!(again.text(), rule.text());
        }
    }

    /// Every prefix of a rule, with a character put in somewhere, is read or refused, and what is
    /// read reads back.
    #[test]
    fn broken_rules_do_no_harm(text in rule(), at in 0..40_usize, noise in any::<char>()) {
        for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
            let mut broken = text[..end].to_owned();
            if at <= broken.len() && broken.is_char_boundary(at) {
                broken.insert(at, noise);
            }
            for effect in [Effect::Allow, Effect::Deny] {
                match Rule::parse(&broken, effect, Origin::option("--test")) {
                    Ok(rule) => {
                        let again = Rule::parse(rule.text(), effect, Origin::option("--test"));
                        let again = again.unwrap();
                        prop_assert_eq!(again.subject(), rule.subject());
                    }
                    Err(error) => prop_assert!(broken.is_char_boundary(error.offset)),
                }
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Rule::parse(&text, Effect::Allow, Origin::option("--test"));
        let _ = parse_target(&text).map(|target| target.requests().len());
        let mut builder = PolicyBuilder::new();
        builder.add_endpoints(&text);
        builder.add_file("policy.toml", text.as_bytes());
        let _ = builder.build().map_err(|errors| errors.to_string());
    }

    #[test]
    fn any_file_is_read_or_refused(
        lines in prop::collection::vec(select(vec![
            "mode = 'monitor'", "allow = ['a.test', '@s', 5]", "allow = [", "'a.test'", "]", "[sets]", "s = ['a..b']",
            "[[rule]]", "host = 'a.test'", "ports = [1, '2/udp']", "paths = '/p'", "[dns]", "ttl-max = '9s'", "[limits]",
            "pins = 0x10", "allow-private = true", "é = '''", "deny = ['10.0.0.0/8']", "[rule]", "{", "= \"",
        ]), 0..12),
    ) {
        let mut builder = PolicyBuilder::new();
        builder.add_file("policy.toml", lines.join("\n").as_bytes());
        if let Err(errors) = builder.build() {
            prop_assert!(errors.iter().all(|error| error.position().is_some()));
        }
    }
}

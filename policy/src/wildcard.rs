//! Which names are a wildcard's only, and how many of them a run may use. Pure; whoever lets names
//! leave the machine does the counting.

use crate::rule::Fit;
use crate::{Effect, Name, Pattern, Policy, Request, Rule};

/// The wildcard rule that a name is counted under.
#[derive(Debug, Clone, Copy)]
pub struct Wildcard<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// Its place in [`Policy::rules`]: names with the same number are counted together.
    pub number: usize,
    /// How many names may leave the machine under it in one run.
    pub most: usize,
}

impl Policy {
    /// The wildcard rule that a name is counted under: of those that let it resolve the one that
    /// takes most names, the first of several. `None` if an exact rule lists the name, or if no
    /// rule allows it.
    pub fn wildcard_of(&self, name: &Name) -> Option<Wildcard<'_>> {
        let request = Request::Resolve { name };
        let mut widest: Option<Wildcard<'_>> = None;
        for (number, rule) in self.allow_rules_for(name) {
            if rule.fit(&request) != Fit::Yes {
                continue;
            }
            if !rule.pattern().is_some_and(Pattern::is_wildcard) {
                return None;
            }
            let most = self.most_names(rule);
            if widest.is_none_or(|widest| most > widest.most) {
                widest = Some(Wildcard { rule, number, most });
            }
        }
        widest
    }

    /// How many names a run may use of a wildcard rule: its own `max-names`, or `wildcard-names` of
    /// the limits.
    pub(crate) fn most_names(&self, rule: &Rule) -> usize {
        rule.max_names().unwrap_or(self.limits().wildcard_names)
    }
}

impl Wildcard<'_> {
    /// The rule for one name in the wildcard's place, which takes the name out of the count.
    pub fn suggestion(&self, name: &Name) -> String {
        match self.rule.pattern() {
            Some(pattern) => self.rule.text().replacen(&pattern.to_string(), name.as_str(), 1),
            None => name.to_string(),
        }
    }

    /// Says why one more name is denied, and which keys raise the limit.
    pub fn exceeded(&self) -> String {
        let Wildcard { rule, most, .. } = self;
        format!(
            "more than {most} names under {}; list the name, or raise max-names of its [[rule]] or wildcard-names of [limits]",
            rule.text()
        )
    }
}

/// Whether a rule may have a limit of its own.
pub(crate) fn takes_max_names(rule: &Rule) -> bool {
    rule.effect() == Effect::Allow && rule.pattern().is_some_and(Pattern::is_wildcard)
}

#[cfg(test)]
mod tests {
    use crate::{Name, PolicyBuilder};

    /// The rule, the limit and the suggestion for a name.
    fn counted(file: &str, name: &str) -> Option<(String, usize, String)> {
        let mut builder = PolicyBuilder::new();
        builder.add_file("policy.toml", file.as_bytes());
        let policy = builder.build().unwrap();
        let name = Name::parse(name).unwrap();
        let wildcard = policy.wildcard_of(&name)?;
        assert!(std::ptr::eq(wildcard.rule, &policy.rules()[wildcard.number]));
        Some((wildcard.rule.text().to_owned(), wildcard.most, wildcard.suggestion(&name)))
    }

    fn under(rule: &str, most: usize, suggestion: &str) -> Option<(String, usize, String)> {
        Some((rule.to_owned(), most, suggestion.to_owned()))
    }

    #[test]
    fn counts_names_of_wildcards_only() {
        let file = "allow = [\"*.a.test\", \"www.a.test:22\", \"dns:ns.a.test\", \"plain.test\", \"192.0.2.0/24:443\"]";
        assert_eq!(counted(file, "X.a.test"), under("*.a.test", 64, "x.a.test"));
        for name in ["www.a.test", "ns.a.test", "plain.test", "y.x.a.test", "other.test"] {
            assert_eq!(counted(file, name), None, "{name}");
        }
    }

    #[test]
    fn the_rule_that_takes_most_counts() {
        let file = "allow = [\"*.a.test\", \"**.a.test:22\"]\n\
                    [limits]\nwildcard-names = 10\n\
                    [[rule]]\nhost = \"**.a.test\"\nports = [8443, 9443]\nmax-names = 200\n";
        assert_eq!(counted(file, "x.a.test"), under("**.a.test:8443", 200, "x.a.test:8443"));
        assert_eq!(counted(file, "y.x.a.test"), under("**.a.test:8443", 200, "y.x.a.test:8443"));
        let file = "allow = [\"*.a.test\"]\n[[rule]]\nhost = \"**.a.test\"\nmax-names = 3\n";
        assert_eq!(counted(file, "x.a.test"), under("*.a.test", 64, "x.a.test"));
        assert_eq!(counted(file, "y.x.a.test"), under("**.a.test", 3, "y.x.a.test"));
    }

    #[test]
    fn denied_rules_do_not_count() {
        let file = "allow = [\"GET http://*.a.test/x\"]\ndeny = [\"**.b.test\"]";
        assert_eq!(counted(file, "x.a.test"), under("GET http://*.a.test/x", 64, "GET http://x.a.test/x"));
        assert_eq!(counted(file, "x.b.test"), None);
    }
}

//! How the word of other rules, such as those written in Rego, is combined with the policy's own. Pure:
//! who asks them hands their opinion in.
//!
//! Something passes if the policy or the others allow it, and neither denies it. Whatever the others say,
//! they do not open private addresses, ports of DNS and paths that can be read in two ways, nor what the policy
//! denies for another reason than that no rule speaks of it.

use std::sync::LazyLock;

use crate::address::is_private_address;
use crate::engine::{Denial, Verdict};
use crate::path::is_ambiguous;
use crate::rule::Subject;
use crate::{Effect, Origin, Reason, Request, Rule};

/// What other rules say about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Advice {
    /// They do not speak of it, or there are none.
    #[default]
    Silent,
    /// They allow it.
    Allow,
    /// They deny it.
    Deny(Objection),
}

/// Why other rules deny a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Objection {
    /// A rule denies it.
    Rule,
    /// A rule could not be evaluated, or gave what is no answer.
    Error,
    /// There was no answer in time.
    Deadline,
    /// They look at the process, which is not known.
    Process,
}

/// An advice with what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Opinion {
    /// The advice.
    pub advice: Advice,
    /// For people: the rule's own message, or what went wrong.
    pub detail: Option<String>,
}

/// How the policy's own verdict stands towards advice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// The policy allows the request.
    Allowed,
    /// No rule speaks of it, so others may allow it.
    Open,
    /// It is denied, whatever others say.
    Closed,
}

/// What stands in the place of a rule where advice decides; the texts are those of logs.
static ADVISED: LazyLock<[Rule; 5]> = LazyLock::new(|| {
    let rule = |effect, text: &str| Rule::elsewhere(effect, text, Origin::option("--rego"));
    [
        rule(Effect::Allow, "rego: allow"),
        rule(Effect::Deny, "rego: deny"),
        rule(Effect::Deny, "rego: error"),
        rule(Effect::Deny, "rego: deadline"),
        rule(Effect::Deny, "rego: process unknown"),
    ]
});

/// The verdict that advice brings about; `None` if the policy's own stands.
pub fn overrule(standing: Standing, advice: Advice) -> Option<Verdict<'static>> {
    let [allow, rule, error, deadline, process] = &*ADVISED;
    match (standing, advice) {
        (Standing::Open, Advice::Allow) => Some(Verdict::Allow(allow)),
        (Standing::Allowed | Standing::Open, Advice::Deny(objection)) => {
            let (rule, reason) = match objection {
                Objection::Rule => (rule, Reason::NotAllowed),
                Objection::Error => (error, Reason::NotAllowed),
                Objection::Deadline => (deadline, Reason::Limit),
                Objection::Process => (process, Reason::NotAllowed),
            };
            Some(Verdict::Deny(Denial { reason, rule: Some(rule) }))
        }
        _ => None,
    }
}

impl<'p> Verdict<'p> {
    /// How this verdict on the request stands towards advice.
    pub fn standing(&self, request: &Request<'_>) -> Standing {
        let denial = match self {
            Verdict::Allow(_) => return Standing::Allowed,
            Verdict::Deny(denial) => denial,
        };
        let unspoken = matches!(
            denial.reason,
            Reason::NotAllowed | Reason::IpNotAllowed | Reason::PathNotAllowed | Reason::MethodNotAllowed
        );
        let is_private = request.address().is_some_and(is_private_address);
        let is_dns = request.is_other_than_dns();
        // Rules elsewhere compare texts, and what a server makes of such a path is another one.
        let is_ambiguous = matches!(*request, Request::Http { path, .. } if is_ambiguous(path));
        let is_open = denial.rule.is_none() && unspoken && !is_private && !is_dns && !is_ambiguous;
        if is_open { Standing::Open } else { Standing::Closed }
    }

    /// The verdict with what others say about the request.
    pub fn advised(self, request: &Request<'_>, advice: Advice) -> Verdict<'p> {
        overrule(self.standing(request), advice).unwrap_or(self)
    }
}

impl Rule {
    /// What stands in the place of a rule that is not the policy's.
    fn elsewhere(effect: Effect, text: &str, origin: Origin) -> Rule {
        Rule::of(effect, Subject::Elsewhere { text: text.into() }, origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::policy;
    use crate::{Name, Scheme};

    fn advised(allow: &[&str], deny: &[&str], request: &Request<'_>, advice: Advice) -> String {
        policy(allow, deny).judge(request).advised(request, advice).to_string()
    }

    #[test]
    fn either_allows_and_neither_denies() {
        let name = Name::parse("a.test").unwrap();
        let tls = Request::Tls { name: &name, port: 443 };
        let objection = Advice::Deny(Objection::Rule);
        assert_eq!(advised(&[], &[], &tls, Advice::Silent), "deny: not-allowed");
        assert_eq!(advised(&[], &[], &tls, Advice::Allow), "allow by rego: allow (--rego)");
        assert_eq!(advised(&["a.test"], &[], &tls, Advice::Allow), "allow by a.test (--allow)");
        assert_eq!(advised(&["a.test"], &[], &tls, Advice::Silent), "allow by a.test (--allow)");
        assert_eq!(advised(&["a.test"], &[], &tls, objection), "deny: not-allowed, by rego: deny (--rego)");
        assert_eq!(advised(&[], &["a.test"], &tls, Advice::Allow), "deny: not-allowed, by a.test (--deny)");
        assert_eq!(
            advised(&["a.test"], &[], &tls, Advice::Deny(Objection::Deadline)),
            "deny: limit, by rego: deadline (--rego)"
        );
    }

    #[test]
    fn advice_opens_no_path_that_can_be_read_in_two_ways() {
        let host = Name::parse("a.test").unwrap();
        for (path, opens) in
            [("/a/b", true), ("/a/%62", true), ("/a/../b", false), ("/a/..%2fb", false), ("/a//b", false)]
        {
            let request = Request::Http { scheme: Scheme::Http, host: &host, port: 80, method: "GET", path };
            assert_eq!(advised(&[], &[], &request, Advice::Allow).starts_with("allow"), opens, "{path}");
            assert!(advised(&["a.test"], &[], &request, Advice::Allow).starts_with("allow"), "{path}");
        }
    }

    #[test]
    fn advice_opens_no_private_address_and_no_dns_server() {
        for (address, opens) in [
            ("192.0.2.1:80", true),
            ("192.0.2.1:53", false),
            ("10.0.0.1:80", false),
            ("169.254.169.254:80", false),
            ("127.0.0.1:80", false),
            ("[fd00::1]:80", false),
            ("[::ffff:10.0.0.1]:80", false),
            ("[64:ff9b::10.0.0.1]:80", false),
        ] {
            let destination = address.parse().unwrap();
            for request in [Request::TcpAddress { destination }, Request::UdpAddress { destination }] {
                let allowed = advised(&[], &[], &request, Advice::Allow).starts_with("allow");
                assert_eq!(allowed, opens, "{request}");
            }
            let server = Request::DnsServer { server: destination };
            assert!(advised(&[], &[], &server, Advice::Allow).starts_with("deny"));
        }
    }
}

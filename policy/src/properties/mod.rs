//! Random policies against a plain reference that knows no index.

mod random;
mod reference;
mod texts;

use proptest::prelude::*;

use crate::engine::tests::policy;
use crate::{Effect, Pattern, Reason, Request, Rule, Verdict};

pub(crate) use random::rule;
use random::{asked, deny_rule};

fn as_strs(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_those_of_the_reference(
        allow in prop::collection::vec(rule(), 0..12),
        deny in prop::collection::vec(deny_rule(), 0..4),
        asked in prop::collection::vec(asked(), 1..24),
    ) {
        let policy = policy(&as_strs(&allow), &as_strs(&deny));
        for asked in &asked {
            let request = asked.request();
            let wanted = reference::is_allowed(&allow, &deny, &request);
            match policy.judge(&request) {
                Verdict::Allow(rule) => {
                    prop_assert!(wanted, "{} allowed by {}", request, rule.text());
                    prop_assert_eq!(rule.effect(), Effect::Allow);
                }
                Verdict::Deny(denial) => prop_assert!(!wanted, "{} denied: {}", request, denial.reason),
            }
            // Explaining agrees, and shows the rule that decides.
            let explained = policy.explain(&request);
            prop_assert_eq!(matches!(explained.verdict, Verdict::Allow(_)), wanted);
        }
    }

    #[test]
    fn a_suggestion_allows_what_it_was_made_for(asked in asked()) {
        let request = asked.request();
        if let Some(text) = request.suggestion() {
            let policy = policy(&[&text], &[]);
            prop_assert!(matches!(policy.judge(&request), Verdict::Allow(_)), "{}: {}", request, text);
            prop_assert_eq!(policy.rules()[0].text(), text);
        }
    }

    #[test]
    fn more_deny_rules_never_allow_more(
        allow in prop::collection::vec(rule(), 0..8),
        deny in prop::collection::vec(deny_rule(), 1..4),
        asked in asked(),
    ) {
        let request = asked.request();
        let (with, without) = (policy(&as_strs(&allow), &as_strs(&deny)), policy(&as_strs(&allow), &[]));
        if let Verdict::Allow(_) = with.judge(&request) {
            prop_assert!(matches!(without.judge(&request), Verdict::Allow(_)));
        }
    }

    /// What only wildcards allow is counted, and what is suggested takes it out of the count.
    #[test]
    fn names_of_wildcards_are_counted(allow in prop::collection::vec(rule(), 0..8), asked in asked()) {
        let counting = policy(&as_strs(&allow), &[]);
        let name = &asked.name;
        let resolves = matches!(counting.judge(&Request::Resolve { name }), Verdict::Allow(_));
        let is_exact = |rule: &Rule| matches!(rule.pattern(), Some(Pattern::Exact(exact)) if exact == name);
        let counted = counting.wildcard_of(name);
        prop_assert_eq!(counted.is_some(), resolves && !counting.rules().iter().any(is_exact));
        if let Some(wildcard) = counted {
            let listed = [&allow[..], &[wildcard.suggestion(name)]].concat();
            prop_assert!(policy(&as_strs(&listed), &[]).wildcard_of(name).is_none());
        }
    }

    /// What `may_allow_tcp` and `may_allow_udp` rule out, no verdict lets in.
    #[test]
    fn ports_ruled_out_are_denied(allow in prop::collection::vec(rule(), 0..8), asked in asked()) {
        let policy = policy(&as_strs(&allow), &[]);
        let may = match asked.request() {
            Request::Tls { port, .. } | Request::Http { port, .. } | Request::Tcp { port, .. } => policy.may_allow_tcp(port),
            Request::TcpAddress { destination } => policy.may_allow_tcp(destination.port()),
            Request::Udp { port, .. } => policy.may_allow_udp(port),
            Request::UdpAddress { destination } => policy.may_allow_udp(destination.port()),
            _ => true,
        };
        prop_assert!(may || matches!(policy.judge(&asked.request()), Verdict::Deny(_)));
    }

    /// The reason of a denial without a rule is one that the kind of request can have.
    #[test]
    fn reasons_fit_requests(allow in prop::collection::vec(rule(), 0..8), asked in asked()) {
        let policy = policy(&as_strs(&allow), &[]);
        if let Verdict::Deny(denial) = policy.judge(&asked.request()) {
            let fits = match asked.request() {
                Request::DnsServer { .. } => denial.reason == Reason::DnsServerNotAllowed,
                Request::TcpAddress { .. } | Request::UdpAddress { .. } => denial.reason == Reason::IpNotAllowed,
                Request::Resolved { .. } => matches!(denial.reason, Reason::NotAllowed | Reason::PrivateAddress),
                Request::Tls { port: 53, .. } | Request::Http { port: 53, .. } => {
                    denial.reason == Reason::ProtocolNotAllowed
                }
                Request::Tcp { port: 53, .. } | Request::Udp { port: 53, .. } => {
                    denial.reason == Reason::ProtocolNotAllowed
                }
                Request::Http { .. } => {
                    matches!(denial.reason, Reason::NotAllowed | Reason::PathNotAllowed | Reason::MethodNotAllowed)
                }
                _ => denial.reason == Reason::NotAllowed,
            };
            prop_assert!(fits, "{}: {}", asked.request(), denial.reason);
        }
    }
}

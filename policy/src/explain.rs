//! Which rules speak of a request, which one decides, and why.

use std::fmt;

use crate::engine::{Policy, Verdict};
use crate::rule::Fit;
use crate::{Effect, Reason, Request, Rule, Wildcard};

/// The verdict on a request with every rule that speaks of it.
#[derive(Debug, Clone)]
pub struct Explanation<'p, 'r> {
    /// The request.
    pub request: Request<'r>,
    /// What the policy says.
    pub verdict: Verdict<'p>,
    /// Rules that speak of the request or nearly do, the one that decides first.
    pub considered: Vec<Considered<'p>>,
    /// Whether TLS to this host is opened, and requests inside are judged one by one.
    pub intercepted: bool,
    /// The wildcard that an allowed name is counted under.
    pub counted: Option<Wildcard<'p>>,
}

/// A rule and the part that it plays.
#[derive(Debug, Clone, Copy)]
pub struct Considered<'p> {
    /// The rule.
    pub rule: &'p Rule,
    /// Its part.
    pub role: Role,
}

/// What becomes of a rule in one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The verdict is this rule's.
    Decides,
    /// It would have given the same verdict.
    Agrees,
    /// An allow rule that speaks of the request, where a deny rule wins.
    Overruled,
    /// An allow rule of the name, where the address is private and the rule does not say so.
    PublicOnly,
    /// A URL rule of the host and path, for other methods.
    OtherMethod,
    /// A URL rule of the host, for another path.
    OtherPath,
}

impl Policy {
    /// Explains the verdict. It looks at every rule; [`Policy::judge`] is the fast way.
    pub fn explain<'p, 'r>(&'p self, request: &Request<'r>) -> Explanation<'p, 'r> {
        let verdict = self.judge(request);
        let mut considered: Vec<Considered<'_>> = self
            .rules()
            .iter()
            .filter_map(|rule| Some(Considered { rule, role: role(rule, request, &verdict)? }))
            .collect();
        considered.sort_by_key(|considered| considered.role);
        let intercepted = match (*request, verdict) {
            (Request::Tls { name, port }, Verdict::Allow(_)) => self.intercepts(name, port),
            _ => false,
        };
        let counted = match (request.name(), verdict) {
            (Some(name), Verdict::Allow(_)) => self.wildcard_of(name),
            _ => None,
        };
        Explanation { request: *request, verdict, considered, intercepted, counted }
    }
}

fn role(rule: &Rule, request: &Request<'_>, verdict: &Verdict<'_>) -> Option<Role> {
    let decides = match verdict {
        Verdict::Allow(deciding) => std::ptr::eq(*deciding, rule),
        Verdict::Deny(denial) => denial.rule.is_some_and(|deciding| std::ptr::eq(deciding, rule)),
    };
    if decides {
        return Some(Role::Decides);
    }
    let is_allow = rule.effect() == Effect::Allow;
    match (rule.fit(request), verdict) {
        (Fit::Yes, Verdict::Allow(_)) => Some(Role::Agrees),
        (Fit::Yes, Verdict::Deny(_)) if !is_allow => Some(Role::Agrees),
        (Fit::Yes, Verdict::Deny(denial)) if denial.reason == Reason::PrivateAddress => {
            Some(Role::PublicOnly)
        }
        (Fit::Yes, Verdict::Deny(_)) => Some(Role::Overruled),
        (Fit::MethodDiffers, _) => Some(Role::OtherMethod),
        (Fit::PathDiffers, _) => Some(Role::OtherPath),
        (Fit::No, _) => None,
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Decides => "decides",
            Role::Agrees => "agrees",
            Role::Overruled => "overruled",
            Role::PublicOnly => "public only",
            Role::OtherMethod => "other method",
            Role::OtherPath => "other path",
        })
    }
}

/// Several lines: the verdict, one line a rule, and the rule that would allow what none allows.
impl fmt::Display for Explanation<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.verdict)?;
        for Considered { rule, role } in &self.considered {
            write!(f, "\n  {role:<12}  {} {} ({}", rule.effect(), rule.text(), rule.origin())?;
            match rule.set() {
                Some(set) => write!(f, ", {set})")?,
                None => f.write_str(")")?,
            }
            if let Some(note) = rule.note() {
                write!(f, "  # {}", note.escape_debug())?;
            }
        }
        if self.intercepted {
            write!(f, "\n  TLS is opened here, and each request inside is judged by URL rules")?;
        }
        if let Some(Wildcard { rule, most, .. }) = self.counted {
            write!(f, "\n  counts as one of at most {most} names under {} in a run", rule.text())?;
        }
        let Verdict::Deny(denial) = self.verdict else { return Ok(()) };
        match (denial.rule, denial.reason, self.request.suggestion()) {
            (Some(_), ..) => write!(f, "\n  deny rules win: no allow rule changes this"),
            (None, Reason::PrivateAddress, _) => {
                write!(
                    f,
                    "\n  to allow it: allow-private = true in a [[rule]] for the name, or allow the address"
                )
            }
            (None, _, Some(rule)) => write!(f, "\n  to allow it: {rule}"),
            (None, _, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::tests::policy;
    use crate::parse_target;

    fn explain(allow: &[&str], deny: &[&str], target: &str) -> String {
        let policy = policy(allow, deny);
        let target = parse_target(target).unwrap();
        let texts: Vec<String> =
            target.requests().iter().map(|request| policy.explain(request).to_string()).collect();
        texts.join("\n")
    }

    #[test]
    fn names_what_decides() {
        assert_eq!(
            explain(&["**.h.test", "https://a.h.test/p"], &[], "https://a.h.test/q?x"),
            "resolve a.h.test: allow by https://a.h.test/p (--allow)\n\
             \x20 decides       allow https://a.h.test/p (--allow)\n\
             \x20 agrees        allow **.h.test (--allow)\n\
             tls a.h.test:443: allow by **.h.test (--allow)\n\
             \x20 decides       allow **.h.test (--allow)\n\
             \x20 agrees        allow https://a.h.test/p (--allow)\n\
             GET https://a.h.test/q: allow by **.h.test (--allow)\n\
             \x20 decides       allow **.h.test (--allow)\n\
             \x20 other path    allow https://a.h.test/p (--allow)"
        );
    }

    #[test]
    fn says_how_to_allow() {
        assert_eq!(
            explain(&["GET https://h.test/p"], &[], "POST https://h.test/p"),
            "resolve h.test: allow by GET https://h.test/p (--allow)\n\
             \x20 decides       allow GET https://h.test/p (--allow)\n\
             tls h.test:443: allow by GET https://h.test/p (--allow)\n\
             \x20 decides       allow GET https://h.test/p (--allow)\n\
             \x20 TLS is opened here, and each request inside is judged by URL rules\n\
             POST https://h.test/p: deny: method-not-allowed\n\
             \x20 other method  allow GET https://h.test/p (--allow)\n\
             \x20 to allow it: POST https://h.test/p"
        );
        assert_eq!(
            explain(&["10.0.0.0/8:22"], &["10.0.0.0/16"], "10.0.0.1:22"),
            "tcp 10.0.0.1:22: deny: ip-not-allowed, by 10.0.0.0/16 (--deny)\n\
             \x20 decides       deny 10.0.0.0/16 (--deny)\n\
             \x20 overruled     allow 10.0.0.0/8:22 (--allow)\n\
             \x20 deny rules win: no allow rule changes this"
        );
    }
}

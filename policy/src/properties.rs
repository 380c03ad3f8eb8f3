//! Random policies against a plain reference that knows no index, and texts that no one would write.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use proptest::sample::select;

use crate::engine::tests::policy;
use crate::{
    Effect, Name, Origin, Pattern, PolicyBuilder, Reason, Request, Rule, Scheme, Verdict, parse_target,
};

/// Few labels, so that random rules and requests meet often.
fn host() -> impl Strategy<Value = String> {
    prop::collection::vec(select(vec!["a", "b", "test"]), 1..5).prop_map(|labels| labels.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    (select(vec!["", "*.", "**."]), host()).prop_map(|(front, host)| format!("{front}{host}"))
}

fn ports() -> impl Strategy<Value = String> {
    select(vec!["80", "443", "53", "22", "50-100", "*", "443/udp", "50-60/udp", "*/udp"])
        .prop_map(str::to_owned)
}

fn range() -> impl Strategy<Value = String> {
    let ranges = ["10.0.0.0/8", "10.0.0.0/9", "10.0.0.1", "192.0.2.0/24", "192.0.2.1", "0.0.0.0/0"];
    let v6 = ["[::/0]", "[2001:db8::/32]", "[2001:db8::1]", "[fd00::/8]"];
    select([ranges.as_slice(), v6.as_slice()].concat()).prop_map(str::to_owned)
}

fn path() -> impl Strategy<Value = String> {
    select(vec!["/", "/p", "/p/", "/p/q", "/pq", "/%C3%A9"]).prop_map(str::to_owned)
}

fn rule() -> impl Strategy<Value = String> {
    let methods = select(vec!["", "GET ", "GET,HEAD ", "POST "]);
    let port = select(vec!["", ":443", ":80"]);
    let url = (methods, select(vec!["https", "http"]), pattern(), port, path());
    prop_oneof![
        3 => pattern(),
        3 => (pattern(), ports()).prop_map(|(host, ports)| format!("{host}:{ports}")),
        3 => url.prop_map(|(methods, scheme, host, port, path)| format!("{methods}{scheme}://{host}{port}{path}")),
        1 => pattern().prop_map(|host| format!("dns:{host}")),
        3 => (range(), ports()).prop_map(|(range, ports)| format!("{range}:{ports}")),
    ]
}

fn deny_rule() -> impl Strategy<Value = String> {
    prop_oneof![4 => rule(), 1 => range()]
}

/// A request that owns what it speaks of.
#[derive(Debug, Clone)]
struct Asked {
    kind: u8,
    name: Name,
    address: IpAddr,
    port: u16,
    https: bool,
    method: &'static str,
    path: &'static str,
}

impl Asked {
    fn request(&self) -> Request<'_> {
        let (name, port, address) = (&self.name, self.port, self.address);
        let destination = SocketAddr::new(address, port);
        match self.kind {
            0 => Request::Resolve { name },
            1 => Request::DnsServer { server: destination },
            2 => Request::Resolved { name, address },
            3 => Request::Tls { name, port },
            4 => Request::Tcp { name, port },
            5 => Request::TcpAddress { destination },
            6 => Request::Udp { name, port },
            7 => Request::UdpAddress { destination },
            _ => {
                let scheme = if self.https { Scheme::Https } else { Scheme::Http };
                Request::Http { scheme, host: name, port, method: self.method, path: self.path }
            }
        }
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let addresses = ["10.0.0.1", "10.200.0.1", "192.0.2.1", "192.0.2.2", "127.0.0.1", "169.254.169.254"];
    let more = ["::ffff:10.0.0.1", "2001:db8::1", "2001:db8::2", "fd00::1", "::1", "64:ff9b::a00:1"];
    let address = select([addresses.as_slice(), more.as_slice()].concat());
    let paths =
        ["/", "/p", "/p/", "/p/x", "/p/q/r", "/pq", "/p/../q", "/p%2fq", "//p", "/%c3%a9", "", "/%70"];
    (
        0..12_u8,
        host(),
        address,
        select(vec![22_u16, 53, 80, 443, 60]),
        any::<bool>(),
        select(vec!["GET", "HEAD", "POST", "get"]),
        select(paths.to_vec()),
    )
        .prop_map(|(kind, host, address, port, https, method, path)| Asked {
            kind,
            name: Name::parse(&host).unwrap(),
            address: address.parse().unwrap(),
            port,
            https,
            method,
            path,
        })
}

/// The meaning of rule texts, written again from the documentation over texts and label lists.
mod reference {
    use super::*;

    pub(super) fn is_allowed(allow: &[String], deny: &[String], request: &Request<'_>) -> bool {
        let allows = |rule: &String| speaks(rule, request, false);
        !deny.iter().any(|rule| speaks(rule, request, true))
            && allow.iter().any(allows)
            && is_public(allow, request)
    }

    /// No random rule has `allow-private`, so only address rules open private addresses.
    fn is_public(allow: &[String], request: &Request<'_>) -> bool {
        let Request::Resolved { address, .. } = request else { return true };
        let text = address.to_canonical().to_string();
        let private = ["10.", "127.", "169.254.", "fd", "64:ff9b::a", "::1"]
            .iter()
            .any(|front| text.starts_with(front));
        let this_host = text == "127.0.0.1" || text == "::1";
        !private
            || (!this_host
                && allow.iter().any(|rule| range_of(rule).is_some_and(|range| holds(range, *address))))
    }

    fn speaks(rule: &str, request: &Request<'_>, deny: bool) -> bool {
        if let Some(range) = range_of(rule) {
            return request.address().is_some_and(|address| {
                holds(range, address) && address_ports(&rule[range.len()..], address, request, deny)
            });
        }
        let Some(name) = request.name() else { return false };
        let (methods, rest) = rule.split_once(' ').unwrap_or(("", rule));
        if let Some((scheme, rest)) = rest.split_once("://") {
            let (authority, path) = rest.split_at(rest.find('/').unwrap());
            let (host, port) =
                authority.split_once(':').unwrap_or((authority, if scheme == "http" { "80" } else { "443" }));
            return is_like(host, name) && url(methods, scheme, port.parse().unwrap(), path, request, deny);
        }
        if let Some(host) = rest.strip_prefix("dns:") {
            return is_like(host, name)
                && matches!(request, Request::Resolve { .. } | Request::Resolved { .. });
        }
        let (host, ports) = rest.split_once(':').map_or((rest, None), |(host, ports)| (host, Some(ports)));
        if !is_like(host, name) {
            return false;
        }
        match (ports, request) {
            (None, _) if deny => true,
            (_, Request::Resolve { .. } | Request::Resolved { .. }) => !deny,
            (None, Request::Tls { port, .. }) => *port == 443,
            (None, Request::Http { scheme: Scheme::Https, port, .. }) => *port == 443,
            (None, Request::Http { scheme: Scheme::Http, port, .. }) => *port == 80,
            (None, _) => false,
            (Some(ports), Request::Udp { port, .. }) => in_ports(ports, *port, true),
            (
                Some(ports),
                Request::Tls { port, .. } | Request::Http { port, .. } | Request::Tcp { port, .. },
            ) => in_ports(ports, *port, false),
            _ => false,
        }
    }

    fn url(methods: &str, scheme: &str, port: u16, path: &str, request: &Request<'_>, deny: bool) -> bool {
        match request {
            Request::Resolve { .. } | Request::Resolved { .. } => !deny,
            Request::Tls { port: asked, .. } => {
                scheme == "https" && port == *asked && (!deny || (path == "/" && methods.is_empty()))
            }
            Request::Http { scheme: asked, port: asked_port, method, path: asked_path, .. } => {
                let fold = |text: &str| if deny { text.to_uppercase() } else { text.to_owned() };
                let method = methods.is_empty() || methods.split(',').any(|one| fold(one) == fold(method));
                asked.to_string() == scheme && port == *asked_port && method && below(path, asked_path, deny)
            }
            _ => false,
        }
    }

    /// The odd paths of [`asked`] by name; the others in their normal spelling.
    fn below(prefix: &str, path: &str, deny: bool) -> bool {
        let path = match path {
            "/p/../q" | "/p%2fq" | "//p" => return prefix == "/" || deny,
            "/%c3%a9" => "/%C3%A9",
            "" => "/",
            "/%70" => "/p",
            other => other,
        };
        let slash = if prefix.ends_with('/') { "" } else { "/" };
        path == prefix || path.starts_with(&format!("{prefix}{slash}"))
    }

    fn is_like(pattern: &str, name: &Name) -> bool {
        let (front, base) = match pattern.rsplit_once("*.") {
            Some((front, base)) => (front.len() + 1, base),
            None => (0, pattern),
        };
        let (base, name): (Vec<&str>, Vec<&str>) = (base.split('.').collect(), name.labels().collect());
        let more = name.len().checked_sub(base.len()).filter(|&more| name[more..] == base);
        match front {
            0 => more == Some(0),
            1 => more == Some(1),
            _ => more.is_some_and(|more| more > 0),
        }
    }

    /// The range in front of an address rule's ports.
    fn range_of(rule: &str) -> Option<&str> {
        if rule.starts_with('[') {
            return rule.find(']').map(|end| &rule[..=end]);
        }
        let range = rule.split(':').next()?;
        range.chars().all(|character| character.is_ascii_digit() || "./".contains(character)).then_some(range)
    }

    fn holds(range: &str, address: IpAddr) -> bool {
        let range = range.trim_matches(['[', ']']);
        let net = range.parse::<ipnet::IpNet>().or_else(|_| range.parse::<IpAddr>().map(ipnet::IpNet::from));
        net.is_ok_and(|net| net.contains(&address.to_canonical()))
    }

    fn address_ports(ports: &str, address: IpAddr, request: &Request<'_>, deny: bool) -> bool {
        let Some(ports) = ports.strip_prefix(':') else { return true };
        let text = address.to_canonical().to_string();
        if !deny && (text == "127.0.0.1" || text == "::1") {
            return false;
        }
        match request {
            Request::DnsServer { server } => {
                in_ports(ports, server.port(), true) || in_ports(ports, server.port(), false)
            }
            Request::TcpAddress { destination } => {
                in_ports(ports, destination.port(), false) && (deny || destination.port() != 53)
            }
            Request::UdpAddress { destination } => {
                in_ports(ports, destination.port(), true) && (deny || destination.port() != 53)
            }
            _ => false,
        }
    }

    fn in_ports(ports: &str, port: u16, udp: bool) -> bool {
        let (range, is_udp) = ports.strip_suffix("/udp").map_or((ports, false), |range| (range, true));
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
            None if range == "*" => (1, u16::MAX),
            None => (range.parse().unwrap(), range.parse().unwrap()),
        };
        is_udp == udp && (first..=last).contains(&port)
    }
}

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

    /// The reason of a denial without a rule is one that the kind of request can have.
    #[test]
    fn reasons_fit_requests(allow in prop::collection::vec(rule(), 0..8), asked in asked()) {
        let policy = policy(&as_strs(&allow), &[]);
        if let Verdict::Deny(denial) = policy.judge(&asked.request()) {
            let fits = match asked.request() {
                Request::DnsServer { .. } => denial.reason == Reason::DnsServerNotAllowed,
                Request::TcpAddress { .. } | Request::UdpAddress { .. } => denial.reason == Reason::IpNotAllowed,
                Request::Resolved { .. } => matches!(denial.reason, Reason::NotAllowed | Reason::PrivateAddress),
                Request::Http { .. } => {
                    matches!(denial.reason, Reason::NotAllowed | Reason::PathNotAllowed | Reason::MethodNotAllowed)
                }
                _ => denial.reason == Reason::NotAllowed,
            };
            prop_assert!(fits, "{}: {}", asked.request(), denial.reason);
        }
    }
}

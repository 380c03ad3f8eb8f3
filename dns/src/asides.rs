//! Questions that honest programs ask by themselves beside the one they mean: libc tries an allowed name with each
//! domain of the search list, and a short name with the others than that of the allowed host, Java and others ask for
//! the machine's own name, apt for the services of an allowed host (RFC 2782). Such a name is not asked upstream, as no
//! rule allows it, and does not exist; but that is no denial to tell anybody of. Pure.

use policy::Name;

/// Services whose clients go on with the host itself where there is no record.
const SERVICES: [&str; 2] = ["_http._tcp.", "_https._tcp."];

/// What the machine's own configuration says.
#[derive(Debug, Default)]
pub(crate) struct Asides {
    /// The machine's name, and the same within its domain.
    own: Vec<Name>,
    /// Domains that libc appends (resolv.conf(5)).
    search: Vec<String>,
}

impl Asides {
    /// From the machine's name and its resolv.conf.
    pub(crate) fn new(host_name: &str, resolv_conf: &str) -> Asides {
        let host_name = host_name.trim().to_ascii_lowercase();
        let mut lists = resolv_conf.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            matches!(words.next(), Some("search" | "domain")).then_some(words)
        });
        // The last line counts. Without any it is the domain of the machine's name.
        let mut search: Vec<String> = match lists.next_back() {
            Some(words) => words.map(|word| word.trim_end_matches('.').to_ascii_lowercase()).collect(),
            None => host_name.split_once('.').map(|(_, domain)| domain.to_owned()).into_iter().collect(),
        };
        search.retain(|domain| !domain.is_empty());
        let within = search.iter().map(|domain| format!("{host_name}.{domain}"));
        let own = std::iter::once(host_name.clone()).chain(within);
        Asides { own: own.filter_map(|name| Name::parse(&name).ok()).collect(), search }
    }

    /// What the question is if it is one of these. `allowed` says which hosts are, `listed` which of them by themselves:
    /// under a wildcard any name would be a short one of an allowed host.
    pub(crate) fn of(
        &self,
        name: &Name,
        allowed: impl Fn(&Name) -> bool,
        listed: impl Fn(&Name) -> bool,
    ) -> Option<&'static str> {
        if self.own.contains(name) {
            return Some("the machine's own name");
        }
        let without = |domain: &String| name.as_str().strip_suffix(domain.as_str())?.strip_suffix('.');
        let is_allowed = |written: &str| Name::parse(written).is_ok_and(|meant| allowed(&meant));
        let is_short = |written: &str| {
            let mut meant = self.search.iter().map(|domain| format!("{written}.{domain}"));
            meant.any(|meant| Name::parse(&meant).is_ok_and(|meant| listed(&meant)))
        };
        let is_aside =
            self.search.iter().filter_map(without).any(|written| is_allowed(written) || is_short(written));
        (is_aside || is_short(name.as_str())).then_some("by the search list")
    }
}

/// The host whose service a name that is no host's asks for, escaped as in a question.
pub(crate) fn service_host(name: &str) -> Option<Name> {
    let name = name.to_ascii_lowercase();
    SERVICES.iter().find_map(|service| Name::parse(name.strip_prefix(service)?).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(asides: &Asides, name: &str) -> Option<&'static str> {
        let allowed = |name: &Name| name.as_str() == "pkg.example";
        asides.of(&Name::parse(name).unwrap(), allowed, allowed)
    }

    #[test]
    fn search_lists() {
        let asides =
            Asides::new("vm\n", "nameserver 192.0.2.1\nsearch old.example\nsearch Corp.example. example\n");
        for name in ["pkg.example.corp.example", "pkg.example.example"] {
            assert_eq!(of(&asides, name), Some("by the search list"), "{name}");
        }
        for name in [
            "secret.corp.example",
            "corp.example",
            "xpkg.example.corp.example",
            "a.pkg.example.corp.example",
            "pkg.example.old.example",
            "pkg.examplecorp.example",
        ] {
            assert_eq!(of(&asides, name), None, "{name}");
        }
        assert_eq!(of(&Asides::new("vm", "search corp.example"), "pkg.example"), None);
        let short = Asides::new("vm", "search lan.example example");
        for name in ["pkg.lan.example", "pkg"] {
            assert_eq!(of(&short, name), Some("by the search list"), "{name}");
        }
        for name in ["pkg.other.example", "secret.lan.example", "secret", "lan.example"] {
            assert_eq!(of(&short, name), None, "{name}");
        }
        assert_eq!(
            of(&Asides::new("vm.corp.example", ""), "pkg.example.corp.example"),
            Some("by the search list")
        );
        assert_eq!(of(&Asides::new("vm", "search ."), "pkg.example.vm"), None);
    }

    #[test]
    fn own_names() {
        let asides = Asides::new("VM", "search corp.example");
        for name in ["vm", "vm.corp.example"] {
            assert_eq!(of(&asides, name), Some("the machine's own name"), "{name}");
        }
        for name in ["vm2", "a.vm", "vm.example", "corp.example"] {
            assert_eq!(of(&asides, name), None, "{name}");
        }
        assert_eq!(of(&Asides::new("", ""), "vm"), None);
    }

    #[test]
    fn services() {
        assert_eq!(service_host("_HTTP._tcp.pkg.example").unwrap().as_str(), "pkg.example");
        for name in [
            "_secret._tcp.pkg.example",
            "x._http._tcp.pkg.example",
            "_http._tcp.",
            "pkg.example",
            "_http._tcp._x.example",
        ] {
            assert!(service_host(name).is_none(), "{name}");
        }
    }
}

//! Which installed packages a guest with the host's programs is made of. Pure; `host` asks dpkg.

use std::collections::{BTreeMap, BTreeSet};

/// What the suite's tests run in jails and around them, besides the C library.
pub(crate) const WANTED: [&str; 22] = [
    "base-files",
    "bash",
    "bind9-dnsutils",
    "ca-certificates",
    "coreutils",
    "curl",
    "dash",
    "diffutils",
    "findutils",
    "grep",
    "iproute2",
    "iputils-ping",
    "libc-bin",
    "mawk",
    "netbase",
    "netcat-openbsd",
    "nftables",
    "procps",
    "python3",
    "sed",
    "util-linux",
    "wget",
];

/// What `dpkg-query` is asked for, one line a package.
pub(crate) const FORMAT: &str =
    "${db:Status-Status}|${binary:Package}|${Provides}|${Pre-Depends}, ${Depends}\n";

/// Parts of packages that no program needs to run.
const NEEDLESS: [&str; 6] = [
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/locale/",
    "/usr/share/info/",
    "/usr/share/i18n/",
    "/usr/share/lintian/",
];

/// The installed packages among these, and whatever they depend on, as dpkg calls them. All alternatives of a
/// dependency count.
pub(crate) fn with_dependencies(listing: &str, wanted: &[&str]) -> BTreeSet<String> {
    let mut installed: BTreeMap<&str, Installed<'_>> = BTreeMap::new();
    let mut providers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in listing.lines() {
        // The last field has alternatives, which the same character separates.
        let fields: Vec<&str> = line.splitn(4, '|').collect();
        let ["installed", name, provides, needs] = fields[..] else { continue };
        let Some(plain) = names(name).next() else { continue };
        // Of several architectures the first one is the machine's, or as good.
        installed.entry(plain).or_insert(Installed { name, needs });
        for provided in names(provides) {
            providers.entry(provided).or_default().push(plain);
        }
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = wanted.to_vec();
    while let Some(plain) = open.pop() {
        match installed.get(plain) {
            Some(package) => {
                if found.insert(package.name.to_owned()) {
                    open.extend(names(package.needs));
                }
            }
            None => open.extend(providers.remove(plain).into_iter().flatten()),
        }
    }
    found
}

struct Installed<'a> {
    name: &'a str,
    needs: &'a str,
}

/// Whether a guest needs this file of a package.
pub(crate) fn is_needed(path: &str) -> bool {
    !NEEDLESS.iter().any(|needless| path.starts_with(needless))
}

/// `a:any (>= 1), b | c` names a, b and c.
fn names(relations: &str) -> impl Iterator<Item = &str> {
    relations
        .split([',', '|'])
        .filter_map(|relation| relation.split_whitespace().next())
        .filter_map(|name| name.split(':').next())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "installed|curl||, libc6 (>= 2.34), libcurl4 (= 7)\n\
                           installed|libcurl4||, libc6, libssl3 | libtls\n\
                           installed|libc6:amd64||\n\
                           installed|libc6:i386||\n\
                           installed|libtls26|libtls (= 26)|libc6, curl:any\n\
                           config-files|libssl3||, gone\n\
                           installed|apart||, libc6\n";

    #[test]
    fn dependencies_come_along() {
        let found = with_dependencies(LISTING, &["curl", "absent"]);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["curl", "libc6:amd64", "libcurl4", "libtls26"]);
    }

    #[test]
    fn manuals_stay_behind() {
        assert!(is_needed("/usr/bin/curl") && !is_needed("/usr/share/man/man1/curl.1.gz"));
    }
}

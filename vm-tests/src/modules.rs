//! The order in which modules are loaded. Pure; `guest` reads the files.

use std::collections::{BTreeMap, BTreeSet};

/// A kernel's modules, from its `modules.dep` (modules.dep(5)).
#[derive(Debug)]
pub(crate) struct Modules<'a> {
    needs: BTreeMap<&'a str, Vec<&'a str>>,
    paths: BTreeMap<String, &'a str>,
    builtin: BTreeSet<String>,
}

/// The kernel has no such module.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel package has no module {0}")]
pub(crate) struct NoModule(String);

impl<'a> Modules<'a> {
    /// `builtin` is the content of `modules.builtin`.
    pub(crate) fn parse(dependencies: &'a str, builtin: &str) -> Self {
        let needs: BTreeMap<&str, Vec<&str>> = dependencies
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(path, needs)| (path, needs.split_whitespace().collect()))
            .collect();
        let paths = needs.keys().map(|path| (name(path), *path)).collect();
        Self { needs, paths, builtin: builtin.lines().map(name).collect() }
    }

    /// The files to load for these modules, each after all that it needs.
    pub(crate) fn order(&self, wanted: &[&str]) -> Result<Vec<&'a str>, NoModule> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        for &wanted in wanted {
            match self.paths.get(&name(wanted)) {
                Some(path) => self.add(path, &mut order, &mut seen),
                None if self.builtin.contains(&name(wanted)) => {}
                None => return Err(NoModule(wanted.to_owned())),
            }
        }
        Ok(order)
    }

    fn add(&self, path: &'a str, order: &mut Vec<&'a str>, seen: &mut BTreeSet<&'a str>) {
        if !seen.insert(path) {
            return;
        }
        // The last one named is needed by those before it.
        for needed in self.needs.get(path).into_iter().flatten().rev() {
            self.add(needed, order, seen);
        }
        order.push(path);
    }
}

/// `kernel/net/nft-x.ko.xz` is the module `nft_x`.
fn name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split(".ko").next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = "kernel/net/nft_tproxy.ko.xz: kernel/net/nf_tables.ko.xz kernel/lib/libcrc32c.ko.xz\n\
                                kernel/net/nf_tables.ko.xz: kernel/lib/libcrc32c.ko.xz\n\
                                kernel/lib/libcrc32c.ko.xz:\n\
                                kernel/drivers/net/veth.ko:\n\
                                kernel/fs/nls/nls-ascii.ko:\n";
    const BUILTIN: &str = "kernel/fs/ext4/ext4.ko\n";

    #[test]
    fn what_is_needed_comes_first_and_once() {
        let modules = Modules::parse(DEPENDENCIES, BUILTIN);
        let order = modules.order(&["nf_tables", "veth", "nft_tproxy"]).unwrap();
        assert_eq!(
            order,
            [
                "kernel/lib/libcrc32c.ko.xz",
                "kernel/net/nf_tables.ko.xz",
                "kernel/drivers/net/veth.ko",
                "kernel/net/nft_tproxy.ko.xz"
            ]
        );
    }

    #[test]
    fn hyphens_are_underscores_and_what_is_built_in_needs_no_file() {
        let modules = Modules::parse(DEPENDENCIES, BUILTIN);
        assert_eq!(modules.order(&["nls_ascii", "ext4"]).unwrap(), ["kernel/fs/nls/nls-ascii.ko"]);
        assert_eq!(modules.order(&["absent"]), Err(NoModule("absent".to_owned())));
    }

    #[test]
    fn a_circle_ends() {
        let modules = Modules::parse("a.ko: b.ko\nb.ko: a.ko\n", "");
        assert!(modules.order(&["a"]).is_ok_and(|order| order.len() == 2));
    }
}

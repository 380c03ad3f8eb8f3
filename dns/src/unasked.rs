//! Names of the hosts file, which the job's own C library reads: they count for their addresses without a question.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use policy::Name;

/// Names of one address that count; files against advertising give one address a hundred thousand.
const MOST: usize = 64;

/// What has been judged of the file, address by address. It holds no address that the file does not have.
#[derive(Debug, Default)]
pub(crate) struct Unasked(Mutex<HashMap<IpAddr, Arc<[Name]>>>);

impl Unasked {
    /// Those of the file's names for an address that count. `judge` is asked once about each.
    pub(crate) fn names(&self, address: IpAddr, all: &[Name], judge: impl Fn(&Name) -> bool) -> Arc<[Name]> {
        if all.is_empty() {
            return Arc::default();
        }
        let mut judged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let names = judged.entry(address).or_insert_with(|| {
            let mut names: Vec<Name> = Vec::new();
            for name in all {
                if names.len() < MOST && !names.contains(name) && judge(name) {
                    names.push(name.clone());
                }
            }
            names.into()
        });
        names.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn each_is_judged_once_and_few_count() {
        let unasked = Unasked::default();
        let all: Vec<Name> =
            (0..1000).map(|n| Name::parse(&format!("n{n}.example")).expect("a name")).collect();
        let asked = Cell::new(0);
        let judge = |name: &Name| {
            asked.set(asked.get() + 1);
            name.as_str().ends_with("0.example")
        };
        let address = Ipv4Addr::new(192, 0, 2, 1).into();
        let names = unasked.names(address, &all, judge);
        assert_eq!((names.len(), names[1].as_str()), (MOST, "n10.example"));
        let before = asked.get();
        assert_eq!(unasked.names(address, &all, judge), names);
        assert_eq!(asked.get(), before);
        assert!(unasked.names(Ipv4Addr::LOCALHOST.into(), &[], judge).is_empty());
    }
}

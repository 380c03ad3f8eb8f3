//! The list of tests: a test that takes a [`Mode`] is run, and named, once as root and once rootless.

use std::collections::BTreeSet;

use libtest_mimic::Trial;

/// Who runs `cijail-net`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With every capability, as `sudo cijail-net` or a container's root has them.
    Root,
    /// As a user without any capability.
    Rootless,
}

impl Mode {
    pub(crate) const BOTH: [Self; 2] = [Self::Root, Self::Rootless];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Rootless => "rootless",
        }
    }
}

#[derive(Default)]
pub(crate) struct Suite {
    trials: Vec<Trial>,
}

impl Suite {
    /// `path` starts with the name of the crate, which every test shares and none shows.
    pub(crate) fn both(&mut self, path: &str, test: fn(Mode)) {
        for mode in Mode::BOTH {
            let name = format!("{}::{}", without_crate(path), mode.name());
            self.trials.push(Trial::test(name, move || {
                test(mode);
                Ok(())
            }));
        }
    }

    pub(crate) fn once(&mut self, path: &str, test: impl FnOnce() + Send + 'static) {
        self.trials.push(Trial::test(without_crate(path), move || {
            test();
            Ok(())
        }));
    }

    /// The names so far, without who runs them.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        let bare = |name: &str| match name.rsplit_once("::") {
            Some((test, mode)) if Mode::BOTH.iter().any(|known| known.name() == mode) => test.to_owned(),
            _ => name.to_owned(),
        };
        self.trials.iter().map(|trial| bare(trial.name())).collect()
    }

    pub(crate) fn into_trials(self) -> Vec<Trial> {
        self.trials
    }
}

fn without_crate(path: &str) -> &str {
    path.split_once("::").map_or(path, |(_, rest)| rest)
}

/// Adds functions of the calling module that take a [`Mode`].
macro_rules! both {
    ($suite:expr, $($test:ident),+ $(,)?) => {
        $( $suite.both(concat!(module_path!(), "::", stringify!($test)), $test); )+
    };
}

/// Adds functions of the calling module that take nothing.
macro_rules! once {
    ($suite:expr, $($test:ident),+ $(,)?) => {
        $( $suite.once(concat!(module_path!(), "::", stringify!($test)), $test); )+
    };
}

pub(crate) use {both, once};

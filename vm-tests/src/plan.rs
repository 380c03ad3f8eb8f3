//! Which machines are started and what runs on them. Pure.

use crate::protocol::User::{self, Root, Unprivileged};

/// Where the black-box tests run.
pub(crate) const SUITE: &str = "suite";
/// Tells whether an accelerator works.
pub(crate) const PROBE: &str = "probe";

const BOTH: &[User] = &[Root, Unprivileged];

/// The black-box tests that run unless others are asked for: quick ones that lean on the kernel most.
const SUITE_BY_DEFAULT: [&str; 2] = ["escapes", "leaks::killed"];
/// All of them but those that are about this machine's other programs, and those that are about sheer numbers.
const WHOLE_SUITE: [&str; 13] = [
    "self_test::",
    "dns::",
    "tls::",
    "http::",
    "opaque::",
    "udp::",
    "exit::",
    "bad_input::",
    "modes::",
    "escapes::",
    "leaks::one",
    "leaks::killed",
    "leaks::failed",
];

/// One start of the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot {
    pub(crate) name: &'static str,
    /// For the kernel's command line.
    pub(crate) kernel: &'static str,
    /// Modules that this machine does not have.
    pub(crate) without: &'static [&'static str],
    /// Whether modules are loaded beforehand.
    pub(crate) preload: bool,
    pub(crate) stories: Vec<(&'static str, User)>,
    /// What the suite's tests have in their names. With them, the guest has the host's programs.
    pub(crate) words: Vec<String>,
}

/// A word on the command line that names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` can be neither a boot, a story, nor part of a test's name")]
pub(crate) struct NoSuchWord(String);

/// What to do for these words: names of boots and stories, `all`, `suite`, and parts of tests' names. Without any,
/// all boots and part of the suite.
pub(crate) fn choose(words: &[String]) -> Result<Vec<Boot>, NoSuchWord> {
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    if words.is_empty() {
        return Ok(boots().into_iter().chain([suite(owned(&SUITE_BY_DEFAULT))]).collect());
    }
    let mut known: Vec<&String> =
        words.iter().filter(|word| ["all", SUITE].contains(&word.as_str())).collect();
    let whole = !known.is_empty();
    let everything = words.iter().any(|word| word == "all");
    let mut chosen = Vec::new();
    for mut boot in boots() {
        let names =
            |word: &&String| *word == boot.name || boot.stories.iter().any(|(story, _)| story == word);
        known.extend(words.iter().filter(names));
        let complete = everything || words.iter().any(|word| word == boot.name);
        boot.stories.retain(|(story, _)| complete || words.iter().any(|word| word == story));
        chosen.extend((!boot.stories.is_empty()).then_some(boot));
    }
    let mut tests = if whole { owned(&WHOLE_SUITE) } else { Vec::new() };
    for word in words.iter().filter(|word| !known.contains(word)) {
        if !is_part_of_name(word) {
            return Err(NoSuchWord(word.clone()));
        }
        tests.push(word.clone());
    }
    chosen.extend((!tests.is_empty()).then(|| suite(tests)));
    Ok(chosen)
}

/// A start that only shows that the kernel comes up.
pub(crate) fn probe() -> Boot {
    Boot { preload: false, ..boot("accelerator", "", &[(PROBE, &[Root])]) }
}

/// Every start but the suite's.
pub(crate) fn boots() -> Vec<Boot> {
    let missing = |name, without, stories| Boot { without, ..boot(name, "", stories) };
    vec![
        boot(
            "plain",
            "",
            &[
                ("doctor", BOTH),
                ("demo", BOTH),
                ("fetch", BOTH),
                ("exit-codes", BOTH),
                ("killed-gateway", BOTH),
                ("kernel", BOTH),
                ("disk", BOTH),
                ("devices", BOTH),
                ("ipv6-only", BOTH),
            ],
        ),
        Boot { preload: false, ..boot("autoload", "", &[("autoload", &[Unprivileged]), ("works", &[Root])]) },
        boot(
            "no-user-namespaces",
            "sysctl.user.max_user_namespaces=0",
            &[("no-user-namespaces", &[Unprivileged]), ("works", &[Root])],
        ),
        boot(
            "not-for-users",
            "sysctl.kernel.unprivileged_userns_clone=0",
            &[("not-for-users", &[Unprivileged]), ("works", &[Root])],
        ),
        boot("no-net-namespaces", "sysctl.user.max_net_namespaces=0", &[("no-net-namespaces", BOTH)]),
        boot("no-ipv6", "ipv6.disable=1", &[("no-ipv6", BOTH)]),
        missing("no-tproxy", &["nft_tproxy"], &[("no-tproxy", BOTH)]),
        missing("no-nftables", &["nf_tables"], &[("no-nftables", BOTH)]),
        missing("no-veth", &["veth"], &[("no-veth", BOTH)]),
        missing("no-log", &["nft_log", "nfnetlink_log"], &[("no-log", BOTH)]),
    ]
}

fn boot(name: &'static str, kernel: &'static str, stories: &[(&'static str, &'static [User])]) -> Boot {
    let stories =
        stories.iter().flat_map(|(story, users)| users.iter().map(|user| (*story, *user))).collect();
    Boot { name, kernel, without: &[], preload: true, stories, words: Vec::new() }
}

/// The tests change to an unprivileged user by themselves.
fn suite(words: Vec<String>) -> Boot {
    Boot { words, ..boot(SUITE, "", &[(SUITE, &[Root])]) }
}

fn is_part_of_name(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        choose(&words).unwrap().iter().map(|boot| boot.name).collect()
    }

    #[test]
    fn words_choose() {
        assert_eq!(names(&["no-tproxy", "dns"]), ["no-tproxy", "suite"]);
        assert_eq!(names(&["works"]), ["autoload", "no-user-namespaces", "not-for-users"]);
        assert_eq!(names(&["all"]), names(&[]));
        assert_eq!(names(&["devices"]), ["plain"]);
        let chosen = choose(&["tls::".to_owned(), "dns".to_owned()]).unwrap();
        assert_eq!(chosen.len(), 1);
        assert_eq!(chosen[0].words, ["tls::", "dns"]);
        assert_eq!(choose(&["a b".to_owned()]), Err(NoSuchWord("a b".to_owned())));
    }

    #[test]
    fn a_story_alone_leaves_the_others_out() {
        let chosen = choose(&["demo".to_owned()]).unwrap();
        assert_eq!(chosen[0].stories, [("demo", Root), ("demo", Unprivileged)]);
        let chosen = choose(&["demo".to_owned(), "disk".to_owned()]).unwrap();
        assert_eq!((chosen.len(), chosen[0].stories.len()), (1, 4));
    }

    #[test]
    fn every_story_is_written() {
        let all = boots().into_iter().chain([probe(), suite(Vec::new())]);
        for (story, _) in all.flat_map(|boot| boot.stories) {
            let path = format!("{}/guest/stories/{story}.sh", env!("CARGO_MANIFEST_DIR"));
            assert!(std::path::Path::new(&path).is_file(), "{path}");
        }
    }
}

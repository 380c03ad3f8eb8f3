//! A command line as it may stand in a log: cut, and without what looks like a secret. Pure.
//!
//! Logs of a build are often public. What a secret looks like is a guess: a word after a name that says so,
//! the user information of a URL, tokens with well-known beginnings. Queries of URLs are left out as everywhere
//! in the log.

use std::ffi::CString;

/// Characters of all arguments that are shown.
const SHOWN: usize = 200;
/// Octets that are looked at.
pub(in crate::job) const READ: usize = 4096;

const MASK: &str = "***";
/// What names of secrets have in them.
const NAMES: &[&str] =
    &["token", "secret", "passw", "auth", "credential", "cookie", "apikey", "api-key", "api_key", "private"];
/// Options of curl and others that take `user:password`.
const USERS: &[&str] = &["-u", "-U", "--user", "--proxy-user"];
/// How well-known tokens begin.
const BEGINNINGS: &[&str] =
    &["ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "npm_", "pypi-", "xox", "AKIA", "ASIA", "sk-", "eyJ"];

/// A command's arguments, as those of a program that runs are shown.
pub fn shown_arguments(argv: &[CString]) -> Vec<String> {
    shown(&argv.iter().flat_map(|argument| argument.as_bytes_with_nul()).copied().collect::<Vec<u8>>())
}

/// The arguments in `/proc/PID/cmdline` (proc_pid_cmdline(5)).
pub(in crate::job) fn shown(cmdline: &[u8]) -> Vec<String> {
    let read = &cmdline[..cmdline.len().min(READ)];
    let whole = read.strip_suffix(b"\0").unwrap_or(read);
    if whole.is_empty() {
        return Vec::new();
    }
    let mut left = SHOWN;
    let mut before = String::new();
    let mut shown = Vec::new();
    for argument in whole.split(|&byte| byte == 0) {
        let argument = String::from_utf8_lossy(argument);
        let masked = if hides(&before, &argument) { MASK.to_owned() } else { without_secrets(&argument) };
        before = argument.into_owned();
        let length = masked.chars().count();
        if length > left {
            shown.push(masked.chars().take(left).chain("...".chars()).collect());
            break;
        }
        // An argument counts at least for itself: there may be many empty ones.
        left = left.saturating_sub(length + 1);
        shown.push(masked);
    }
    shown
}

/// Whether a word is a secret for the option before it: `--password`, `-u`.
fn hides(option: &str, word: &str) -> bool {
    let is_user = USERS.contains(&option) && word.contains(':');
    is_user || (option.starts_with('-') && !option.contains(['=', ' ']) && is_secret_name(option))
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
}

/// An argument may be a script, so each of its words is looked at.
fn without_secrets(argument: &str) -> String {
    let is_between = |character: char| character.is_whitespace() || matches!(character, '\'' | '"');
    let mut before = "";
    let mut masked = String::new();
    for piece in argument.split_inclusive(is_between) {
        let word = piece.trim_end_matches(is_between);
        if word.is_empty() {
            masked.push_str(piece);
            continue;
        }
        // `Authorization: Bearer WORD`
        let is_scheme = ["bearer", "basic", "token"].contains(&word.to_ascii_lowercase().as_str());
        let is_value = hides(before, word) || before.strip_suffix(':').is_some_and(is_secret_name);
        match (is_value, is_scheme) {
            (true, true) => masked.push_str(word),
            (true, false) => masked.push_str(MASK),
            (false, _) => masked.push_str(&mask_word(word)),
        }
        if !(is_value && is_scheme) {
            before = word;
        }
        masked.push_str(&piece[word.len()..]);
    }
    masked
}

fn mask_word(word: &str) -> String {
    if let Some((name, value)) = word.split_once('=')
        && !value.is_empty()
        && is_secret_name(name)
        && !name.contains("://")
    {
        return format!("{name}={MASK}");
    }
    if BEGINNINGS.iter().any(|beginning| word.starts_with(beginning) && word.len() >= beginning.len() + 12) {
        return MASK.to_owned();
    }
    mask_url(word)
}

/// Without user information and query (RFC 3986).
fn mask_url(word: &str) -> String {
    let Some((scheme, rest)) = word.split_once("://") else { return word.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let host = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let path = match path.split_once('?') {
        Some((path, _)) => format!("{path}?{MASK}"),
        None => path.to_owned(),
    };
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Vec<String> {
        shown(line.replace('|', "\0").as_bytes())
    }

    #[test]
    fn arguments_stay_apart() {
        assert_eq!(of("curl|-s|http://a.test/x y|"), ["curl", "-s", "http://a.test/x y"]);
        assert_eq!(of("sh||-c|"), ["sh", "", "-c"]);
        assert_eq!(of(""), [""; 0]);
        assert_eq!(of("renamed: no end"), ["renamed: no end"]);
    }

    #[test]
    fn secrets_are_masked() {
        for (line, expected) in [
            ("curl|-u|me:pw|http://a.test|", "curl|-u|***|http://a.test"),
            ("curl|-H|Authorization: Bearer abc|x|", "curl|-H|Authorization: Bearer ***|x"),
            ("npm|--password|pw|x|", "npm|--password|***|x"),
            ("npm|--//r.test/:_authToken=abc|x|", "npm|--//r.test/:_authToken=***|x"),
            ("git|clone|https://me:pw@git.test/a?t=1|", "git|clone|https://***@git.test/a?***"),
            ("x|ghp_0123456789abcdef|", "x|***"),
            (
                "sh|-c|curl -H 'Authorization: Bearer abc' a.test|",
                "sh|-c|curl -H 'Authorization: Bearer ***' a.test",
            ),
            ("python|-u|script.py|", "python|-u|script.py"),
            ("sh|-c|TOKEN=abc ./run --api-key 'k' b|", "sh|-c|TOKEN=*** ./run --api-key '***' b"),
            ("sh|-c|echo Cookie: abc d|", "sh|-c|echo Cookie: *** d"),
            ("cargo|build|--release|", "cargo|build|--release"),
        ] {
            let shown = of(line).join("|");
            for word in ["abc", "pw", "0123456789"] {
                assert!(!shown.contains(word), "{shown}");
            }
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn long_lines_are_cut() {
        let total = |shown: &[String]| shown.iter().map(|text| text.chars().count()).sum::<usize>();
        let one = shown(&vec![b'x'; 1 << 20]);
        assert_eq!((one.len(), total(&one)), (1, SHOWN + 3));
        let many = shown(&b"a\0".repeat(1 << 16));
        assert!(total(&many) <= SHOWN + 3 && many.len() <= SHOWN, "{many:?}");
        let none = shown(&[0; 1 << 16]);
        assert!(none.len() <= READ);
    }

    #[test]
    fn bytes_that_are_no_text_stay_bytes() {
        assert_eq!(shown(b"\xff\x1b[2J\n\0"), ["\u{fffd}\u{1b}[2J\n"]);
    }
}

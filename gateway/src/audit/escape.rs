//! Untrusted text made harmless for terminals, logs and shells. Pure.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of untrusted text that are shown.
const MAX_SHOWN: usize = 256;

/// The text with everything but printable ASCII escaped, cut after 256 characters. A `#` after another is
/// escaped too: CI servers obey `##[error]`, `##vso[` and `##teamcity[` wherever they stand in a line.
pub fn printable(text: &str) -> Cow<'_, str> {
    let plain = |character: char| matches!(character, ' '..='~') && character != '\\';
    if text.len() <= MAX_SHOWN && text.chars().all(plain) && !text.contains("##") {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for character in text.chars() {
        if shown.len() >= MAX_SHOWN {
            shown.push_str("...");
            break;
        }
        if !plain(character) {
            // Writing to a String cannot fail, here and below.
            let _ = write!(shown, "{}", character.escape_default());
        } else if character == '#' && shown.ends_with('#') {
            let _ = write!(shown, "{}", character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// Printable text as one word of a POSIX shell's command line, in quotes if it needs them.
pub fn shell_word(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:,@%+=".contains(&byte);
    if !text.is_empty() && text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(shell_quoted(text))
}

/// Printable text as one word of a POSIX shell's command line, always in quotes.
pub fn shell_quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_a_terminal_would_obey() {
        assert_eq!(printable("a.example"), "a.example");
        assert_eq!(printable("a\r\nb\x1b[2Jc\u{202e}\\"), "a\\r\\nb\\u{1b}[2Jc\\u{202e}\\\\");
        let long = printable(&"x".repeat(1 << 20)).into_owned();
        assert_eq!(long.len(), MAX_SHOWN + 3);
    }

    #[test]
    fn escapes_what_a_ci_server_would_obey() {
        assert_eq!(printable("a#b ##[error]###"), "a#b #\\u{23}[error]#\\u{23}#");
        assert!(!printable(&"#".repeat(9)).contains("##"));
    }

    #[test]
    fn a_shell_reads_one_word() {
        assert_eq!(shell_word("evil.example:22"), "evil.example:22");
        assert_eq!(shell_word("[2001:db8::1]:123/udp"), "'[2001:db8::1]:123/udp'");
        assert_eq!(shell_word("GET http://a.test/$(id)'`x`"), "'GET http://a.test/$(id)'\\''`x`'");
        assert_eq!(shell_word(""), "''");
    }
}

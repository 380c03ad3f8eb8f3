//! Untrusted text made harmless for terminals and logs. Pure.

use std::borrow::Cow;
use std::fmt::Write;

/// Characters of untrusted text that are shown.
const MAX_SHOWN: usize = 256;

/// The text with everything but printable ASCII escaped, cut after 256 characters.
pub fn printable(text: &str) -> Cow<'_, str> {
    let plain = |character: char| matches!(character, ' '..='~') && character != '\\';
    if text.len() <= MAX_SHOWN && text.chars().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::new();
    for character in text.chars() {
        if shown.len() >= MAX_SHOWN {
            shown.push_str("...");
            break;
        }
        if plain(character) {
            shown.push(character);
        } else {
            // Writing to a String cannot fail.
            let _ = write!(shown, "{}", character.escape_default());
        }
    }
    Cow::Owned(shown)
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
}

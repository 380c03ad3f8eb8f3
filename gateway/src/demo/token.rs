//! The token that is stolen, and how it is recognised outside. Pure.

use std::collections::HashSet;
use std::fmt::Write;

/// Random octets that a token is made of.
pub(super) const RANDOM: usize = 36;
/// Octets of the token, or of its hexadecimal form, that give it away.
const WINDOW: usize = 12;
/// Characters of the hexadecimal form in one label; below the 63 of RFC 1035 section 2.3.4.
const LABEL: usize = 40;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A token as npm's look. It opens nothing.
#[derive(Debug, Clone)]
pub(super) struct Token(String);

impl Token {
    /// Makes a token of random octets.
    pub(super) fn new(random: [u8; RANDOM]) -> Token {
        let characters = random.map(|octet| char::from(ALPHABET[usize::from(octet) % ALPHABET.len()]));
        Token(format!("npm_{}", characters.iter().collect::<String>()))
    }

    /// A token that somebody else made.
    pub(super) fn from_text(text: String) -> Token {
        Token(text)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The token in labels for the DNS, which keeps neither case nor underscores.
    pub(super) fn labels(&self) -> Vec<String> {
        let hex = self.hex();
        hex.as_bytes().chunks(LABEL).map(|label| String::from_utf8_lossy(label).into_owned()).collect()
    }

    fn hex(&self) -> String {
        self.0.bytes().fold(String::new(), |mut hex, octet| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{octet:02x}");
            hex
        })
    }
}

/// Finds any sizeable piece of a token, in its plain and in its hexadecimal form.
#[derive(Debug)]
pub(super) struct Needle(HashSet<Vec<u8>>);

impl Needle {
    pub(super) fn new(token: &Token) -> Needle {
        let forms = [token.0.to_ascii_lowercase(), token.hex()];
        Needle(forms.iter().flat_map(|form| form.as_bytes().windows(WINDOW).map(<[u8]>::to_vec)).collect())
    }

    /// Whether a piece is there; upper and lower case count the same, as names change theirs on
    /// their way.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        bytes.to_ascii_lowercase().windows(WINDOW).any(|window| self.0.contains(window))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> Token {
        Token::new(std::array::from_fn(|index| index as u8 * 7))
    }

    #[test]
    fn pieces_are_found_in_every_form() {
        let (token, needle) = (token(), Needle::new(&token()));
        assert!(token.as_str().starts_with("npm_") && token.as_str().len() == 40);
        let text = token.as_str().as_bytes();
        assert!(needle.is_in(&[b"POST / ", text, b"\r\n"].concat()));
        assert!(needle.is_in(&text[5..5 + WINDOW]));
        assert!(!needle.is_in(&text[5..4 + WINDOW]));
        for label in token.labels() {
            assert!(label.len() <= 63 && label.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(needle.is_in(format!("\x28{}\x01t", label.to_ascii_uppercase()).as_bytes()));
        }
        assert_eq!(token.labels().concat().len(), 2 * text.len());
    }

    #[test]
    fn nothing_else_is_found() {
        let needle = Needle::new(&token());
        assert!(!needle.is_in(b""));
        assert!(!needle.is_in(b"npm_"));
        assert!(!needle.is_in(&[0; 2000]));
        assert!(!needle.is_in(Token::new([9; RANDOM]).as_str().as_bytes()));
    }
}

//! Host names in the one form that is ever compared.

use std::fmt;
use std::sync::Arc;

/// Octets in a name without its trailing dot (RFC 1035 section 2.3.4, less the root label).
const MAX_NAME: usize = 253;
/// Octets in one label (RFC 1035 section 2.3.4).
const MAX_LABEL: usize = 63;

/// A host name in canonical form: lower-case letter-digit-hyphen labels (RFC 1123 section 2.1)
/// joined by dots, without a trailing dot, at most 253 octets.
///
/// A text whose last label is a number is no `Name`: resolvers read `127.1`, `0x7f.1` and
/// `2130706433` as addresses, so they must not pass as names (WHATWG URL, "ends in a number").
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is not a host name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was there, or only a dot.
    #[error("empty name")]
    Empty,
    /// More than 253 octets.
    #[error("name longer than 253 octets")]
    TooLong,
    /// Two dots in a row, or one in front.
    #[error("empty label in name")]
    EmptyLabel,
    /// A label of more than 63 octets.
    #[error("label longer than 63 octets")]
    LabelTooLong,
    /// A byte that is not a letter, a digit or a hyphen, or a hyphen at a label's edge.
    #[error("name has a character other than letters, digits and inner hyphens")]
    NotLdh,
    /// The last label is a number, so that programs read the text as an address.
    #[error("a name that ends in a number is read as an address")]
    LooksLikeAddress,
    /// UTS 46 found no ASCII form.
    #[error("not a valid internationalised name")]
    Idna,
}

impl Name {
    /// Reads a name as a person writes it: IDNA applies and one trailing dot is accepted.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        if text.is_ascii() {
            return Name::from_ascii(text.as_bytes());
        }
        let ascii = idna::domain_to_ascii(text).map_err(|_| NameError::Idna)?;
        Name::from_ascii(ascii.as_bytes())
    }

    /// Reads a name as it stands in a protocol field (SNI, Host, a DNS question written with
    /// dots): case is folded, one trailing dot is accepted, and no IDNA applies.
    pub fn from_ascii(bytes: &[u8]) -> Result<Name, NameError> {
        let bytes = bytes.strip_suffix(b".").unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(NameError::Empty);
        }
        if bytes.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        for label in bytes.split(|&byte| byte == b'.') {
            check_label(label)?;
        }
        let last = bytes.rsplit(|&byte| byte == b'.').next().unwrap_or(bytes);
        if is_number(last) {
            return Err(NameError::LooksLikeAddress);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NameError::NotLdh)?;
        Ok(Name(text.to_ascii_lowercase().into()))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// The text after the first dot, if there is one.
    pub fn parent(&self) -> Option<&str> {
        self.0.split_once('.').map(|(_, parent)| parent)
    }
}

fn check_label(label: &[u8]) -> Result<(), NameError> {
    if label.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if label.len() > MAX_LABEL {
        return Err(NameError::LabelTooLong);
    }
    let ldh = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !label.iter().all(ldh) || label.starts_with(b"-") || label.ends_with(b"-") {
        return Err(NameError::NotLdh);
    }
    Ok(())
}

fn is_number(label: &[u8]) -> bool {
    let hex = label.strip_prefix(b"0x").or_else(|| label.strip_prefix(b"0X"));
    match hex {
        Some(digits) => digits.iter().all(u8::is_ascii_hexdigit),
        None => label.iter().all(u8::is_ascii_digit),
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_case_and_trailing_dot() {
        assert_eq!(Name::parse("Example.COM.").map(|n| n.to_string()), Ok("example.com".into()));
        assert_eq!(Name::parse("bücher.example").map(|n| n.to_string()), Ok("xn--bcher-kva.example".into()));
    }

    #[test]
    fn refuses_what_is_not_ldh() {
        assert_eq!(Name::parse(""), Err(NameError::Empty));
        assert_eq!(Name::parse("."), Err(NameError::Empty));
        assert_eq!(Name::parse("a..b"), Err(NameError::EmptyLabel));
        assert_eq!(Name::parse("_dmarc.example"), Err(NameError::NotLdh));
        assert_eq!(Name::parse("-a.example"), Err(NameError::NotLdh));
        assert_eq!(Name::from_ascii(b"a\0b.example"), Err(NameError::NotLdh));
        assert_eq!(Name::from_ascii("bücher.example".as_bytes()), Err(NameError::NotLdh));
        assert_eq!(Name::parse(&"a".repeat(64)), Err(NameError::LabelTooLong));
        assert_eq!(Name::parse(&"a.".repeat(127)), Ok(Name(["a"; 127].join(".").into())));
        assert_eq!(Name::parse(&"a.".repeat(128)), Err(NameError::TooLong));
    }

    #[test]
    fn refuses_address_forms() {
        for text in ["127.0.0.1", "127.1", "0x7f.1", "2130706433", "a.0x", "1.2.3.4."] {
            assert_eq!(Name::parse(text), Err(NameError::LooksLikeAddress), "{text}");
        }
        assert!(Name::parse("1.example").is_ok());
    }
}

//! Paths of URL rules and of requests, compared by segments after normalisation (RFC 3986
//! section 6.2.2), without trusting that a server reads an odd path the same way.

use std::fmt;

/// A path of a URL rule in normal form: it starts with `/`, has no dot segment, no empty segment
/// but a last one, and percent-encodes exactly what must be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PathPrefix(Box<str>);

/// Why a text is no path of a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The same path has another, normal spelling.
    #[error("the path is not in normal form: write {0}")]
    NotNormal(String),
    /// Servers disagree about what such a path means, so it cannot be compared.
    #[error(
        "an encoded slash, backslash, dot or control character, or a stray `%`, is read differently by different servers: write the path up to it"
    )]
    Ambiguous,
    /// A `*` as in a glob.
    #[error("a path is a prefix and takes no `*`: write {0}")]
    Star(String),
}

impl PathPrefix {
    /// Reads the path of a rule: `/` and what follows, without a query.
    pub fn parse(text: &str) -> Result<PathPrefix, PathError> {
        if let Some(star) = text.find('*') {
            let end = text[..star].rfind('/').map_or(0, |slash| slash + 1);
            return Err(PathError::Star(text[..end].to_owned()));
        }
        let normal = normalise(text);
        if is_ambiguous(&normal) {
            return Err(PathError::Ambiguous);
        }
        if normal != text {
            return Err(PathError::NotNormal(normal));
        }
        Ok(PathPrefix(normal.into()))
    }

    /// The path as the rule writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `/`: every path of the host, however it is spelt.
    pub fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// Whether the request's path surely lies under this prefix. A path that servers may read in
    /// more than one way lies only under `/`.
    pub fn allows(&self, path: &str) -> bool {
        self.is_root() || (!is_ambiguous(path) && self.is_prefix_of(path))
    }

    /// Whether the request's path may lie under this prefix: as [`PathPrefix::allows`], and any
    /// path that servers may read in more than one way.
    pub fn may_hold(&self, path: &str) -> bool {
        self.is_root() || is_ambiguous(path) || self.is_prefix_of(path)
    }

    /// Whether every path under the other lies under this one.
    pub(crate) fn covers(&self, other: &PathPrefix) -> bool {
        self.allows(&other.0)
    }

    fn is_prefix_of(&self, path: &str) -> bool {
        let mut rest = Normal::new(path);
        if !self.0.bytes().all(|byte| rest.next() == Some(byte)) {
            return false;
        }
        self.0.ends_with('/') || matches!(rest.next(), None | Some(b'/'))
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The normal spelling of a path, for rules and for suggestions: percent-encoding as it has to be, without dot and
/// empty segments.
pub fn normalise(path: &str) -> String {
    let encoded: String = Normal::new(path).map(char::from).collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut is_directory = true;
    for segment in encoded.split('/') {
        is_directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    let slash = if is_directory && !kept.is_empty() { "/" } else { "" };
    format!("/{}{slash}", kept.join("/"))
}

/// Whether servers and proxies are known to read such a path in more than one way: dot or empty
/// segments, encoded separators and dots, double or overlong encoding, control characters, raw
/// bytes that a URI cannot hold.
pub(crate) fn is_ambiguous(path: &str) -> bool {
    if path.is_empty() {
        return false;
    }
    if !path.starts_with('/') || path.starts_with("//") || path.contains("//") {
        return true;
    }
    let odd_raw = |byte: u8| !byte.is_ascii_graphic() || matches!(byte, b'\\' | b'?' | b'#');
    path.bytes().any(odd_raw) || has_odd_escape(path.as_bytes()) || path.split('/').any(is_dot_segment)
}

fn has_odd_escape(path: &[u8]) -> bool {
    let mut previous = 0;
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            previous = 0;
            continue;
        }
        let Some((value, tail)) = hex_pair(rest) else { return true };
        rest = tail;
        let odd = match value {
            b'/' | b'\\' | b'.' | 0..=0x1f | 0x7f => true,
            // `%2561` and `%25%36%31` become `%61` and then `a` where something decodes twice.
            b'%' => decodes_to_hex_pair(rest),
            // Overlong UTF-8 (RFC 3629 section 10) hides dots and slashes.
            0xc0 | 0xc1 | 0xf5..=0xff => true,
            0x80..=0x9f if previous == 0xe0 => true,
            0x80..=0x8f if previous == 0xf0 => true,
            _ => false,
        };
        if odd {
            return true;
        }
        previous = value;
    }
    false
}

/// Whether two hex digits come first, written as they are or encoded.
fn decodes_to_hex_pair(mut path: &[u8]) -> bool {
    (0..2).all(|_| {
        let (byte, rest) = match path {
            [b'%', rest @ ..] => hex_pair(rest).unwrap_or((0, rest)),
            [byte, rest @ ..] => (*byte, rest),
            [] => (0, path),
        };
        path = rest;
        byte.is_ascii_hexdigit()
    })
}

/// `.` and `..`, also with a parameter behind (`..;x`) or a space, which some servers strip first.
/// Encoded dots are odd escapes and need no look here.
fn is_dot_segment(segment: &str) -> bool {
    let end = [";", "%3b", "%3B", "%20"]
        .iter()
        .filter_map(|mark| segment.find(mark))
        .min()
        .unwrap_or(segment.len());
    matches!(&segment[..end], "." | "..")
}

/// The bytes of a path with unreserved characters decoded, what a URI cannot hold encoded, and hex
/// digits in upper case; all ASCII. Nothing is allocated. An empty path is `/` (RFC 9110 section 4.2.3).
struct Normal<'a> {
    rest: &'a [u8],
    /// Hex digits of an escape that stays, still to be given out.
    pending: [Option<u8>; 2],
}

impl<'a> Normal<'a> {
    fn new(path: &'a str) -> Normal<'a> {
        Normal { rest: if path.is_empty() { b"/" } else { path.as_bytes() }, pending: [None; 2] }
    }
}

impl Normal<'_> {
    /// Leaves the hex digits to come and gives the sign before them.
    fn escape(&mut self, byte: u8) -> u8 {
        let digit = |value: u8| Some(if value < 10 { b'0' + value } else { b'A' + value - 10 });
        self.pending = [digit(byte >> 4), digit(byte & 0xf)];
        b'%'
    }
}

impl Iterator for Normal<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(digit) = self.pending[0].take() {
            self.pending.swap(0, 1);
            return Some(digit);
        }
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if byte != b'%' {
            return Some(if is_uri_byte(byte) { byte } else { self.escape(byte) });
        }
        let Some((value, tail)) = hex_pair(rest) else { return Some(byte) };
        self.rest = tail;
        if value.is_ascii_alphanumeric() || b"-._~".contains(&value) {
            return Some(value);
        }
        Some(self.escape(value))
    }
}

/// Whether a path may hold the byte as it is (RFC 3986 section 3.3, `pchar` and the slash).
fn is_uri_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

fn hex_pair(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rule: &str, path: &str) -> bool {
        PathPrefix::parse(rule).unwrap().allows(path)
    }

    #[test]
    fn prefix_ends_at_a_segment() {
        assert!(allows("/a", "/a") && allows("/a", "/a/") && allows("/a", "/a/b"));
        assert!(!allows("/a", "/ab") && !allows("/a", "/") && !allows("/a", "") && !allows("/a", "/A"));
        assert!(allows("/a/", "/a/") && allows("/a/", "/a/b") && !allows("/a/", "/a"));
    }

    #[test]
    fn equal_spellings_match() {
        assert!(allows("/~u/%C3%A9/", "/%7eu/%c3%a9/x"));
        assert!(allows("/a-b", "/%61%2db"));
        assert!(!allows("/a%20b", "/a b"));
    }

    #[test]
    fn odd_paths_match_only_the_root() {
        for path in [
            "/a/../s",
            "/a/./s",
            "/a//s",
            "//a/s",
            "/a/%2e%2e/s",
            "/a/.%2E/s",
            "/a%2fs",
            "/a%2Fs",
            "/a/..;/s",
            "/a/..%3b/s",
            "/a\\s",
            "/a%5cs",
            "/a/%252e%252e/s",
            "/a/%25%32%65%25%32%65/s",
            "/a/%252%65/s",
            "/a/%25%32e/s",
            "/a/%25%32%35%32%65/s",
            "/a/..%20/s",
            "/a/%00",
            "/a/\u{1}",
            "/a/%7f",
            "/a/%",
            "/a/%2",
            "/a/%zz",
            "/a/%c0%ae/s",
            "/a/%e0%80%ae",
            "/a/%f0%80%80%ae",
            "/a/é",
            "/a/ b",
            "a/b",
            "/a?b",
            "/a#b",
            "*",
            "/a/..",
            "/a/.",
        ] {
            assert!(!allows("/a", path), "{path}");
            assert!(allows("/", path), "{path}");
            assert!(PathPrefix::parse("/other").unwrap().may_hold(path), "{path}");
        }
        assert!(!PathPrefix::parse("/other").unwrap().may_hold("/a/b"));
        assert!(allows("/a", "/a/100%25") && allows("/a", "/a/5%25%20b") && allows("/a", "/a/5%25g"));
        assert!(allows("/a", "/a/...") && allows("/a", "/a/..b") && allows("/a", "/a/%E2%82%AC"));
    }

    #[test]
    fn rules_show_their_normal_form() {
        let normal = |text: &str| match PathPrefix::parse(text) {
            Err(PathError::NotNormal(normal)) => normal,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(normal("/a/../b"), "/b");
        assert_eq!(normal("/a/./b/."), "/a/b/");
        assert_eq!(normal("/a//b"), "/a/b");
        assert_eq!(normal("/%7eu"), "/~u");
        assert_eq!(normal("/%c3%a9"), "/%C3%A9");
        assert_eq!(normal("/é b"), "/%C3%A9%20b");
        assert_eq!(normal("/../.."), "/");
        assert_eq!(PathPrefix::parse("/a%2fb"), Err(PathError::Ambiguous));
        assert_eq!(PathPrefix::parse("/a/*"), Err(PathError::Star("/a/".into())));
        assert_eq!(PathPrefix::parse("/a%2e%2e"), Err(PathError::NotNormal("/a..".into())));
    }
}

//! The target of an HTTP/1 request in its four forms. Pure; [`http_head`](super::http_head) is its
//! caller.

use policy::Scheme;

use super::authority::{self, Authority};

/// A request target (RFC 9112 section 3.2). Paths are as sent, with the query, in visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `/path?query`: the host is in the Host header.
    Origin {
        /// Path and query; begins with a slash.
        path: String,
    },
    /// `http://host/path?query`, as sent to a proxy.
    Absolute {
        /// The scheme.
        scheme: Scheme,
        /// The host that the request is for, whatever Host says.
        authority: Authority,
        /// Path and query; begins with a slash, which is added where the sender left it out.
        path: String,
    },
    /// `host:port` of CONNECT; the port is always there.
    Authority(Authority),
    /// `*` of OPTIONS.
    Asterisk,
}

impl Target {
    /// Reads the target of a request with this method.
    pub fn parse(method: &str, target: &[u8]) -> Result<Target, &'static str> {
        if !target.iter().all(u8::is_ascii_graphic) {
            return Err("request target holds other than visible ASCII");
        }
        if target.contains(&b'#') {
            return Err("fragment in request target");
        }
        match (method, target) {
            ("CONNECT", _) => tunnel(target),
            ("OPTIONS", b"*") => Ok(Target::Asterisk),
            (_, [b'/', ..]) => Ok(Target::Origin { path: text(target) }),
            _ => absolute(target),
        }
    }
}

fn tunnel(target: &[u8]) -> Result<Target, &'static str> {
    match authority::parse(target) {
        Ok(Authority { port: None, .. }) => Err("CONNECT target without a port"),
        Ok(authority) => Ok(Target::Authority(authority)),
        Err(error) => Err(error.as_str()),
    }
}

fn absolute(target: &[u8]) -> Result<Target, &'static str> {
    let (scheme, rest) = if let Some(rest) = strip(target, b"http://") {
        (Scheme::Http, rest)
    } else if let Some(rest) = strip(target, b"https://") {
        (Scheme::Https, rest)
    } else {
        return Err("request target of an unknown form or scheme");
    };
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (host, path) = rest.split_at(end);
    let authority = authority::parse(host).map_err(|error| error.as_str())?;
    let slash = if path.starts_with(b"/") { "" } else { "/" };
    Ok(Target::Absolute { scheme, authority, path: format!("{slash}{}", text(path)) })
}

/// What follows the prefix, in any case.
fn strip<'a>(target: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = target.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The text of bytes that are known to be ASCII.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute_parts(target: &str) -> Option<(Scheme, String, String)> {
        match Target::parse("GET", target.as_bytes()) {
            Ok(Target::Absolute { scheme, authority, path }) => Some((scheme, authority.to_string(), path)),
            _ => None,
        }
    }

    #[test]
    fn absolute_form() {
        let parts = |scheme, authority: &str, path: &str| Some((scheme, authority.into(), path.into()));
        assert_eq!(absolute_parts("http://A.example/x?y"), parts(Scheme::Http, "a.example", "/x?y"));
        assert_eq!(absolute_parts("HTTPS://[::1]:8443"), parts(Scheme::Https, "[::1]:8443", "/"));
        assert_eq!(absolute_parts("http://a.example?q=/"), parts(Scheme::Http, "a.example", "/?q=/"));
    }

    #[test]
    fn refuses_odd_targets() {
        let odd = [
            ("GET", "*"),
            ("GET", "a.example:80"),
            ("GET", "path"),
            ("GET", ""),
            ("GET", "ftp://a.example/"),
            ("GET", "http:/a.example/"),
            ("GET", "http:///x"),
            ("GET", "http://u@a.example/"),
            ("GET", "http://a.example\\@b.example/"),
            ("GET", "http://0x7f.1/"),
            ("GET", "/x#y"),
            ("GET", "/\u{fc}"),
            ("GET", "/a\tb"),
            ("CONNECT", "a.example"),
            ("CONNECT", "/"),
            ("CONNECT", "http://a.example:80/"),
            ("CONNECT", "a.example:443/"),
            ("OPTIONS", "**"),
        ];
        for (method, target) in odd {
            assert!(Target::parse(method, target.as_bytes()).is_err(), "{method} {target}");
        }
    }
}

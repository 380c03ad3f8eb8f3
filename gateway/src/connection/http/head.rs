//! What a request says about where it goes, and how it is sent on. Pure.

use hyper::header::{
    CONTENT_LENGTH, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHORIZATION, TRANSFER_ENCODING,
    UPGRADE,
};
use hyper::{Method, Request, Uri, Version};
use policy::{Reason, Scheme, normal_path};

use crate::sniff::authority::{self, Authority};
use crate::upstream::HttpProxy;

const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// The parts of a request that are judged.
pub(super) struct Asked {
    pub(super) method: Method,
    /// Whether the request came inside TLS.
    pub(super) scheme: Scheme,
    /// The host that the request names, from the target or the Host header.
    pub(super) authority: Option<Authority>,
    pub(super) port: u16,
    /// Without the query.
    pub(super) path: String,
    /// The target was absolute: the sender takes whom it talks to for a proxy.
    pub(super) absolute: bool,
    /// The protocol may change after the answer.
    pub(super) upgrade: bool,
    /// Why it is refused whatever the rules say.
    pub(super) reason: Option<Reason>,
    /// What is wrong with it, for people.
    pub(super) fault: Option<&'static str>,
}

impl Asked {
    /// Reads a request that came on a connection to `port`.
    pub(super) fn read<B>(request: &Request<B>, scheme: Scheme, port: u16) -> Asked {
        let headers = request.headers();
        let host = header_authority(headers);
        let uri = request.uri();
        let target = uri.authority().map(|authority| authority::parse(authority.as_str().as_bytes()).ok());
        let mut fault = fault(request, scheme, &host, target.as_ref());
        let absolute = target.is_some();
        let authority = target.flatten().or_else(|| host.ok().flatten());
        let named = authority.as_ref().map(|authority| authority.port.unwrap_or(scheme.default_port()));
        let port = match scheme {
            Scheme::Http if absolute => named.unwrap_or(port),
            Scheme::Http => port,
            // Inside TLS there is one host and one port.
            Scheme::Https => {
                let other = named.is_some_and(|named| named != port);
                fault = fault.or(other.then_some((Reason::HostMismatch, "the request names another port")));
                port
            }
        };
        let (reason, fault) = fault.unzip();
        Asked {
            method: request.method().clone(),
            scheme,
            port,
            path: uri.path().to_owned(),
            absolute,
            upgrade: headers.contains_key(UPGRADE) && !hides_requests(headers),
            authority,
            reason,
            fault,
        }
    }

    /// The URL without its query, for logs.
    pub(super) fn url(&self) -> String {
        self.url_to(&self.path)
    }

    /// The same with the path in its normal spelling, to be compared.
    pub(super) fn normal_url(&self) -> String {
        self.url_to(&normal_path(&self.path))
    }

    fn url_to(&self, path: &str) -> String {
        let host =
            self.authority.as_ref().map_or_else(|| "?".to_owned(), |authority| authority.host.to_string());
        format!("{}://{host}{}{path}", self.scheme, self.port_text())
    }

    /// The port as it follows a host, nothing if it goes without saying.
    fn port_text(&self) -> String {
        if self.port == self.scheme.default_port() { String::new() } else { format!(":{}", self.port) }
    }
}

fn header_authority(headers: &HeaderMap) -> Result<Option<Authority>, &'static str> {
    let mut values = headers.get_all(HOST).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err("more than one Host header");
    }
    if value.is_empty() {
        return Ok(None);
    }
    authority::parse(value.as_bytes()).map(Some).map_err(|error| error.as_str())
}

fn fault<B>(
    request: &Request<B>,
    scheme: Scheme,
    host: &Result<Option<Authority>, &'static str>,
    target: Option<&Option<Authority>>,
) -> Option<(Reason, &'static str)> {
    let headers = request.headers();
    if request.method() == Method::CONNECT {
        return Some((Reason::ProtocolNotAllowed, "CONNECT among other requests"));
    }
    if request.method() == Method::TRACE {
        // It shows what proxies on the way have added, credentials among it.
        return Some((Reason::MethodNotAllowed, "TRACE"));
    }
    if headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING) {
        return Some((Reason::Malformed, "Content-Length and Transfer-Encoding together"));
    }
    if request.uri().scheme_str().is_some_and(|named| named != scheme.to_string()) {
        return Some((Reason::ProtocolNotAllowed, "a target of another scheme"));
    }
    match (host, target) {
        (Err(fault), _) => Some((Reason::Malformed, fault)),
        (_, Some(None)) => Some((Reason::Malformed, "the target's authority is not a host and port")),
        (Ok(Some(host)), Some(Some(target))) if host.host != target.host => {
            Some((Reason::HostMismatch, "the target and Host name different hosts"))
        }
        _ => None,
    }
}

/// How a request goes upstream.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    /// With its path as the target, over HTTP/1.
    Origin,
    /// To a parent proxy, with the whole URL as the target.
    Proxy(&'a HttpProxy),
    /// With pseudo-header fields for the parts of the URL (RFC 9113 section 8.3.1).
    Http2,
}

/// The request as it goes upstream, without what was only meant for a proxy. What went upstream in
/// one form can be given again for another.
pub(super) fn outgoing<B>(request: Request<B>, asked: &Asked, form: Form<'_>) -> Request<B> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str).to_owned();
    parts.headers.remove(PROXY_CONNECTION);
    parts.headers.remove(PROXY_AUTHORIZATION);
    if let Some(authority) = &asked.authority {
        let host = format!("{}{}", authority.host, asked.port_text());
        let written_anew = asked.absolute || matches!(form, Form::Proxy(_));
        match HeaderValue::from_str(&host) {
            _ if matches!(form, Form::Http2) => drop(parts.headers.remove(HOST)),
            Ok(value) if written_anew => drop(parts.headers.insert(HOST, value)),
            _ => {}
        }
        let target = match form {
            Form::Origin => path,
            // The same authority as in Host (RFC 9112 section 3.2).
            Form::Proxy(_) | Form::Http2 => {
                format!("{}://{host}{}", asked.scheme, path.trim_start_matches('*'))
            }
        };
        // The parts come from a valid target, so the new one is valid; the old one is the fallback.
        if let Ok(uri) = target.parse::<Uri>() {
            parts.uri = uri;
        }
    }
    parts.version = match (form, parts.version) {
        (Form::Http2, _) => Version::HTTP_2,
        (_, Version::HTTP_2) => Version::HTTP_11,
        (_, given) => given,
    };
    if let Form::Proxy(proxy) = form
        && let Some(value) = &proxy.authorization
        && let Ok(value) = HeaderValue::from_str(value)
    {
        parts.headers.insert(PROXY_AUTHORIZATION, value);
    }
    join_cookies(&mut parts.headers);
    if hides_requests(&parts.headers) {
        parts.headers.remove(UPGRADE);
        parts.headers.remove(HTTP2_SETTINGS);
    }
    Request::from_parts(parts, body)
}

/// HTTP/2 may split cookies over several fields, HTTP/1 may not (RFC 9113 section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut cookies = headers.get_all(COOKIE).iter();
    if let (Some(first), Some(second)) = (cookies.next(), cookies.next()) {
        let all = [first, second].into_iter().chain(cookies).map(HeaderValue::as_bytes).collect::<Vec<_>>();
        if let Ok(value) = HeaderValue::from_bytes(&all.join(&b"; "[..])) {
            headers.insert(COOKIE, value);
        }
    }
}

/// Whether an upgrade is to something that carries further requests, which nobody would judge: another
/// version of HTTP (some servers take `h2` and `HTTP/2.0` as well as `h2c`), or TLS (RFC 2817).
fn hides_requests(headers: &HeaderMap) -> bool {
    let protocols =
        headers.get_all(UPGRADE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    protocols.map(<[u8]>::trim_ascii).any(|protocol| {
        let begins =
            |name: &[u8]| protocol.get(..name.len()).is_some_and(|part| part.eq_ignore_ascii_case(name));
        [&b"h2"[..], b"h3", b"http", b"tls"].into_iter().any(begins)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut builder = Request::builder().uri(target);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        builder.body(()).unwrap()
    }

    #[test]
    fn reads_host_and_target() {
        let asked = Asked::read(&request("/a?q=1", &[("host", "a.example:8080")]), Scheme::Http, 8080);
        assert_eq!(
            (asked.url().as_str(), asked.absolute, asked.reason),
            ("http://a.example:8080/a", false, None)
        );
        let asked = Asked::read(&request("http://a.example/a", &[("host", "a.example")]), Scheme::Http, 3128);
        assert_eq!((asked.url().as_str(), asked.absolute, asked.port), ("http://a.example/a", true, 80));
    }

    #[test]
    fn refuses_what_could_be_read_two_ways() {
        type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Reason);
        let cases: [Case<'_>; 4] = [
            ("/", &[("host", "a.example"), ("host", "a.example")], Reason::Malformed),
            ("/", &[("host", "user@a.example")], Reason::Malformed),
            ("http://a.example/", &[("host", "b.example")], Reason::HostMismatch),
            (
                "/",
                &[("host", "a.example"), ("content-length", "1"), ("transfer-encoding", "chunked")],
                Reason::Malformed,
            ),
        ];
        for (target, headers, reason) in cases {
            assert_eq!(
                Asked::read(&request(target, headers), Scheme::Http, 80).reason,
                Some(reason),
                "{target} {headers:?}"
            );
        }
    }

    #[test]
    fn proxies_get_absolute_targets_and_origins_do_not() {
        let given =
            || request("http://a.example:81/a?q", &[("host", "a.example:81"), ("proxy-connection", "close")]);
        let asked = Asked::read(&given(), Scheme::Http, 3128);
        let direct = outgoing(given(), &asked, Form::Origin);
        assert_eq!(direct.uri(), "/a?q");
        assert!(!direct.headers().contains_key(PROXY_CONNECTION));
        let proxy = HttpProxy { authorization: Some("Basic x".to_owned()) };
        let proxied = outgoing(given(), &asked, Form::Proxy(&proxy));
        assert_eq!(proxied.uri(), "http://a.example:81/a?q");
        assert_eq!(proxied.headers()[PROXY_AUTHORIZATION], "Basic x");
    }

    #[test]
    fn upgrades_that_hide_requests_are_not_offered_upstream() {
        for protocol in ["H2C", "h2", "websocket, h2c-14", "HTTP/2.0", "TLS/1.0,HTTP/1.1"] {
            let given =
                request("/", &[("host", "a.example"), ("upgrade", protocol), ("http2-settings", "x")]);
            let asked = Asked::read(&given, Scheme::Http, 80);
            let sent = outgoing(given, &asked, Form::Origin);
            assert!(!asked.upgrade && !sent.headers().contains_key(UPGRADE), "{protocol}");
        }
        let given = request("/", &[("host", "a.example"), ("upgrade", "websocket")]);
        assert!(Asked::read(&given, Scheme::Http, 80).upgrade);
    }
}

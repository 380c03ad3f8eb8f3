//! URL rules: perhaps methods, then `scheme://host[:port][/path]`.

use std::net::IpAddr;

use super::{Kind, LOCALHOST, Mistake, host_pattern, mistake, ports_and_protocol};
use crate::address::is_this_host;
use crate::path::{PathError, PathPrefix, normalise};
use crate::rule::{Service, Subject, Url};
use crate::{Protocol, Scheme};

/// Whether a word reads as the methods in front of a URL: upper-case tokens joined by commas.
pub(crate) fn is_method_list(word: &str) -> bool {
    word.split(',').all(is_method)
}

pub(super) fn parse<'a>(methods: &'a str, text: &'a str) -> Result<Subject, Mistake<'a>> {
    if text.contains(char::is_whitespace) {
        return Err(mistake(text, Kind::WhiteSpace));
    }
    let (scheme, rest) = split_scheme(methods, text)?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    let advice = |authority: &str, path: &str| {
        let space = if methods.is_empty() { "" } else { " " };
        let path = if path.is_empty() { "/".to_owned() } else { normalise(path) };
        format!("{methods}{space}{scheme}://{authority}{path}")
    };
    let path_end = tail.find(['?', '#']).unwrap_or(tail.len());
    let (path, rest) = tail.split_at(path_end);
    if let Some((user, host)) = authority.rsplit_once('@') {
        return Err(mistake(user, Kind::UserInfo(advice(host, path))));
    }
    match rest.as_bytes().first() {
        Some(b'?') => return Err(mistake(rest, Kind::Query(advice(authority, path)))),
        Some(_) => return Err(mistake(rest, Kind::Fragment(advice(authority, path)))),
        None => {}
    }
    let (host, port) = split_port(authority, scheme, |authority| advice(authority, path))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        let fix = if is_this_host(address) { Kind::Loopback } else { Kind::UrlAddress };
        let shown = if is_this_host(address) { LOCALHOST } else { host };
        return Err(mistake(host, fix(format!("{shown}:{port}"))));
    }
    let pattern = host_pattern(host, &port.to_string())?;
    let path = if path.is_empty() { "/" } else { path };
    let path = PathPrefix::parse(path)
        .map_err(|error| mistake(path, Kind::Path(in_url(error, authority, &advice))))?;
    let methods = read_methods(methods)?;
    Ok(Subject::Host { pattern, service: Service::Url(Url { methods, scheme, port, path }) })
}

fn split_scheme<'a>(methods: &'a str, text: &'a str) -> Result<(Scheme, &'a str), Mistake<'a>> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err(mistake(text, Kind::MethodsWithoutUrl(format!("{methods} https://{text}/"))));
    };
    match scheme.to_ascii_lowercase().as_str() {
        "https" => Ok((Scheme::Https, rest)),
        "http" => Ok((Scheme::Http, rest)),
        _ => Err(mistake(scheme, Kind::Scheme(scheme.to_owned()))),
    }
}

/// The host and the port of an authority; one port, and TCP.
fn split_port<'a>(
    authority: &'a str,
    scheme: Scheme,
    advice: impl Fn(&str) -> String,
) -> Result<(&'a str, u16), Mistake<'a>> {
    let behind_bracket = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority[behind_bracket..].find(':').map(|at| at + behind_bracket) else {
        return Ok((authority, scheme.default_port()));
    };
    let (host, text) = (&authority[..colon], &authority[colon + 1..]);
    let (ports, protocol) = ports_and_protocol(text)?;
    if ports.first() != ports.last() || protocol != Protocol::Tcp {
        return Err(mistake(text, Kind::UrlPorts(advice(&format!("{host}:{}", ports.first().max(443))))));
    }
    Ok((host, ports.first()))
}

/// The path's error with the whole URL as the advice.
fn in_url(error: PathError, authority: &str, advice: &impl Fn(&str, &str) -> String) -> PathError {
    match error {
        PathError::NotNormal(path) => PathError::NotNormal(advice(authority, &path)),
        PathError::Star(path) => PathError::Star(advice(authority, &path)),
        PathError::Ambiguous => PathError::Ambiguous,
    }
}

fn read_methods(text: &str) -> Result<Box<[Box<str>]>, Mistake<'_>> {
    let mut methods: Vec<Box<str>> = Vec::new();
    for method in text.split(',').filter(|_| !text.is_empty()) {
        if !is_method(method) {
            return Err(mistake(method, Kind::Method(method.to_owned())));
        }
        if methods.iter().all(|known| &**known != method) {
            methods.push(method.into());
        }
    }
    Ok(methods.into())
}

/// Methods are case-sensitive (RFC 9110 section 9.1); all that are registered are upper case with
/// hyphens.
fn is_method(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-')
}

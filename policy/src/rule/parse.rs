//! The grammar of rules.

mod url;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::error::{RuleError, RuleErrorKind as Kind};
use super::{AddressService, Effect, Service, Subject};
use crate::address::{canonical_range, is_this_host};
use crate::pattern::{Pattern, PatternError};
use crate::{NameError, PortRange, Protocol};

pub(crate) use url::is_method_list;

/// The one name that is not asked of any server (RFC 6761 section 6.3).
const LOCALHOST: &str = "localhost";

/// An error still without its place: the offending part is a slice of the rule's text.
struct Mistake<'a> {
    part: &'a str,
    kind: Kind,
}

/// Reads a rule's text.
pub(super) fn subject(text: &str, effect: Effect) -> Result<Subject, RuleError> {
    parse(text, effect).map_err(|Mistake { part, kind }| {
        // `part` is a slice of `text`, so the distance is the offset of its first byte.
        let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len());
        RuleError { offset, kind }
    })
}

fn parse(text: &str, effect: Effect) -> Result<Subject, Mistake<'_>> {
    if text.trim().is_empty() {
        return Err(mistake(text, Kind::Empty));
    }
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    if let Some((methods, rest)) = text.split_once([' ', '\t']) {
        if !rest.contains("://") && !is_method_list(methods) {
            return Err(mistake(text, Kind::WhiteSpace));
        }
        return url::parse(methods, rest.trim_start());
    }
    if text.starts_with('@') {
        return Err(mistake(text, Kind::SetElsewhere));
    }
    if text.contains("://") {
        return url::parse("", text);
    }
    if let Some(pattern) = text.strip_prefix("dns:") {
        return Ok(Subject::Host { pattern: host_pattern(pattern, "53")?, service: Service::Resolve });
    }
    if text.starts_with('[') {
        return bracketed(text, effect);
    }
    host_or_address(text, effect)
}

fn mistake(part: &str, kind: Kind) -> Mistake<'_> {
    Mistake { part, kind }
}

fn unix(path: &str) -> Result<Subject, Mistake<'_>> {
    let is_normal = path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| !matches!(segment, "" | "." | "..")) && !rest.contains('\0')
    });
    if is_normal { Ok(Subject::Unix { path: path.into() }) } else { Err(mistake(path, Kind::UnixPath)) }
}

fn bracketed(text: &str, effect: Effect) -> Result<Subject, Mistake<'_>> {
    let Some((inside, rest)) = text[1..].split_once(']') else {
        return Err(mistake(text, Kind::OpenBracket));
    };
    let single = || inside.parse::<Ipv6Addr>().map(Ipv6Net::from).ok();
    let Some(range) = inside.parse::<Ipv6Net>().ok().or_else(single) else {
        return Err(mistake(inside, Kind::NotARange(inside.to_owned())));
    };
    match rest.strip_prefix(':') {
        Some(ports) => address(text, range.into(), Some(ports), effect),
        None if rest.is_empty() => address(text, range.into(), None, effect),
        None => Err(mistake(rest, Kind::NotARange(text.to_owned()))),
    }
}

fn host_or_address(text: &str, effect: Effect) -> Result<Subject, Mistake<'_>> {
    if text.parse::<Ipv6Addr>().is_ok() || text.parse::<Ipv6Net>().is_ok() {
        let port = if effect == Effect::Allow { ":443" } else { "" };
        return Err(mistake(text, Kind::Unbracketed(format!("[{text}]{port}"))));
    }
    let (host, ports) = match text.split_once(':') {
        Some((host, ports)) => (host, Some(ports)),
        None => (text, None),
    };
    if let Ok(single) = host.parse::<Ipv4Addr>() {
        return address(text, IpNet::from(IpAddr::V4(single)), ports, effect);
    }
    if let Some((front, behind)) = host.split_once('/') {
        let looks_like_address =
            Pattern::parse(front) == Err(PatternError::Name(NameError::LooksLikeAddress));
        return match host.parse::<Ipv4Net>() {
            Ok(range) => address(text, range.into(), ports, effect),
            Err(_) if looks_like_address => Err(mistake(host, Kind::NotARange(host.to_owned()))),
            Err(_) if matches!(behind, "udp" | "tcp") => {
                Err(mistake(&host[front.len()..], Kind::ProtocolWithoutPort(front.to_owned())))
            }
            Err(_) => Err(mistake(&host[front.len()..], Kind::PathWithoutScheme(text.to_owned()))),
        };
    }
    if host.trim_end_matches('.').eq_ignore_ascii_case(LOCALHOST) {
        return loopback(text, ports);
    }
    let pattern = host_pattern(host, "PORT")?;
    let service = match ports {
        Some(text) => {
            let (ports, protocol) = ports_and_protocol(text)?;
            Service::Ports { ports, protocol }
        }
        None if effect == Effect::Allow => Service::Web,
        None => Service::Everything,
    };
    Ok(Subject::Host { pattern, service })
}

fn loopback<'a>(text: &'a str, ports: Option<&'a str>) -> Result<Subject, Mistake<'a>> {
    let Some(ports) = ports else {
        return Err(mistake(text, Kind::Loopback("localhost:5432, or localhost:* for every port".into())));
    };
    match ports_and_protocol(ports)? {
        (ports, Protocol::Tcp) => Ok(Subject::Loopback { ports }),
        (range, Protocol::Udp) => Err(mistake(ports, Kind::LoopbackUdp(format!("localhost:{range}")))),
    }
}

fn address<'a>(
    text: &'a str,
    range: IpNet,
    ports: Option<&'a str>,
    effect: Effect,
) -> Result<Subject, Mistake<'a>> {
    let service = match ports {
        Some(ports) => {
            let (ports, protocol) = ports_and_protocol(ports)?;
            AddressService::Ports { ports, protocol }
        }
        None => AddressService::Everything,
    };
    self::range(range, service, effect).map_err(|kind| mistake(text, kind))
}

/// A range of which this is allowed or denied.
pub(super) fn range(range: IpNet, service: AddressService, effect: Effect) -> Result<Subject, Kind> {
    let with_ports =
        |subject: AddressService, range| Subject::Address { range, service: subject }.to_string();
    if range.trunc() != range {
        return Err(Kind::HostBits(with_ports(service, canonical_range(range.trunc()))));
    }
    let range = canonical_range(range);
    let refuses_all = service == AddressService::Everything && effect == Effect::Deny;
    if is_this_host(range.addr()) && range.prefix_len() >= 8 && !refuses_all {
        let ports = match service {
            AddressService::Ports { ports, .. } => ports.to_string(),
            AddressService::Everything => "PORT".to_owned(),
        };
        return Err(Kind::Loopback(format!("{LOCALHOST}:{ports}")));
    }
    if service == AddressService::Everything && effect == Effect::Allow {
        return Err(Kind::AddressWithoutPort(with_ports(service, range)));
    }
    Ok(Subject::Address { range, service })
}

/// A host pattern other than `localhost`; `port` is for the advice on what to write instead.
fn host_pattern<'a>(text: &'a str, port: &str) -> Result<Pattern, Mistake<'a>> {
    let pattern = Pattern::parse(text).map_err(|error| mistake(text, Kind::Pattern(error)))?;
    if pattern.base().as_str() == LOCALHOST && !pattern.is_wildcard() {
        return Err(mistake(text, Kind::Loopback(format!("{LOCALHOST}:{port}"))));
    }
    Ok(pattern)
}

fn ports_and_protocol(text: &str) -> Result<(PortRange, Protocol), Mistake<'_>> {
    split_port_text(text).map_err(|(part, kind)| mistake(part, kind))
}

/// Reads what follows the colon of a rule: `22`, `8000-8100`, `*`, each perhaps with `/udp`.
pub(crate) fn split_port_text(text: &str) -> Result<(PortRange, Protocol), (&str, Kind)> {
    let (ports, protocol) = match text.find('/') {
        Some(slash) => (&text[..slash], &text[slash..]),
        None => (text, ""),
    };
    let range = match ports.split_once('-') {
        _ if ports == "*" => PortRange::ALL,
        None => PortRange::single(port(ports)?),
        Some((first, last)) => {
            let (first, last) = (port(first)?, port(last)?);
            PortRange::new(first, last).ok_or((ports, Kind::PortRangeReversed { first, last }))?
        }
    };
    match protocol {
        "" | "/tcp" => Ok((range, Protocol::Tcp)),
        "/udp" => Ok((range, Protocol::Udp)),
        other => Err((other, Kind::NotAProtocol(other.to_owned()))),
    }
}

fn port(text: &str) -> Result<u16, (&str, Kind)> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err((text, Kind::NotAPort(text.to_owned())));
    }
    match text.parse() {
        Ok(0) | Err(_) => Err((text, Kind::PortOutOfRange(text.to_owned()))),
        Ok(port) => Ok(port),
    }
}

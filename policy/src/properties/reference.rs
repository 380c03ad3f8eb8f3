//! The meaning of rule texts, written again from the documentation over texts and label lists.

use std::net::IpAddr;

use crate::{Name, Request, Scheme};

pub(super) fn is_allowed(allow: &[String], deny: &[String], request: &Request<'_>) -> bool {
    let allows = |rule: &String| speaks(rule, request, false);
    !deny.iter().any(|rule| speaks(rule, request, true))
        && allow.iter().any(allows)
        && is_public(allow, request)
}

/// No random rule has `allow-private`, so only address rules open private addresses.
fn is_public(allow: &[String], request: &Request<'_>) -> bool {
    let Request::Resolved { address, .. } = request else { return true };
    let text = address.to_canonical().to_string();
    let private =
        ["10.", "127.", "169.254.", "fd", "64:ff9b::a", "::1"].iter().any(|front| text.starts_with(front));
    let this_host = text == "127.0.0.1" || text == "::1";
    !private
        || (!this_host && allow.iter().any(|rule| range_of(rule).is_some_and(|range| holds(range, *address))))
}

fn speaks(rule: &str, request: &Request<'_>, deny: bool) -> bool {
    if let Some(range) = range_of(rule) {
        return request.address().is_some_and(|address| {
            holds(range, address) && address_ports(&rule[range.len()..], address, request, deny)
        });
    }
    let Some(name) = request.name() else { return false };
    // Bytes to a DNS server are no questions.
    if !deny && port_of(request) == Some(53) {
        return false;
    }
    let (methods, rest) = rule.split_once(' ').unwrap_or(("", rule));
    if let Some((scheme, rest)) = rest.split_once("://") {
        let (authority, path) = rest.split_at(rest.find('/').unwrap());
        let (host, port) =
            authority.split_once(':').unwrap_or((authority, if scheme == "http" { "80" } else { "443" }));
        return is_like(host, name) && url(methods, scheme, port.parse().unwrap(), path, request, deny);
    }
    if let Some(host) = rest.strip_prefix("dns:") {
        return is_like(host, name) && matches!(request, Request::Resolve { .. } | Request::Resolved { .. });
    }
    let (host, ports) = rest.split_once(':').map_or((rest, None), |(host, ports)| (host, Some(ports)));
    if !is_like(host, name) {
        return false;
    }
    match (ports, request) {
        (None, _) if deny => true,
        (_, Request::Resolve { .. } | Request::Resolved { .. }) => !deny,
        (None, Request::Tls { port, .. }) => *port == 443,
        (None, Request::Http { scheme: Scheme::Https, port, .. }) => *port == 443,
        (None, Request::Http { scheme: Scheme::Http, port, .. }) => *port == 80,
        (None, _) => false,
        (Some(ports), Request::Udp { port, .. }) => in_ports(ports, *port, true),
        (Some(ports), Request::Tls { port, .. } | Request::Http { port, .. } | Request::Tcp { port, .. }) => {
            in_ports(ports, *port, false)
        }
        _ => false,
    }
}

fn url(methods: &str, scheme: &str, port: u16, path: &str, request: &Request<'_>, deny: bool) -> bool {
    match request {
        Request::Resolve { .. } | Request::Resolved { .. } => !deny,
        Request::Tls { port: asked, .. } => {
            scheme == "https" && port == *asked && (!deny || (path == "/" && methods.is_empty()))
        }
        Request::Http { scheme: asked, port: asked_port, method, path: asked_path, .. } => {
            let fold = |text: &str| if deny { text.to_uppercase() } else { text.to_owned() };
            let method = methods.is_empty() || methods.split(',').any(|one| fold(one) == fold(method));
            asked.to_string() == scheme && port == *asked_port && method && below(path, asked_path, deny)
        }
        _ => false,
    }
}

/// The odd paths of [`asked`] by name; the others in their normal spelling.
fn below(prefix: &str, path: &str, deny: bool) -> bool {
    let path = match path {
        "/p/../q" | "/p%2fq" | "//p" => return prefix == "/" || deny,
        "/%c3%a9" => "/%C3%A9",
        "" => "/",
        "/%70" => "/p",
        other => other,
    };
    let slash = if prefix.ends_with('/') { "" } else { "/" };
    path == prefix || path.starts_with(&format!("{prefix}{slash}"))
}

fn is_like(pattern: &str, name: &Name) -> bool {
    let (front, base) = match pattern.rsplit_once("*.") {
        Some((front, base)) => (front.len() + 1, base),
        None => (0, pattern),
    };
    let (base, name): (Vec<&str>, Vec<&str>) = (base.split('.').collect(), name.labels().collect());
    let more = name.len().checked_sub(base.len()).filter(|&more| name[more..] == base);
    match front {
        0 => more == Some(0),
        1 => more == Some(1),
        _ => more.is_some_and(|more| more > 0),
    }
}

/// The range in front of an address rule's ports.
fn range_of(rule: &str) -> Option<&str> {
    if rule.starts_with('[') {
        return rule.find(']').map(|end| &rule[..=end]);
    }
    let range = rule.split(':').next()?;
    range.chars().all(|character| character.is_ascii_digit() || "./".contains(character)).then_some(range)
}

fn holds(range: &str, address: IpAddr) -> bool {
    let range = range.trim_matches(['[', ']']);
    let net = range.parse::<ipnet::IpNet>().or_else(|_| range.parse::<IpAddr>().map(ipnet::IpNet::from));
    net.is_ok_and(|net| net.contains(&address.to_canonical()))
}

fn port_of(request: &Request<'_>) -> Option<u16> {
    match request {
        Request::Tls { port, .. }
        | Request::Http { port, .. }
        | Request::Tcp { port, .. }
        | Request::Udp { port, .. } => Some(*port),
        _ => None,
    }
}

fn address_ports(ports: &str, address: IpAddr, request: &Request<'_>, deny: bool) -> bool {
    let Some(ports) = ports.strip_prefix(':') else { return true };
    let text = address.to_canonical().to_string();
    if !deny && (text == "127.0.0.1" || text == "::1") {
        return false;
    }
    match request {
        Request::DnsServer { server } => {
            in_ports(ports, server.port(), true) || in_ports(ports, server.port(), false)
        }
        Request::TcpAddress { destination } => {
            in_ports(ports, destination.port(), false) && (deny || destination.port() != 53)
        }
        Request::UdpAddress { destination } => {
            in_ports(ports, destination.port(), true) && (deny || destination.port() != 53)
        }
        _ => false,
    }
}

fn in_ports(ports: &str, port: u16, udp: bool) -> bool {
    let (range, is_udp) = ports.strip_suffix("/udp").map_or((ports, false), |range| (range, true));
    let (first, last) = match range.split_once('-') {
        Some((first, last)) => (first.parse().unwrap(), last.parse().unwrap()),
        None if range == "*" => (1, u16::MAX),
        None => (range.parse().unwrap(), range.parse().unwrap()),
    };
    is_udp == udp && (first..=last).contains(&port)
}

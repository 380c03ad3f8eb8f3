//! The functions on networks that rules of others use, by the names that OPA gives them. Pure.

use std::net::IpAddr;

use ipnet::IpNet;
use regorus::{Engine, Value};

/// Adds `net.cidr_contains(cidr, cidr_or_ip)` and `net.cidr_is_valid(cidr)`. What is no address is
/// undefined, as everywhere in Rego.
pub(super) fn add(engine: &mut Engine) -> Result<(), impl std::fmt::Display> {
    let contains = |arguments: Vec<Value>| {
        let [range, address] = &arguments[..] else { return Ok(Value::Undefined) };
        Ok(network(range)
            .zip(network_or_address(address))
            .map_or(Value::Undefined, |(range, address)| Value::from(range.contains(&address))))
    };
    let is_valid = |arguments: Vec<Value>| Ok(Value::from(arguments.first().and_then(network).is_some()));
    engine
        .add_extension("net.cidr_contains".to_owned(), 2, Box::new(contains))
        .and_then(|()| engine.add_extension("net.cidr_is_valid".to_owned(), 1, Box::new(is_valid)))
}

fn network(value: &Value) -> Option<IpNet> {
    value.as_string().ok()?.parse().ok()
}

fn network_or_address(value: &Value) -> Option<IpNet> {
    let text = value.as_string().ok()?;
    network(value).or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

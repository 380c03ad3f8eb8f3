//! The input of rules written for kntrl, which is its `ReportEvent` (`internal/core/domain/event.go`). Pure.

use netns::job::Program;
use serde_json::{Map, Value};

use super::{Protocol, Question};

/// What kntrl has in the place of the names of an address that has none
/// (`internal/handlers/tracer/events_network.go`).
const NAMELESS: &str = ".";

/// The event as kntrl has it when it asks: `policy` is `pass`, `sni` and `ancestors` are absent when empty. For a
/// question for a name, about which kntrl does not ask, `daddr` is empty. Without a program there is none of
/// `pid`, `task_name` and `ancestors`.
pub(super) fn event(question: &Question, program: Option<&Program>) -> Map<String, Value> {
    let Question { protocol, name, address, port, .. } = question;
    let is_udp = matches!(protocol, Protocol::Udp | Protocol::Dns);
    let port = port.or((*protocol == Protocol::Dns).then_some(53));
    let address = address.map(|address| address.to_canonical().to_string());
    let name = name.as_deref();
    let mut event = Map::new();
    event.insert("proto".into(), if is_udp { "udp" } else { "tcp" }.into());
    event.insert("daddr".into(), address.unwrap_or_default().into());
    event.insert("dport".into(), port.unwrap_or_default().into());
    event.insert("domains".into(), vec![name.unwrap_or(NAMELESS)].into());
    event.insert("policy".into(), "pass".into());
    if let (Protocol::Tls, Some(name)) = (protocol, name) {
        event.insert("sni".into(), name.into());
    }
    if let Some(program) = program {
        event.insert("pid".into(), program.pid.into());
        event.insert("task_name".into(), base(&program.exe).into());
        if !program.parents.is_empty() {
            event.insert("ancestors".into(), program.parents.iter().map(|parent| base(parent)).collect());
        }
    }
    event
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

//! An event as one JSON object. Pure.

use serde::Serialize;

use super::{Event, printable};

/// One line of the log: a decision. Keys are absent when unknown. Untrusted text is escaped and cut.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(crate) struct Line<'a> {
    /// When it was decided, or for a connection when it began (RFC 3339).
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    ts: String,
    /// An id of the run.
    session: &'a str,
    /// What came of it; `would-deny` in monitor mode.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::verdicts())))]
    verdict: &'a str,
    /// The layer that decided.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::kinds())))]
    kind: &'a str,
    /// The name that was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The address that the job sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<String>,
    /// The port that the job sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u16>,
    /// Of an HTTP request.
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    /// Of an HTTP request, without its query.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// The program that was run, or the file that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// What was done with the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    access: Option<&'a str>,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Why it was denied, or what went wrong upstream.
    #[cfg_attr(test, schemars(extend("enum" = crate::schema::reasons())))]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// The rule that would allow it.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<String>,
    /// More for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The process, by its number in the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    /// Its executable.
    #[serde(skip_serializing_if = "Option::is_none")]
    exe: Option<String>,
    /// Its command line, without what looks like a secret.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    /// The executables of its ancestors, the nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parents: Vec<String>,
    /// Octets that the host was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_up: Option<u64>,
    /// Octets that the host sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_down: Option<u64>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// So many further ones are like an earlier event.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

/// The object, without a line end.
pub(crate) fn line(event: &Event, session: &str) -> String {
    let shown = |text: &Option<String>| text.as_deref().map(|text| printable(text).into_owned());
    let all = |texts: &[String]| texts.iter().map(|text| printable(text).into_owned()).collect();
    let program = event.program.as_deref();
    let line = Line {
        ts: humantime::format_rfc3339_millis(event.at).to_string(),
        session,
        verdict: event.verdict.as_str(),
        kind: event.kind.as_str(),
        name: shown(&event.name),
        dst: event.destination.map(|address| address.to_string()),
        port: event.port,
        method: shown(&event.method),
        url: shown(&event.url),
        path: shown(&event.path),
        access: event.access,
        rule: shown(&event.rule),
        reason: event.reason.map(policy::Reason::as_str),
        suggestion: shown(&event.suggestion),
        detail: shown(&event.detail),
        pid: program.map(|program| program.pid),
        exe: program.map(|program| printable(&program.exe).into_owned()),
        args: program.map(|program| all(&program.args)).unwrap_or_default(),
        parents: program.map(|program| all(&program.parents)).unwrap_or_default(),
        bytes_up: event.bytes_up,
        bytes_down: event.bytes_down,
        duration_ms: event.duration.map(|duration| duration.as_millis() as u64),
        count: event.count,
    };
    // Strings, numbers and absent fields always serialise.
    serde_json::to_string(&line).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, SystemTime};

    use netns::job::Program;

    use super::*;
    use crate::audit::{Kind, Outcome};

    #[test]
    fn has_the_documented_keys_and_nothing_unknown() {
        let mut event = Event::new(Outcome::Allow, Kind::Tls);
        event.at = SystemTime::UNIX_EPOCH;
        event.name = Some("a.example\n".to_owned());
        event.port = Some(443);
        event.bytes_up = Some(1);
        event.duration = Some(Duration::from_millis(5));
        assert_eq!(
            line(&event, "s1"),
            r#"{"ts":"1970-01-01T00:00:00.000Z","session":"s1","verdict":"allow","kind":"tls","name":"a.example\\n","port":443,"bytes_up":1,"duration_ms":5}"#
        );
    }

    #[test]
    fn a_program_is_told_in_escaped_text() {
        let mut event = Event::new(Outcome::Deny, Kind::Tcp);
        event.at = SystemTime::UNIX_EPOCH;
        event.program = Some(Arc::new(Program {
            pid: 7,
            exe: "/a\nb".to_owned(),
            args: vec!["\u{1b}[2J".to_owned(), String::new()],
            parents: vec!["/bin/\u{fffd}".to_owned()],
        }));
        let line = line(&event, "s1");
        let told = r#""pid":7,"exe":"/a\\nb","args":["\\u{1b}[2J",""],"parents":["/bin/\\u{fffd}"]}"#;
        assert!(line.ends_with(told), "{line}");
    }
}

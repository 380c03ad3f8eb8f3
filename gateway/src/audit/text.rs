//! An event as one line for people. Pure.

use std::fmt::Write;

use netns::job::Program;

use super::{Event, Outcome, printable, shell_word};

/// Characters of a program's name that are shown.
const NAME: usize = 64;
/// Ancestors that are shown.
const PARENTS: usize = 3;

/// `deny tls evil.example:443 (node[812] < npm) not-allowed; to allow: --allow evil.example`, without a
/// line end.
pub(crate) fn line(event: &Event) -> String {
    describe(event, true)
}

/// The same without the process's number: what repeats are folded by.
pub(super) fn subject_of_repeats(event: &Event) -> String {
    describe(event, false)
}

fn describe(event: &Event, numbered: bool) -> String {
    let mut line = format!("{} {}", event.verdict.as_str(), event.kind.as_str());
    // What is about nothing in particular has a detail that says what it is.
    if let Some(subject) = subject(event).or(event.detail.is_none().then(|| "?".to_owned())) {
        line.push(' ');
        line.push_str(&subject);
    }
    if let Some(access) = event.access {
        // Writing to a String cannot fail, here and below.
        let _ = write!(line, " ({access})");
    }
    if let Some(detail) = &event.detail {
        let _ = write!(line, " ({})", printable(detail));
    }
    if let Some(program) = &event.program {
        let _ = write!(line, " ({})", lineage(program, numbered));
    }
    if let Some(reason) = event.reason {
        let _ = write!(line, " {reason}");
    }
    if event.verdict != Outcome::Allow {
        match (&event.rule, &event.suggestion) {
            (Some(rule), _) => {
                let _ = write!(line, "; denied by the rule {}", printable(rule));
            }
            (None, Some(suggestion)) => {
                let _ = write!(line, "; to allow: --allow {}", shell_word(&printable(suggestion)));
            }
            (None, None) => {}
        }
    }
    line
}

/// `node < npm < sh`: a program with its ancestors.
pub fn chain(program: &Program) -> String {
    lineage(program, false)
}

/// The same, or `node[812] < npm < sh`.
fn lineage(program: &Program, numbered: bool) -> String {
    let mut chain = name(&program.exe);
    if numbered {
        let _ = write!(chain, "[{}]", program.pid);
    }
    for parent in program.parents.iter().take(PARENTS) {
        chain.push_str(" < ");
        chain.push_str(&name(parent));
    }
    chain
}

/// The file's name, in which nothing looks like a part of the line.
fn name(exe: &str) -> String {
    // What the kernel says of a file that is unlinked.
    let path = exe.strip_suffix(" (deleted)").unwrap_or(exe);
    let mut name = String::new();
    for character in path.rsplit('/').next().unwrap_or(path).chars() {
        if name.len() >= NAME {
            name.push_str("...");
            break;
        }
        if character.is_ascii_alphanumeric() || "._+-@:,~%=".contains(character) {
            name.push(character);
        } else {
            let _ = write!(name, "{}", character.escape_unicode());
        }
    }
    name
}

/// What the job wanted: a file, method and URL, name and port, or address and port.
fn subject(event: &Event) -> Option<String> {
    if let Some(path) = &event.path {
        return Some(printable(path).into_owned());
    }
    if let Some(url) = &event.url {
        let method = event.method.as_deref().unwrap_or_default();
        return Some(format!("{} {}", word(method), word(url)).trim_start().to_owned());
    }
    let host = match (&event.name, event.destination) {
        (Some(name), _) => word(name),
        (None, Some(std::net::IpAddr::V6(address))) if event.port.is_some() => format!("[{address}]"),
        (None, Some(address)) => address.to_string(),
        (None, None) => return None,
    };
    Some(match event.port {
        Some(port) if event.kind != super::Kind::Dns => format!("{host}:{port}"),
        _ => host,
    })
}

/// Untrusted text that cannot look like what comes after it in the line.
fn word(text: &str) -> String {
    printable(text).replace(' ', "\\u{20}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::Reason;

    use super::*;
    use crate::audit::Kind;

    #[test]
    fn shows_what_why_and_the_remedy() {
        let mut event = Event::new(Outcome::Deny, Kind::Tls);
        event.name = Some("evil.example".to_owned());
        event.port = Some(443);
        event.reason = Some(Reason::NotAllowed);
        event.suggestion = Some("evil.example".to_owned());
        assert_eq!(line(&event), "deny tls evil.example:443 not-allowed; to allow: --allow evil.example");
        event.rule = Some("evil.example".to_owned());
        assert_eq!(line(&event), "deny tls evil.example:443 not-allowed; denied by the rule evil.example");
    }

    #[test]
    fn shows_who() {
        let mut event = Event::new(Outcome::Deny, Kind::Dns);
        event.name = Some("evil.example".to_owned());
        event.detail = Some("A".to_owned());
        let parents = ["/usr/bin/npm", "/tmp/x) y", "/bin/sh (deleted)", "/bin/bash"];
        event.program = Some(Arc::new(Program {
            pid: 812,
            exe: "/usr/bin/node".to_owned(),
            parents: parents.map(str::to_owned).to_vec(),
            ..Program::default()
        }));
        let names = "npm < x\\u{29}\\u{20}y < sh)";
        assert_eq!(line(&event), format!("deny dns evil.example (A) (node[812] < {names}"));
        assert_eq!(subject_of_repeats(&event), format!("deny dns evil.example (A) (node < {names}"));
    }

    #[test]
    fn shows_files() {
        let mut event = Event::new(Outcome::Allow, Kind::File);
        event.path = Some("/home/me/a\nb".to_owned());
        event.access = Some("read");
        event.program = Some(Arc::new(Program { pid: 7, exe: "/bin/cat".to_owned(), ..Program::default() }));
        assert_eq!(line(&event), "allow file /home/me/a\\nb (read) (cat[7])");
    }

    #[test]
    fn forged_lines_stay_one_line() {
        let mut event = Event::new(Outcome::Deny, Kind::Http);
        event.method = Some("GET".to_owned());
        event.url = Some("http://a/\r\ncijail-net: allow".to_owned());
        assert_eq!(line(&event), "deny http GET http://a/\\r\\ncijail-net:\\u{20}allow");
    }

    #[test]
    fn rules_are_quoted_for_the_shell() {
        let mut event = Event::new(Outcome::Deny, Kind::Udp);
        event.destination = "2001:db8::1".parse().ok();
        event.port = Some(123);
        event.suggestion = Some("[2001:db8::1]:123/udp".to_owned());
        assert_eq!(line(&event), "deny udp [2001:db8::1]:123; to allow: --allow '[2001:db8::1]:123/udp'");
    }
}

//! `cijail-net policy learn` and `policy diff`.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use policy::learn::{LearnedRule, Need, learn};
use policy::{Answers, Policy, PolicyBuilder, Rule};

use super::args::{DiffArgs, LearnArgs};
use super::sets::Library;
use super::{Failure, answer, say, sources, write};
use crate::audit::printable;
use crate::exit;
use crate::learn::{Document, DocumentError, EventError, Seen};

/// Logs that nothing was learned of.
#[derive(Debug, thiserror::Error)]
enum LearnError {
    #[error("reading the log {}", path.display())]
    Log { path: PathBuf, source: io::Error },
    #[error("the log {}: {source}; run with --log-format json --log-file FILE to make one", path.display())]
    Event { path: PathBuf, source: EventError },
    #[error("adding rules to {}", path.display())]
    Document { path: PathBuf, source: DocumentError },
}

pub(super) fn main(args: &LearnArgs) -> Result<u8, Failure> {
    let mut seen = Seen::default();
    for path in &args.logs {
        let log = fs::read(path).map_err(|source| LearnError::Log { path: path.clone(), source })?;
        seen.read(&String::from_utf8_lossy(&log), args.denied)
            .map_err(|source| LearnError::Event { path: path.clone(), source })?;
    }
    let before = args.output.as_deref().map(existing).transpose()?.flatten();
    let policy = read_policy(args.output.as_deref().filter(|_| before.is_some()), before.as_deref())?;
    let needs: BTreeSet<Need> = seen.needs.keys().cloned().collect();
    let learned = learn(&needs, &policy, args.fold);
    let failed = |source| LearnError::Document {
        path: args.output.clone().unwrap_or_else(|| "standard output".into()),
        source,
    };
    let mut document = before.as_deref().map_or(Ok(Document::default()), Document::parse).map_err(failed)?;
    let rules: Vec<(LearnedRule, BTreeSet<String>)> = learned
        .rules
        .into_iter()
        .map(|(rule, needs)| {
            let programs = needs.iter().filter_map(|need| seen.needs.get(need)).flatten().cloned();
            (rule, programs.collect())
        })
        .collect();
    document.add(&rules).map_err(failed)?;
    let mut remarks: Vec<String> =
        learned.impossible.iter().map(|need| format!("not allowed: {}", words(need))).collect();
    remarks.extend(seen.others.keys().map(|what| format!("no rule can allow: {}", printable(what))));
    match &args.output {
        None => {
            document.remark(&remarks);
            answer(&document.text())?;
        }
        Some(path) => {
            write::replace(path, &document.text())?;
            say(&format!("{} in {}", added(rules.len()), path.display()));
            if !remarks.is_empty() {
                say(&remarks.join("\n"));
            }
        }
    }
    Ok(0)
}

/// The file's text, if there is one.
fn existing(path: &Path) -> Result<Option<String>, Failure> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = sources::read(path)?;
    // What is not UTF-8 the policy refuses, with the place.
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_policy(path: Option<&Path>, text: Option<&str>) -> Result<Policy, Failure> {
    let mut builder = PolicyBuilder::new();
    if let (Some(path), Some(text)) = (path, text) {
        library().add_file(&mut builder, path, text.as_bytes());
    }
    Ok(builder.build()?)
}

fn library() -> Library {
    Library::new(|name| std::env::var(name).ok(), SystemTime::now())
}

fn added(count: usize) -> String {
    match count {
        0 => "nothing new: no rule added".to_owned(),
        1 => "1 rule added".to_owned(),
        count => format!("{count} rules added"),
    }
}

fn words(need: &Need) -> String {
    match need {
        Need::Resolve(name) => format!("resolving {name}"),
        Need::Private(name) => format!("private addresses of {name}"),
        Need::DnsServer(server) => format!("the DNS server {server}"),
        Need::Tls(name, port) => format!("TLS with {name}:{port}"),
        Need::Http { scheme, host, port, method, path } => {
            format!("{} {scheme}://{host}:{port}{}", printable(method), printable(path))
        }
        Need::Tcp(name, port) => format!("{name}:{port}"),
        Need::TcpAddress(address) => address.to_string(),
        Need::Loopback(port) => format!("localhost:{port}"),
        Need::Udp(name, port) => format!("{name}:{port}/udp"),
        Need::UdpAddress(address) => format!("{address}/udp"),
    }
}

pub(super) fn diff(args: &DiffArgs) -> Result<u8, Failure> {
    let read = |path: &Path| -> Result<BTreeSet<String>, Failure> {
        let mut builder = PolicyBuilder::new();
        library().add_file(&mut builder, path, &sources::read(path)?);
        let policy = builder.build()?;
        Ok(policy.rules().iter().map(line).chain(settings(&policy)).collect())
    };
    let (before, after) = (read(&args.before)?, read(&args.after)?);
    let mut changes: Vec<(&str, char)> = before.difference(&after).map(|line| (line.as_str(), '-')).collect();
    changes.extend(after.difference(&before).map(|line| (line.as_str(), '+')));
    changes.sort_unstable();
    let text: String = changes.iter().map(|(line, sign)| format!("{sign} {}\n", printable(line))).collect();
    answer(&text)?;
    Ok(if changes.is_empty() { 0 } else { exit::NO })
}

/// A rule with all that it says but its note.
fn line(rule: &Rule) -> String {
    let mut line = format!("{} {}", rule.effect(), rule.text());
    if rule.allow_private() {
        line.push_str(" allow-private");
    }
    if let Some(most) = rule.max_names() {
        line.push_str(&format!(" max-names {most}"));
    }
    if let Some(most) = rule.max_upload() {
        line.push_str(&format!(" max-upload {most}"));
    }
    if let Some(file) = rule.client_cert() {
        line.push_str(&format!(" client-cert {file}"));
    }
    line
}

/// The settings that say what is let through.
fn settings(policy: &Policy) -> Vec<String> {
    let dns = policy.dns();
    let answers = match dns.answers {
        Answers::Real => "real",
        Answers::Synthetic => "synthetic",
    };
    let mut settings = vec![
        format!("mode {}", policy.mode()),
        format!("answers {answers}"),
        format!("wildcard-names {}", policy.limits().wildcard_names),
    ];
    settings.extend(dns.resolvers.iter().map(|resolver| format!("resolver {resolver}")));
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_lines_of_their_own() {
        let file = "mode = 'monitor'\n[limits]\nwildcard-names = 7\n\
                    [dns]\nanswers = 'synthetic'\nresolvers = ['192.0.2.1', 'tls://192.0.2.2#dns.test']";
        let mut builder = PolicyBuilder::new();
        builder.add_file("p", file.as_bytes());
        assert_eq!(
            settings(&builder.build().unwrap()),
            [
                "mode monitor",
                "answers synthetic",
                "wildcard-names 7",
                "resolver 192.0.2.1:53",
                "resolver tls://192.0.2.2:853#dns.test"
            ]
        );
    }
}

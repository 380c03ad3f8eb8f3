//! `cijail-net policy check` and `policy explain`.

use std::fmt::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use policy::{
    Lint, Opinion, Policy, PolicyBuilder, PolicyError, Position, Request, Scheme, Verdict, overrule,
    parse_target,
};

use super::args::{CheckArgs, ExplainArgs, PolicyCommand};
use super::sets::{self, Library};
use super::sources::{self, Gathered};
use super::{Failure, answer, learn, rego};
use crate::exit;
use crate::rego::{Question, Rules};
use crate::schema::{Subject, schema};
use crate::upstream::ParentProxies;

pub(super) fn main(command: PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Check(args) => check(&args),
        PolicyCommand::Explain(args) => explain(*args),
        PolicyCommand::Learn(args) => learn::main(&args),
        PolicyCommand::Diff(args) => learn::diff(&args),
        PolicyCommand::Schema => answer(schema(Subject::Policy)).map(|()| 0),
        PolicyCommand::Refresh(args) => sets::refresh(&args),
    }
}

/// Lines about a policy, counted.
#[derive(Default)]
struct Report {
    text: String,
    errors: usize,
    warnings: usize,
}

fn check(args: &CheckArgs) -> Result<u8, Failure> {
    let mut report = Report::default();
    let mut builder = PolicyBuilder::new();
    let mut library = Library::new(|name| std::env::var(name).ok(), SystemTime::now());
    for file in &args.files {
        match sources::read(file) {
            Ok(bytes) => library.add_file(&mut builder, file, &bytes),
            Err(error) => report.error(file.display(), crate::causes::chain(&error)),
        }
    }
    if let Err(error) = rego::read(&args.rego, &[]) {
        report.errors += 1;
        let _ = writeln!(report.text, "{}", plain(&format!("error: {}", crate::causes::chain(&error))));
    }
    let rules = match builder.build() {
        Ok(policy) => {
            report.about(&policy);
            report.dates(&library);
            Some(policy.rules().len())
        }
        Err(errors) => {
            errors.iter().for_each(|error| report.mistake(error));
            None
        }
    };
    let summary = report.summary(rules);
    answer(&report.text)?;
    answer(&summary)?;
    Ok(match report {
        Report { errors: 1.., .. } => exit::FAILED,
        Report { warnings: 1.., .. } if args.strict => exit::NO,
        _ => 0,
    })
}

impl Report {
    /// Advice on rules.
    fn about(&mut self, policy: &Policy) {
        for Lint { rule, kind } in policy::lint(policy) {
            self.warnings += 1;
            self.line(rule.origin(), "warning", format_args!("{}: {kind}", rule.text()));
        }
    }

    /// How old the data of sets is.
    fn dates(&mut self, library: &Library) {
        for note in library.notes() {
            self.warnings += usize::from(note.warns);
            let _ = writeln!(self.text, "{}", plain(&note.to_string()));
        }
    }

    fn mistake(&mut self, error: &PolicyError) {
        let place = match error.position() {
            Some(Position { line, column }) => format!("{}:{line}:{column}", error.source_name()),
            None => error.source_name().to_owned(),
        };
        let text = error.to_string();
        let what = text.strip_prefix(&place).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(&text);
        self.error(place, what);
    }

    fn error(&mut self, place: impl fmt::Display, what: impl fmt::Display) {
        self.errors += 1;
        self.line(place, "error", what);
    }

    /// One line as compilers write it, which editors understand.
    fn line(&mut self, place: impl fmt::Display, kind: &str, what: impl fmt::Display) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{}", plain(&format!("{place}: {kind}: {what}")));
    }

    fn summary(&self, rules: Option<usize>) -> String {
        let rules = rules.map(|count| format!("{}, ", counted(count, "rule"))).unwrap_or_default();
        format!("{rules}{}, {}\n", counted(self.errors, "error"), counted(self.warnings, "warning"))
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn explain(args: ExplainArgs) -> Result<u8, Failure> {
    let ExplainArgs { mut rules, file, target: text } = args;
    if file.is_none() && text.ends_with(".toml") && Path::new(&text).is_file() {
        return Err(format!(
            "write behind the file what to explain, as in `{} example.com:443`",
            plain(&text)
        )
        .into());
    }
    // Settings of further files override it.
    rules.policy = file.into_iter().chain(rules.policy).collect();
    let variable = |name: &str| std::env::var(name).ok();
    let target = parse_target(&text).map_err(|error| plain(&error.to_string()))?;
    let proxies = ParentProxies::from_environment(variable)?;
    let Gathered { policy, notes } =
        sources::gather(&rules, variable, &proxies.names(), sources::Watched::default())?;
    let mut others = rego::read(&rules.rego, &rules.label)?;
    let requests = target.requests();
    let opinions: Vec<Opinion> = requests.iter().map(|request| opinion(others.as_mut(), request)).collect();
    let outcome = Outcome::of(&policy, &requests, &opinions);
    let mut shown = String::new();
    for (request, opinion) in requests.iter().zip(&opinions) {
        for line in policy.explain(request).to_string().lines() {
            // Writing to a String cannot fail.
            let _ = writeln!(shown, "{}", plain(line));
        }
        let verdict = policy.judge(request);
        if let Some(overruled) = overrule(verdict.standing(request), opinion.advice) {
            let detail = opinion.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
            let _ = writeln!(shown, "  with Rego     {}", plain(&format!("{overruled}{detail}")));
        }
    }
    if others.is_some_and(|others| others.looks_at_process()) {
        shown.push_str("\nthe Rego rules may look at the process, which has none of its keys here\n");
    }
    let _ = writeln!(shown, "\n{}", plain(&format!("{}: {outcome}", text.trim())));
    for note in notes {
        let _ = writeln!(shown, "{}", plain(&note.to_string()));
    }
    if policy.mode() == policy::Mode::Monitor {
        shown.push_str("the mode is monitor: what is denied passes and is recorded\n");
    }
    answer(&shown)?;
    Ok(if outcome.is_allowed() { 0 } else { exit::NO })
}

/// What the rules beside the policy's say to a request of nobody in particular.
fn opinion(others: Option<&mut Rules>, request: &Request<'_>) -> Opinion {
    let question = Question::about(request);
    others.zip(question).map(|(rules, question)| rules.evaluate(question.input(None))).unwrap_or_default()
}

/// What becomes of a target as a whole.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Something that every way there needs is denied, or every way is.
    Denied,
    /// Ways there that are allowed, and ways that are not.
    Allowed { ways: Vec<&'static str>, others: Vec<&'static str> },
}

impl Outcome {
    /// A name must resolve, and a request inside TLS needs TLS; what else there is are ways.
    fn of(policy: &Policy, requests: &[Request<'_>], opinions: &[Opinion]) -> Outcome {
        let is_allowed = |request: &Request<'_>| {
            let advice = requests.iter().position(|other| other == request).and_then(|at| opinions.get(at));
            let advice = advice.map(|opinion| opinion.advice).unwrap_or_default();
            matches!(policy.judge(request).advised(request, advice), Verdict::Allow(_))
        };
        let inside_tls =
            requests.iter().any(|request| matches!(request, Request::Http { scheme: Scheme::Https, .. }));
        let is_needed = |request: &Request<'_>| match request {
            Request::Resolve { .. } => true,
            Request::Tls { .. } => inside_tls,
            _ => false,
        };
        let (needed, ways): (Vec<&Request<'_>>, Vec<_>) =
            requests.iter().partition(|request| is_needed(request));
        let (allowed, denied): (Vec<&Request<'_>>, Vec<_>) =
            ways.into_iter().partition(|request| is_allowed(request));
        if allowed.is_empty() || !needed.into_iter().all(is_allowed) {
            return Outcome::Denied;
        }
        let names = |requests: Vec<&Request<'_>>| requests.into_iter().map(layer).collect();
        Outcome::Allowed { ways: names(allowed), others: names(denied) }
    }

    fn is_allowed(&self) -> bool {
        matches!(self, Outcome::Allowed { .. })
    }
}

/// `allowed as tls; denied as http, tcp`
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Denied => f.write_str("denied"),
            Outcome::Allowed { others, .. } if others.is_empty() => f.write_str("allowed"),
            Outcome::Allowed { ways, others } => {
                write!(f, "allowed as {}; denied as {}", ways.join(", "), others.join(", "))
            }
        }
    }
}

fn layer(request: &Request<'_>) -> &'static str {
    match request {
        Request::Resolve { .. } | Request::Resolved { .. } | Request::DnsServer { .. } => "dns",
        Request::Tls { .. } => "tls",
        Request::Http { .. } => "http",
        Request::Tcp { .. } | Request::TcpAddress { .. } => "tcp",
        Request::Udp { .. } | Request::UdpAddress { .. } => "udp",
    }
}

/// The line without characters that a terminal would act on or hide.
fn plain(line: &str) -> String {
    let acts = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(line.len());
    for character in line.chars() {
        if acts(character) {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(file: &str) -> Policy {
        let mut builder = PolicyBuilder::new();
        builder.add_file("p.toml", file.as_bytes());
        builder.build().unwrap()
    }

    #[test]
    fn reports_lints() {
        let mut report = Report::default();
        report.about(&policy("allow = [\n  '*.zz',\n  'GET https://a.test/p',\n]"));
        let lines: Vec<&str> = report.text.lines().collect();
        assert_eq!(lines, ["p.toml:2:3: warning: *.zz: anyone can register a name that this allows"]);
        assert_eq!(report.summary(Some(2)), "2 rules, 0 errors, 1 warning\n");
    }

    #[test]
    fn a_target_is_allowed_if_one_way_is() {
        let policy = policy("allow = ['a.test', 'http://b.test/p', 'c.test:22', '192.0.2.1:80']");
        let outcome =
            |target: &str| Outcome::of(&policy, &parse_target(target).unwrap().requests(), &[]).to_string();
        assert_eq!(outcome("a.test"), "allowed");
        assert_eq!(outcome("a.test:443"), "allowed as tls; denied as http, tcp");
        assert_eq!(outcome("https://a.test/x"), "allowed");
        assert_eq!(outcome("https://b.test/p"), "denied");
        assert_eq!(outcome("http://b.test/p/q"), "allowed");
        assert_eq!(outcome("http://b.test/q"), "denied");
        assert_eq!(outcome("c.test:22"), "allowed");
        assert_eq!(outcome("c.test:22/udp"), "denied");
        assert_eq!(outcome("192.0.2.1:80"), "allowed");
        assert_eq!(outcome("192.0.2.1:53"), "denied");
    }

    #[test]
    fn nothing_reaches_the_terminal() {
        assert_eq!(plain("a\x1b[2J\u{202e}é"), "a\\u{1b}[2J\\u{202e}é");
    }
}

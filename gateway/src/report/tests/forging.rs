//! Whatever a job puts into whichever field, it is text in every format, and no more.

use std::sync::Arc;

use netns::job::Program;
use proptest::prelude::*;

use super::*;
use crate::audit::{json_line, text_line};

const FRAGMENTS: &[&str] = &[
    "<script>alert(1)</script>",
    "</title>",
    "<!--",
    "-->",
    "]]>",
    "<![CDATA[",
    "&lt;",
    "&#60;",
    "\" onload=\"x",
    "' onload='x",
    "|",
    "\\|",
    "`",
    "``",
    "::error::x",
    "::add-mask::",
    "%0A",
    "%0D%0A::error::",
    "##[error]",
    "##vso[task.complete]",
    "#",
    "\n",
    "\r\n",
    "\r\ncijail-net: allow tls x",
    "\0",
    "\u{1b}[2J",
    "\u{9b}2J",
    "\u{1b}]8;;http://x\u{7}",
    "\u{202e}",
    "\u{2066}",
    "\u{2028}",
    "\u{200b}",
    "\u{feff}",
    "\u{fffd}",
    "é",
    "\\",
    "{0}",
    "[a](http://x)",
    "![a](x)",
    "$(id)",
    "${{ x }}",
    "';id;'",
    "~~~",
    "---",
    " ",
    " < sh",
    "http://a/",
    "@all",
    "\t",
];

const FIELDS: &[&str] = &["name", "method", "url", "exe", "args", "parents", "detail", "rule", "suggestion"];

fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        9 => proptest::sample::select(FRAGMENTS).prop_map(str::to_owned),
        2 => "\\PC{1,9}",
        1 => any::<char>().prop_map(String::from),
        1 => Just("A".repeat(5_000)),
    ];
    proptest::collection::vec(fragment, 1..9).prop_map(|parts| parts.concat())
}

/// A denial in which one field is the job's choice.
fn denial(field: &str, text: &str) -> Event {
    let mut event = runs::event(Outcome::Deny, Kind::Http, "a.test", 80, 5);
    let mut program =
        Program { pid: 7, exe: "/bin/a".into(), args: vec!["a".into()], parents: vec!["/bin/b".into()] };
    (event.method, event.url) = (Some("GET".to_owned()), Some("http://a.test/".to_owned()));
    event.detail = Some("d".to_owned());
    let text = text.to_owned();
    match field {
        "name" => event.name = Some(text),
        "method" => event.method = Some(text),
        "url" => event.url = Some(text),
        "exe" => program.exe = text,
        "args" => program.args = vec![text.clone(), text],
        "parents" => program.parents = vec![text.clone(), text],
        "detail" => event.detail = Some(text),
        "rule" => (event.rule, event.suggestion) = (Some(text), None),
        _ => event.suggestion = Some(text),
    }
    event.program = Some(Arc::new(program));
    event
}

/// Every format of the log and of reports, by name.
fn formats(event: &Event) -> Vec<(&'static str, String)> {
    let mut summary = Summary::new(&runs::policy(Mode::Enforce, &[]), runs::start());
    summary.add(event);
    summary.end(End { at: runs::start() + Duration::from_secs(1), command: Some(0), status: 0 });
    let report = |format| summary.write(format, 80);
    vec![
        ("text log", text_line(event)),
        ("json log", json_line(event, "s")),
        ("text", report(ReportFormat::Text)),
        ("markdown", report(ReportFormat::Markdown)),
        ("html", report(ReportFormat::Html)),
        ("json", report(ReportFormat::Json)),
        ("junit", report(ReportFormat::Junit)),
        ("sarif", report(ReportFormat::Sarif)),
        ("annotations", annotations(&summary)),
    ]
}

/// What a reader of the format takes for structure.
fn structure(format: &str, text: &str) -> String {
    let marks =
        |marks: &'static str| text.chars().filter(move |character| marks.contains(*character)).collect();
    match format {
        "html" | "junit" => tags(text),
        "markdown" => {
            text.replace("\\|", "").chars().filter(|character| "`|\n".contains(*character)).collect()
        }
        "json" | "sarif" | "json log" => shape(&serde_json::from_str(text).unwrap()),
        // Its lines may be cut into more.
        "text" => text.lines().filter(|line| !line.starts_with("      ")).map(|line| &line[..5]).collect(),
        _ => marks("\n"),
    }
}

/// Tags with the names of their attributes.
fn tags(text: &str) -> String {
    let mut structure = String::new();
    for tag in text.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap();
        let outside_quotes = tag.split('"').step_by(2);
        structure.push_str(&outside_quotes.collect::<String>());
        structure.push('\n');
    }
    structure
}

/// Keys, and the kinds of values.
fn shape(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Object(members) => {
            members.iter().map(|(key, value)| format!("{key}{{{}}}", shape(value))).collect()
        }
        serde_json::Value::Array(values) => values.iter().map(shape).collect(),
        serde_json::Value::String(_) => "s".to_owned(),
        other => other.to_string(),
    }
}

fn assert_inert(field: &str, text: &str) {
    let harmless = formats(&denial(field, "harmless"));
    for ((format, shown), (_, plain)) in formats(&denial(field, text)).iter().zip(&harmless) {
        let context = format!("{field} {text:?} as {format}: {shown}");
        let printable = |character| matches!(character, '\n' | ' '..='~' | '❌');
        assert!(shown.chars().all(printable), "{context}");
        assert_eq!(structure(format, shown), structure(format, plain), "{context}");
        for line in shown.lines() {
            // Headings of Markdown begin with such.
            assert!(!line.trim_start_matches('#').contains("##"), "{context}");
            assert!(!line.trim_start().starts_with("::") || *format == "annotations", "{context}");
            assert!(*format != "text" || line.len() <= 80, "{context}");
        }
        assert!(!(*format == "annotations" && shown.replace("%25", "").contains('%')), "{context}");
        if *format == "sarif" {
            let sarif: serde_json::Value = serde_json::from_str(shown).unwrap();
            let message = sarif["runs"][0]["results"][0]["message"]["text"].as_str().unwrap();
            assert!(!message.replace("\\]", "").contains("]("), "a link: {context}");
            assert!(
                !message.replace("{{", "").replace("}}", "").contains(['{', '}']),
                "a placeholder: {context}"
            );
        }
        assert!(shown.len() < plain.len() + 20_000, "{context}");
    }
}

#[test]
fn each_fragment_in_each_field_is_inert() {
    for field in FIELDS {
        for fragment in FRAGMENTS {
            assert_inert(field, fragment);
            assert_inert(field, &fragment.repeat(300));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn mixtures_in_each_field_are_inert(field in proptest::sample::select(FIELDS), text in hostile()) {
        assert_inert(field, &text);
    }
}

//! What rules say, and that nothing which goes wrong with them allows.

use std::collections::BTreeSet;
use std::time::Instant;

use netns::job::Program;
use policy::{Advice, Objection};
use proptest::prelude::*;
use serde_json::json;

use super::*;

mod kntrl;

fn module(text: &str) -> Document {
    Document::Module { source: "a.rego".into(), text: text.into() }
}

fn rules(body: &str) -> Rules {
    Rules::new(&[module(&format!("package cijail\n\nimport rego.v1\n\n{body}"))]).unwrap()
}

fn to(name: &str, port: u16) -> Question {
    Question { name: Some(name.into()), port: Some(port), ..Question::new(Protocol::Tls) }
}

/// The input of both kinds of rules, as it is.
fn raw(input: &serde_json::Value) -> Input {
    let input = input.as_object().unwrap();
    Input { cijail: input.clone(), kntrl: input.clone() }
}

fn npm() -> Program {
    Program {
        pid: 12,
        exe: "/usr/bin/curl".into(),
        args: vec!["curl".into(), "-s".into()],
        parents: vec!["/usr/bin/bash".into(), "/usr/local/bin/npm".into()],
    }
}

#[test]
fn allow_and_deny() {
    let mut rules = rules(
        "allow if input.name == \"good.test\"\nallow if { input.port == 22; input.protocol == \"tcp\" }\n\
         deny if endswith(input.name, \".evil.test\")\n",
    );
    let mut advice = |question: Question| rules.evaluate(question.input(None)).advice;
    assert_eq!(advice(to("good.test", 443)), Advice::Allow);
    assert_eq!(advice(to("other.test", 443)), Advice::Silent);
    assert_eq!(advice(to("a.evil.test", 443)), Advice::Deny(Objection::Rule));
    assert_eq!(advice(Question { protocol: Protocol::Tcp, ..to("x.test", 22) }), Advice::Allow);
    assert_eq!(advice(Question::new(Protocol::Tcp)), Advice::Silent);
}

#[test]
fn deny_wins_and_may_give_reasons() {
    let mut rules =
        rules("default allow := true\ndeny contains msg if { input.port == 25; msg := \"no mail\" }\n");
    assert_eq!(rules.evaluate(to("a.test", 443).input(None)).advice, Advice::Allow);
    let opinion = rules.evaluate(to("a.test", 25).input(None));
    assert_eq!(opinion.advice, Advice::Deny(Objection::Rule));
    assert_eq!(opinion.detail.as_deref(), Some("data.cijail.deny: no mail"));
}

#[test]
fn the_process_and_its_ancestors() {
    let mut rules = rules(
        "allow if { input.process.exe == \"/usr/bin/curl\"; input.process.parents[_] == \"/usr/local/bin/npm\" }\n\
         deny if \"--evil\" in input.process.args\n",
    );
    assert!(rules.looks_at_process());
    let question = to("a.test", 443);
    assert_eq!(rules.evaluate(question.input(Some(&npm()))).advice, Advice::Allow);
    let evil = Program { args: vec!["curl".into(), "--evil".into()], ..npm() };
    assert_eq!(rules.evaluate(question.input(Some(&evil))).advice, Advice::Deny(Objection::Rule));
    assert_eq!(rules.evaluate(question.input(None)).advice, Advice::Silent);
}

/// Rules that look only at plain keys are not asked anew for another process.
#[test]
fn plain_keys_are_those_without_a_process() {
    let url = "http://a.test/".to_owned();
    let full = |protocol| Question {
        name: Some("a.test".into()),
        address: Some("192.0.2.1".parse().unwrap()),
        port: Some(80),
        method: Some("GET".into()),
        url: Some(url.clone()),
        ..Question::new(protocol)
    };
    let keys = |question: Question, program: Option<&Program>| {
        let Input { cijail, kntrl } = question.input(program);
        cijail.into_iter().chain(kntrl).map(|(key, _)| key).collect::<BTreeSet<String>>()
    };
    let mut without: BTreeSet<String> =
        [Protocol::Tls, Protocol::Http].into_iter().flat_map(|protocol| keys(full(protocol), None)).collect();
    without.insert("labels".to_owned());
    let plain = BTreeSet::from(looks::PLAIN.map(str::to_owned));
    assert_eq!(without, plain);
    let with = keys(full(Protocol::Tls), Some(&npm()));
    let of_the_process: Vec<&str> = with.difference(&plain).map(String::as_str).collect();
    assert_eq!(of_the_process, ["ancestors", "pid", "process", "task_name"]);
}

#[test]
fn the_labels_of_the_run() {
    let body = "allow if { input.labels.stage == \"install\"; input.labels[\"ci/branch\"] == \"main\" }\n\
                deny if count(input.labels) == 0\n";
    let advice = |labels: &[&str]| {
        let mut rules = rules(body).with_labels(&Labels::parse(labels).unwrap());
        assert!(!rules.looks_at_process());
        rules.evaluate(to("a.test", 443).input(None)).advice
    };
    assert_eq!(advice(&["stage=install", "ci/branch=main"]), Advice::Allow);
    assert_eq!(advice(&["stage=install", "ci/branch=main2"]), Advice::Silent);
    assert_eq!(advice(&["stage=install"]), Advice::Silent);
    assert_eq!(advice(&[]), Advice::Deny(Objection::Rule));
}

#[test]
fn what_is_no_answer_denies() {
    for body in [
        "allow := 5",
        "allow := \"yes\"",
        "allow := {\"a\"}",
        "deny := {}",
        "deny := \"no\"",
        "allow := null",
    ] {
        let opinion = rules(body).evaluate(to("a.test", 443).input(None));
        assert_eq!(opinion.advice, Advice::Deny(Objection::Error), "{body}");
        assert!(opinion.detail.unwrap().contains("neither true nor false"));
    }
}

#[test]
fn a_rule_that_fails_denies() {
    // Two values for one rule.
    let mut rules =
        rules("f(x) := 1 if x != \"\"\nf(x) := 2 if x == \"a.test\"\nallow if f(input.name) > 0\n");
    assert_eq!(rules.evaluate(to("b.test", 443).input(None)).advice, Advice::Allow);
    let opinion = rules.evaluate(to("a.test", 443).input(None));
    assert_eq!(opinion.advice, Advice::Deny(Objection::Error), "{opinion:?}");
    // The engine goes on.
    assert_eq!(rules.evaluate(to("b.test", 443).input(None)).advice, Advice::Allow);
}

#[test]
fn what_a_failed_rule_replaced_is_as_before() {
    let mut rules = rules(
        "safe(x) if x == \"good.test\"\nanything(_) := true\nallow if safe(input.name)\n\
         deny if {\n\tinput.name == \"fails.test\"\n\tsafe(1) with safe as anything with input.port as to_number(input.name)\n}\n",
    );
    assert_eq!(rules.evaluate(to("evil.test", 443).input(None)).advice, Advice::Silent);
    let opinion = rules.evaluate(to("fails.test", 443).input(None));
    assert_eq!(opinion.advice, Advice::Deny(Objection::Error), "{opinion:?}");
    assert_eq!(rules.evaluate(to("evil.test", 443).input(None)).advice, Advice::Silent);
}

const ENDLESS: &str = "allow if { input.name == \"slow.test\"; some a in numbers.range(1, 100000); \
                       some b in numbers.range(1, 100000); a * b == 0 }\nallow if input.name == \"good.test\"\n";

#[test]
fn an_endless_rule_is_stopped_and_denies() {
    let mut rules = rules(ENDLESS);
    let start = Instant::now();
    let opinion = rules.evaluate(to("slow.test", 443).input(None));
    assert_eq!(opinion.advice, Advice::Deny(Objection::Deadline), "{opinion:?}");
    assert!(start.elapsed().as_secs() < 30);
    assert_eq!(rules.evaluate(to("good.test", 443).input(None)).advice, Advice::Allow);
}

#[test]
fn nothing_outside_is_in_reach() {
    for call in [
        "http.send({\"method\": \"get\", \"url\": \"http://a.test\"})",
        "opa.runtime()",
        "time.now_ns()",
        "rand.intn(\"x\", 5)",
        "uuid.rfc4122(\"x\")",
        "net.lookup_ip_addr(\"a.test\")",
    ] {
        let modules = [module(&format!("package cijail\nimport rego.v1\nallow if {call}\n"))];
        // Refused at once, or at the latest when it is asked.
        if let Ok(mut rules) = Rules::new(&modules) {
            assert_eq!(rules.evaluate(raw(&json!({}))).advice, Advice::Deny(Objection::Error), "{call}");
        }
    }
}

#[test]
fn mistakes_have_a_place() {
    let error = |text: &str| Rules::new(&[module(text)]).unwrap_err().to_string();
    assert!(
        error("package cijail\nimport rego.v1\nallow if {\n  input.name = = 5\n}\n").starts_with("a.rego:4:")
    );
    assert!(error("package cijail\nimport rego.v1\nallow if x == 1\n").starts_with("a.rego:3:"));
    assert!(error("package other\nimport rego.v1\nallow := true\n").contains("none of the rules"));
    assert!(error("package cijail\nimport rego.v1\nallow if allow\n").contains("recursi"));
    let error = |second: &str| {
        let first =
            "package a[\"b\"]\nimport rego.v1\nf(x) if x == 1\nf(x) if x == 2\ng[x] := x if some x in [1]\n";
        let named = |source: &str, text: &str| Document::Module { source: source.into(), text: text.into() };
        let ours = "package cijail\nimport rego.v1\nallow if data.a.b.f(input.port)\n";
        let documents = [named("1.rego", first), module(ours), named("2.rego", second)];
        Rules::new(&documents).map_err(|error| error.to_string())
    };
    let twice = "2.rego:3:1: the function a.b.f is in 1.rego as well: write all of it into one file";
    assert_eq!(error("package a.b\nimport rego.v1\nf(x) if x == 3\n").unwrap_err(), twice);
    assert_eq!(error("package a\nimport rego.v1\nb.f(x) if x == 3\n").unwrap_err(), twice);
    let mut others = error("package a.c\nimport rego.v1\nf(x) if data.a.b.f(x)\n").unwrap();
    assert_eq!(others.evaluate(to("a.test", 2).input(None)).advice, Advice::Allow);
    let data = |text: &str| Document::Data { source: "data.json".into(), path: vec![], text: text.into() };
    let error = |documents: &[Document]| Rules::new(documents).unwrap_err().to_string();
    assert!(error(&[data("{")]).starts_with("data.json: "));
    assert!(error(&[data("[]")]).contains("object"));
    let twice = [data("{\"a\": 1}"), data("{\"a\": 2}")];
    assert!(error(&twice).starts_with("data.json: "));
}

#[test]
fn functions_do_not_call_themselves() {
    let read = |second: &str| {
        let first = "package cijail\nimport rego.v1\nimport data.lib as l\nimport data.other.h\n\
                     allow if f(input.name)\nf(x) if l.g(x)\nf(x) if h(x)\n";
        let named = |source: &str, text: &str| Document::Module { source: source.into(), text: text.into() };
        let documents = [named("1.rego", first), named("2.rego", &format!("{second}\n"))];
        Rules::new(&documents).map(drop).map_err(|error| error.to_string())
    };
    let lib = "package lib\nimport rego.v1\n";
    let other = "package other\nimport rego.v1\ng(x) if x == 1\n";
    let recurs = |place: &str, name: &str| {
        Err(format!("{place}: recursion: the function data.{name} comes to call itself"))
    };
    for (second, outcome) in [
        (format!("{lib}g(x) if count([y | g(y)]) > count(x)"), recurs("2.rego:3:1", "lib.g")),
        (format!("{lib}g(x) if data[\"cijail\"].f(x)"), recurs("1.rego:6:1", "cijail.f")),
        (format!("{other}h(x) if data.cijail.f(x) else := 2"), recurs("1.rego:6:1", "cijail.f")),
        (format!("{lib}g(x) if not f(x)\nf(x) if data.lib.g2(x)\ng2(x) if x == \"g\""), Ok(())),
        (format!("{other}h(x) if g(x)"), Ok(())),
    ] {
        // The other package's function is missing, which only a call would tell.
        assert_eq!(read(&second), outcome, "{second}");
    }
}

#[tokio::test]
async fn asked_from_elsewhere() {
    let rego = Rego::start(rules(ENDLESS)).unwrap();
    for _ in 0..3 {
        assert_eq!(rego.advise(to("good.test", 443), None).await.advice, Advice::Allow);
        assert_eq!(rego.advise(to("other.test", 443), None).await.advice, Advice::Silent);
    }
    let opinion = rego.advise(to("slow.test", 443), None).await;
    assert_eq!(opinion.advice, Advice::Deny(Objection::Deadline), "{opinion:?}");
    // Who is not known is denied where it matters.
    let rego = Rego::start(rules("allow if input.process.pid > 0")).unwrap();
    assert_eq!(rego.advise(to("a.test", 1), None).await.advice, Advice::Deny(Objection::Process));
    let origin = Origin::new(Instant::now(), true);
    origin.settle(Some(std::sync::Arc::new(npm())));
    assert_eq!(rego.advise(to("a.test", 1), Some(&origin)).await.advice, Advice::Allow);
    let nobody = Origin::new(Instant::now(), true);
    nobody.settle(None);
    assert_eq!(rego.advise(to("a.test", 1), Some(&nobody)).await.advice, Advice::Deny(Objection::Process));
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map| map.into_iter().collect::<serde_json::Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Whatever the input is, there is an opinion, and only the rule's own condition makes it allow.
    #[test]
    fn any_input_has_an_opinion(name in any::<String>(), args in prop::collection::vec(any::<String>(), 0..4), extra in json_value()) {
        let mut rules = rules(
            "allow if { input.name == \"good.test\"; count(input.process.args) >= 0 }\n\
             deny if regex.match(\"^x+y$\", input.process.args[_])\ndeny if input.extra.a.b[_].c\n",
        );
        let program = Program { args: args.clone(), ..npm() };
        let question = Question { name: Some(name.clone()), ..Question::new(Protocol::Tls) };
        let mut input = question.input(Some(&program));
        input.cijail.insert("extra".into(), extra);
        let opinion = rules.evaluate(input);
        if opinion.advice == Advice::Allow {
            prop_assert_eq!(name, "good.test");
        }
    }

    /// Whatever a module is, it is read or refused.
    #[test]
    fn any_module_is_read_or_refused(text in "(package cijail\n)?[\\PC\n]{0,120}") {
        if let Ok(mut rules) = Rules::new(&[module(&text)]) {
            rules.evaluate(raw(&json!({ "name": "a" })));
        }
    }

    /// An answer of any kind but a boolean denies.
    #[test]
    fn any_other_answer_denies(answer in json_value()) {
        let opinion = rules(&format!("allow := {answer}\n")).evaluate(raw(&json!({})));
        let wanted = match answer {
            serde_json::Value::Bool(true) => Advice::Allow,
            serde_json::Value::Bool(false) => Advice::Silent,
            _ => Advice::Deny(Objection::Error),
        };
        prop_assert_eq!(opinion.advice, wanted);
    }
}

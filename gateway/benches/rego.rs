//! What a decision costs: by the policy alone, and with rules in Rego beside it. Figures on standard output.
#![expect(clippy::print_stdout, reason = "figures are for people")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gateway::audit::Origin;
use gateway::rego::{Document, Protocol, Question, Rego, Rules};
use netns::job::Program;
use policy::{Name, PolicyBuilder, Request};

const SIMPLE: &str = "package cijail\nimport rego.v1\nallow if input.name in {\"a.test\", \"b.test\"}\ndeny if endswith(input.name, \".evil.test\")\n";
const PROCESS: &str = "package cijail\nimport rego.v1\nallow if { input.name == \"a.test\"; endswith(input.process.exe, \"/curl\") }\n\
    deny if { some parent in input.process.parents; endswith(parent, \"/npm\") }\n";
const RANGES: &str =
    "package cijail\nimport rego.v1\nallow if net.cidr_contains(data.ranges[_], input.address)\n";

/// Runs for about half a second.
fn each(what: &str, mut once: impl FnMut(u64)) {
    let (start, mut count) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_millis(500) {
        once(count);
        count += 1;
    }
    println!("{what:<56} {:>10.2} us", start.elapsed().as_secs_f64() * 1e6 / count as f64);
}

fn rego(text: &str, ranges: usize) -> Rego {
    let list: Vec<String> = (0..ranges).map(|n| format!("\"100.{}.{}.0/24\"", n / 256, n % 256)).collect();
    let documents = [
        Document::Module { source: "bench.rego".into(), text: text.into() },
        Document::Data {
            source: "data.json".into(),
            path: vec!["ranges".into()],
            text: format!("[{}]", list.join(",")),
        },
    ];
    let rules = Rules::new(&documents).unwrap_or_else(|error| panic!("{error}"));
    Rego::start(rules).unwrap_or_else(|error| panic!("{error}"))
}

fn tls(name: String) -> Question {
    Question { name: Some(name), port: Some(443), ..Question::new(Protocol::Tls) }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("{error}"));
    let mut builder = PolicyBuilder::new();
    builder.add_allow("a.test");
    let policy = builder.build().unwrap_or_else(|error| panic!("{error}"));
    let name = Name::parse("a.test").unwrap_or_else(|error| panic!("{error}"));
    each("policy alone", |_| {
        black_box(policy.judge(&Request::Tls { name: &name, port: 443 }));
    });
    let simple = rego(SIMPLE, 0);
    let ask = |rego: &Rego, question: Question, origin: Option<&Origin>| {
        black_box(runtime.block_on(rego.advise(question, origin)));
    };
    each("Rego, asked before", |_| ask(&simple, tls("a.test".into()), None));
    each("Rego, new name each time", |n| ask(&simple, tls(format!("n{n}.test")), None));
    let process = rego(PROCESS, 0);
    let origin = Origin::new(Instant::now(), true);
    origin.settle(Some(Arc::new(Program {
        pid: 9,
        exe: "/usr/bin/curl".into(),
        args: vec!["curl".into(); 5],
        parents: vec!["/usr/bin/bash".into(); 8],
    })));
    each("Rego that looks at the process, which is known", |_| {
        ask(&process, tls("a.test".into()), Some(&origin))
    });
    let ranges = rego(RANGES, 5000);
    each("Rego over 5,000 ranges, new address each time", |n| {
        let address = std::net::Ipv4Addr::from(0xcb00_7100 + (n as u32 & 0xffff));
        let question =
            Question { address: Some(address.into()), port: Some(443), ..Question::new(Protocol::Tcp) };
        ask(&ranges, question, None);
    });
}

//! The published JSON Schemas: what the program writes fits them, and so do the policies that it takes; the mistakes
//! that they can see are those that it refuses.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};
use toml_edit::{DocumentMut, Item};

use crate::jail::Jail;
use crate::learn::{learn_from, monitored};
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const EVENTS: &str = include_str!("../docs/schemas/events.json");
const REPORT: &str = include_str!("../docs/schemas/report.json");
const TOP: &str = include_str!("../docs/schemas/top.json");
const POLICY: &str = include_str!("../docs/schemas/policy.json");

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, output_fits, schemas_are_printed, policies_fit, mistakes_do_not);
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(EVENTS).unwrap());

/// What can be seen of an event without a validator; every line of every run's log is looked at.
#[track_caller]
pub(crate) fn assert_is_event(line: &Value) {
    let (keys, properties) = (line.as_object().unwrap(), SCHEMA["properties"].as_object().unwrap());
    for (key, value) in keys {
        let property = properties.get(key).unwrap_or_else(|| panic!("{key} is in no schema: {line}"));
        let is_known = property.get("enum").is_none_or(|words| words.as_array().unwrap().contains(value));
        let kind = match value {
            Value::String(_) => "string",
            Value::Number(_) => "integer",
            Value::Array(_) => "array",
            _ => "nothing of the kind",
        };
        assert!(is_known && property["type"] == kind, "{key} does not fit the schema: {line}");
    }
    for key in SCHEMA["required"].as_array().unwrap() {
        assert!(keys.contains_key(key.as_str().unwrap()), "{key} is missing: {line}");
    }
}

/// What `top --json` prints fits its schema.
#[track_caller]
pub(crate) fn assert_is_snapshot(value: &Value) {
    assert_eq!(complaints(TOP, std::slice::from_ref(value)), [[""; 0]], "{value}");
}

/// A real validator's complaints about each instance.
fn complaints(schema: &str, instances: &[Value]) -> Vec<Vec<String>> {
    const SCRIPT: &str = "\
import json, sys
from jsonschema import Draft202012Validator
given = json.load(sys.stdin)
Draft202012Validator.check_schema(given['schema'])
validator = Draft202012Validator(given['schema'])
print(json.dumps([[error.message for error in validator.iter_errors(one)] for one in given['instances']]))
";
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let schema: Value = serde_json::from_str(schema).unwrap();
    let given = json!({ "schema": schema, "instances": instances }).to_string();
    python.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_fit(schema: &str, instances: &[Value]) {
    for (instance, complaints) in instances.iter().zip(complaints(schema, instances)) {
        assert!(complaints.is_empty(), "{complaints:?}: {instance}");
    }
}

/// A TOML file as the same in JSON.
fn in_json(file: &str) -> Value {
    of_item(file.parse::<DocumentMut>().unwrap().as_item())
}

fn of_item(item: &Item) -> Value {
    let of_table = |table: &dyn toml_edit::TableLike| {
        Value::Object(table.iter().map(|(key, item)| (key.to_owned(), of_item(item))).collect())
    };
    match item {
        Item::None => Value::Null,
        Item::Value(value) => of_value(value),
        Item::Table(table) => of_table(table),
        Item::ArrayOfTables(tables) => tables.iter().map(|table| of_table(table)).collect(),
    }
}

fn of_value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => text.value().as_str().into(),
        toml_edit::Value::Integer(number) => (*number.value()).into(),
        toml_edit::Value::Float(number) => (*number.value()).into(),
        toml_edit::Value::Boolean(boolean) => (*boolean.value()).into(),
        toml_edit::Value::Datetime(date) => date.value().to_string().into(),
        toml_edit::Value::Array(values) => values.iter().map(of_value).collect(),
        toml_edit::Value::InlineTable(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.to_owned(), of_value(value))).collect())
        }
    }
}

/// Something of every kind, allowed and not.
const EVERYTHING: &str = "\
import http.client, socket, ssl, urllib.request
def quietly(work):
    try: work()
    except OSError: pass
def datagram(host, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    s.connect((host, port))
    s.send(b'x')
    s.recv(9)
def odd():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
    s.sendto(b'x', ('198.51.100.66', 9))
def tls(name, host):
    context = ssl.create_default_context()
    with socket.create_connection((host, 443), 3) as s: context.wrap_socket(s, server_hostname=name).close()
def said(host, port):
    with socket.create_connection((host, port), 3) as s:
        s.sendall(b'\\xff')
        s.recv(1)
for url in ('https://good.test/', 'https://opened.test/p/', 'https://opened.test/q', 'http://good.test/?q', 'https://evil.test/', 'http://down.test/'):
    quietly(lambda: urllib.request.urlopen(url, timeout=9).read())
quietly(lambda: tls('evil.test', 'good.test'))
quietly(lambda: datagram('time.test', 123))
quietly(lambda: datagram('198.51.100.66', 9))
quietly(lambda: said('echo.test', 7007))
quietly(lambda: said('198.51.100.66', 22))
quietly(lambda: said('198.51.100.66', 53))
quietly(odd)
";

fn output_fits(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.site("opened.test");
    world.tcp_echo("echo.test", 7007, b"");
    world.udp_echo("time.test", 123);
    world.zone().address("down.test", world.new_addresses().0);
    let shared = world.files().shared();
    let (report, log) = (shared.join("report.json"), shared.join("seen.json"));
    let jail = Jail::new(&world, mode).allow("https://opened.test/p/");
    let enforced = ["good.test", "echo.test:7007", "time.test:123/udp", "down.test"]
        .into_iter()
        .fold(jail.clone(), |jail, rule| jail.allow(rule))
        .option(format!("--report=json={}", report.display()));
    let outcome = enforced.python(EVERYTHING);
    outcome.assert_success();
    monitored(&jail, &log).python(EVERYTHING).assert_success();
    let monitored = fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = monitored.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (verdict, kind) in outcome.events.iter().map(|event| (&event.verdict, &event.kind)) {
        *seen.entry(format!("{verdict} {kind}")).or_default() += 1;
    }
    for what in [
        "allow dns",
        "allow tls",
        "allow http",
        "allow tcp",
        "allow udp",
        "deny dns",
        "deny tls",
        "deny http",
        "deny tcp",
        "deny udp",
        "deny other",
    ] {
        assert!(seen.contains_key(what), "{what}: {outcome}");
    }
    let events: Vec<Value> = outcome.lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), outcome.events.len());
    assert_fit(EVENTS, &events);
    assert_fit(EVENTS, &lines);
    assert_fit(REPORT, &[serde_json::from_slice(&fs::read(report).unwrap()).unwrap()]);
    let policy = shared.join("learned.toml");
    learn_from(&world, &[&log], &policy);
    assert_fit(POLICY, &[in_json(&fs::read_to_string(policy).unwrap())]);
    // The validator does refuse something.
    let mut odd = events[0].clone();
    odd["surprise"] = json!(1);
    let odd = [odd, json!({}), json!({ "ts": 5 })];
    assert!(complaints(EVENTS, &odd).iter().all(|complaints| !complaints.is_empty()));
    assert!(complaints(REPORT, &odd).iter().all(|complaints| !complaints.is_empty()));
}

fn schemas_are_printed(mode: Mode) {
    let world = World::new();
    let bare = Jail::bare(&world, mode);
    for (words, text) in [
        (&["schema", "events"][..], EVENTS),
        (&["schema", "report"], REPORT),
        (&["schema", "top"], TOP),
        (&["schema", "policy"], POLICY),
        (&["policy", "schema"], POLICY),
    ] {
        bare.run(words).assert_success().assert_stdout(text);
    }
    bare.run(["schema", "nothing"]).assert_code(125).assert_says("events, report, top, policy");
}

/// The examples of the README, and the odd corners of the format.
fn policies_fit(mode: Mode) {
    let readme = include_str!("../README.md");
    let examples = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let examples: Vec<&str> = examples.collect();
    assert!(examples.len() > 1);
    let corners = "\
[[rule]]\nhost = 'a.test'\nports = 22\n[[rule]]\nhost = 'a.test'\nports = ['8000-8100', 1, '*']\n\
[[rule]]\nhost = 'b.test'\nmethods = 'GET'\npaths = '/p/'\nscheme = 'http'\neffect = 'deny'\n\
[[rule]]\nhost = 'c.test'\npaths = ['/p/']\nmax-upload = 5\n[[rule]]\nhost = 'd.test'\npaths = ['/p/']\nmax-upload = '5 kB'\n\
[dns]\nttl-min = 5\nttl-max = '2 min'\nresolvers = []\n[limits]\nsniff-timeout = '500ms'\nudp-flows = 0x10\n";
    let small = [corners, "", "allow = []", "rule = []", "[sets]\n", "mode = 'monitor'"];
    assert_agreement(mode, &[&examples[..], &small].concat(), true);
}

/// Mistakes in keys, kinds, words and bounds.
fn mistakes_do_not(mode: Mode) {
    let mistakes = [
        "alow = []",
        "mode = 'lenient'",
        "mode = true",
        "allow = 'a.test'",
        "allow = [5]",
        "deny = {}",
        "rule = 'a.test'",
        "[rule]\nhost = 'a.test'",
        "[[rule]]\nnote = 'without a host'",
        "[[rule]]\nhost = ['a.test']",
        "[[rule]]\nhost = 'a.test'\nport = 5",
        "[[rule]]\nhost = 'a.test'\nports = []",
        "[[rule]]\nhost = 'a.test'\nports = 65536",
        "[[rule]]\nhost = 'a.test'\nports = 1.5",
        "[[rule]]\nhost = 'a.test'\npaths = ['p']",
        "[[rule]]\nhost = 'a.test'\nmethods = []",
        "[[rule]]\nhost = 'a.test'\nscheme = 'ftp'",
        "[[rule]]\nhost = 'a.test'\nallow-private = 'yes'",
        "[[rule]]\nhost = 'a.test'\neffect = 'ignore'",
        "[[rule]]\nhost = '*.a.test'\nmax-names = 0",
        "[[rule]]\nhost = 'a.test'\npaths = '/p'\nmax-upload = '5 TB'",
        "[[rule]]\nhost = 'a.test'\npaths = '/p'\nmax-upload = -5",
        "[dns]\nanswers = 'maybe'",
        "[dns]\nresolver = []",
        "[dns]\nttl-min = '5'",
        "[limits]\nconnections = 0",
        "[limits]\nconnections = '5'",
        "[limits]\nsniff-bytes = 5",
        "[limits]\nidle-timeout = 'long'",
        "[sets]\n'a b' = []",
        "[sets]\na = 'a.test'",
    ];
    assert_agreement(mode, &mistakes, false);
}

/// Both `policy check` and the schema say that the files are right, or that each is wrong.
#[track_caller]
fn assert_agreement(mode: Mode, files: &[&str], right: bool) {
    let world = World::new();
    let shared = world.files().shared();
    let path = shared.join("p.toml");
    // What examples take from elsewhere.
    fs::write(shared.join("office.txt"), "192.0.2.0/24\n").unwrap();
    fs::write(
        shared.join("published.json"),
        r#"{"ranges": {"v4": ["192.0.2.0/24"], "v6": ["2001:db8::/32"]}}"#,
    )
    .unwrap();
    let github = r#"{"web": [], "api": [], "git": ["192.0.2.0/24"], "actions": []}"#;
    Jail::bare(&world, mode).input(github).run(["policy", "refresh", "github"]).assert_success();
    let instances: Vec<Value> = files.iter().map(|file| in_json(file)).collect();
    for (file, complaints) in files.iter().zip(complaints(POLICY, &instances)) {
        assert_eq!(complaints.is_empty(), right, "{complaints:?}: {file}");
        fs::write(&path, file).unwrap();
        let checked = Jail::bare(&world, mode).run(["policy".as_ref(), "check".as_ref(), path.as_os_str()]);
        checked.assert_code(if right { 0 } else { 125 });
    }
}

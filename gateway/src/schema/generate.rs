//! Makes the schemas anew. `UPDATE_SCHEMAS=1 cargo test -p gateway --lib schema` writes them.

use std::collections::BTreeSet;
use std::path::Path;

use policy::Reason;
use policy::keys::{self, Key, SIZE_UNITS, TIME_UNITS, Table, Takes};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::{Subject, schema};
use crate::audit::{Kind, Line, Outcome};
use crate::live::snapshot::Snapshot;
use crate::report::JsonReport;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

pub(crate) fn verdicts() -> [&'static str; 3] {
    [Outcome::Allow, Outcome::Deny, Outcome::WouldDeny].map(Outcome::as_str)
}

pub(crate) fn kinds() -> [&'static str; Kind::ALL.len()] {
    Kind::ALL.map(Kind::as_str)
}

pub(crate) fn reasons() -> [&'static str; Reason::ALL.len()] {
    Reason::ALL.map(Reason::as_str)
}

#[test]
fn schemas_are_those_of_the_code() {
    let made = [
        (Subject::Events, "events", of_type::<Line<'static>>("cijail-net: an event")),
        (Subject::Report, "report", of_type::<JsonReport<'static>>("cijail-net: the report of a run")),
        (Subject::Top, "top", of_type::<Snapshot>("cijail-net: what a run does now")),
        (Subject::Policy, "policy", of_policy()),
    ];
    for (subject, name, value) in made {
        let text = serde_json::to_string_pretty(&value).unwrap() + "\n";
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/schemas");
            std::fs::write(directory.join(format!("{name}.json")), &text).unwrap();
        } else {
            assert_eq!(schema(subject), text, "write it anew with UPDATE_SCHEMAS=1");
        }
    }
}

/// Whatever tools may look for is described.
#[test]
fn keys_are_told_in_the_readme() {
    let readme = include_str!("../../../README.md");
    let events: Value = serde_json::from_str(schema(Subject::Events)).unwrap();
    let keys: BTreeSet<&str> = events["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let words = keys.into_iter().chain(kinds()).chain(reasons()).chain(verdicts());
    let untold: Vec<&str> = words.filter(|word| !readme.contains(&format!("`{word}`"))).collect();
    assert_eq!(untold, [""; 0]);
}

/// What a type is written as. A key whose value is absent is left out, never null.
fn of_type<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut value = settings.into_generator().into_root_schema_for::<T>().to_value();
    value["title"] = json!(title);
    without_null(&mut value);
    value
}

fn without_null(value: &mut Value) {
    if let Some(types) = value.get_mut("type")
        && let Some(only) = types.as_array().and_then(|types| types.iter().find(|word| **word != "null"))
    {
        *types = only.clone();
    }
    match value {
        Value::Object(members) => members.values_mut().for_each(without_null),
        Value::Array(members) => members.iter_mut().for_each(without_null),
        _ => {}
    }
}

fn of_policy() -> Value {
    let mut value = of_table(&keys::FILE);
    value["$schema"] = json!(DIALECT);
    value["title"] = json!("cijail-net: a policy");
    value["description"] = json!("What a job may talk to. Rules are described in the README.");
    value
}

fn of_table(table: &Table) -> Value {
    let properties: Map<String, Value> =
        table.keys.iter().map(|key| (key.name.to_owned(), of_key(key))).collect();
    let mut value = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if !table.required.is_empty() {
        value["required"] = json!(table.required);
    }
    value
}

fn of_key(key: &Key) -> Value {
    let mut value = of_value(key.takes);
    value["description"] = json!(key.about);
    value
}

fn of_value(takes: Takes) -> Value {
    let text = json!({ "type": "string" });
    let path = json!({ "type": "string", "pattern": "^/" });
    let port = json!({ "type": ["integer", "string"], "minimum": 0, "maximum": 65535 });
    let some = |of: &Value| json!({ "type": "array", "items": of, "minItems": 1 });
    let measured = |units: &[&str]| {
        let pattern = format!("^[0-9]+\\s*({})$", units.join("|"));
        json!({ "type": ["integer", "string"], "minimum": 0, "pattern": pattern })
    };
    match takes {
        Takes::Text => text,
        Takes::Word(words) => json!({ "enum": words }),
        Takes::Flag => json!({ "type": "boolean" }),
        Takes::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Takes::Size => measured(&SIZE_UNITS),
        Takes::Time => measured(&TIME_UNITS),
        Takes::Texts => json!({ "type": "array", "items": text }),
        Takes::OneOrMore => json!({ "anyOf": [text, some(&text)] }),
        Takes::Paths => json!({ "anyOf": [path, some(&path)] }),
        Takes::Ports => json!({ "anyOf": [port, some(&port)] }),
        Takes::Sets(table) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[A-Za-z0-9_.-]+$" },
            "additionalProperties": { "anyOf": [of_value(Takes::Texts), of_table(table)] },
        }),
        Takes::Table(table) => of_table(table),
        Takes::Tables(table) => json!({ "type": "array", "items": of_table(table) }),
    }
}

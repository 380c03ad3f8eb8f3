//! Functions that come to call themselves. Pure.
//!
//! To OPA that is a mistake. The engine finds it among rules only; a call of a function would go deeper until
//! there is no stack left, and the whole program would end.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::functions::Path;

/// A function, by all its bodies.
struct Function {
    /// Of its first body, for errors.
    place: String,
    /// The paths that its calls may mean, of functions and of others.
    calls: BTreeSet<String>,
}

/// Whether no function reaches itself by its calls, of the engine's modules. A function that is put in the place
/// of another by `with` is not looked for.
///
/// # Errors
/// The first that does, with file, line and column.
pub(super) fn is_absent(modules: &[Value]) -> Result<(), String> {
    let mut functions = BTreeMap::new();
    for module in modules {
        read(module, &mut functions);
    }
    match functions.iter().find(|(name, _)| reaches_itself(name, &functions)) {
        None => Ok(()),
        Some((name, Function { place, .. })) => {
            Err(format!("{place}: recursion: the function {name} comes to call itself"))
        }
    }
}

fn read(module: &Value, functions: &mut BTreeMap<String, Function>) {
    let tree = &module["ast"];
    let Some(package) = path(&tree["package"]["refr"]) else { return };
    for rule in items(&tree["rules"]) {
        let head = &rule["Spec"]["head"]["Func"];
        let Some(name) = path(&head["refr"]) else { continue };
        let function = functions.entry(format!("data.{package}.{name}")).or_insert_with(|| {
            let (file, span) = (module["source"]["file"].as_str().unwrap_or_default(), &head["span"]);
            Function { place: format!("{file}:{}:{}", span["line"], span["col"]), calls: BTreeSet::new() }
        });
        let mut called = Vec::new();
        calls(rule, &mut called);
        for called in called {
            function.calls.insert(format!("data.{package}.{called}"));
            function.calls.extend(items(&tree["imports"]).filter_map(|import| imported(import, &called)));
            function.calls.insert(called);
        }
    }
}

/// What a call means by an import. Which name an import with `as` has is not looked at.
fn imported(import: &Value, called: &str) -> Option<String> {
    let path = path(&import["refr"])?;
    let first = called.split('.').next()?;
    let is_meant = !import["as"].is_null() || path.rsplit('.').next() == Some(first);
    is_meant.then(|| format!("{path}{}", &called[first.len()..]))
}

/// The paths of all calls within a part of the tree.
fn calls(part: &Value, found: &mut Vec<String>) {
    found.extend(path(&part["Call"]["fcn"]));
    match part {
        Value::Array(parts) => parts.iter().for_each(|part| calls(part, found)),
        Value::Object(parts) => parts.values().for_each(|part| calls(part, found)),
        _ => {}
    }
}

fn reaches_itself(name: &str, functions: &BTreeMap<String, Function>) -> bool {
    let mut reached = BTreeSet::new();
    let mut next = vec![name];
    while let Some(function) = next.pop().and_then(|name| functions.get(name)) {
        let new = function.calls.iter().filter(|called| functions.contains_key(*called));
        next.extend(new.map(String::as_str).filter(|called| reached.insert(*called)));
    }
    reached.contains(name)
}

fn path(tree: &Value) -> Option<String> {
    Path::deserialize(tree).ok().map(|path| path.joined())
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

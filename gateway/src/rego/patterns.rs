//! Regular expressions that modules have as literals. Pure.
//!
//! The engine looks at a pattern when it gets to it, and then a mistake would deny whatever the rule is asked about.

use regex::RegexBuilder;
use serde::Deserialize;
use serde_json::Value;

use super::functions::Path;

/// Functions with a pattern, and which argument it is.
const FUNCTIONS: [(&str, usize); 5] = [
    ("regex.match", 0),
    ("regex.split", 0),
    ("regex.find_n", 0),
    ("regex.find_all_string_submatch_n", 0),
    ("regex.replace", 1),
];

/// Octets of a compiled pattern, as for the engine.
const MOST: usize = 100 * 1024;

/// Whether the patterns are right, of the engine's modules.
///
/// # Errors
/// The first that is not, with file, line and column.
pub(super) fn are_right(modules: &[Value]) -> Result<(), String> {
    modules.iter().try_for_each(|module| {
        look(&module["ast"]).map_err(|(literal, what)| {
            let (file, span) = (module["source"]["file"].as_str().unwrap_or_default(), &literal["span"]);
            format!("{file}:{}:{}: {what}", span["line"], span["col"])
        })
    })
}

/// The error is a literal and what is wrong with it.
fn look(part: &Value) -> Result<(), (&Value, String)> {
    if let Some((literal, pattern)) = pattern(&part["Call"]) {
        compile(pattern).map_err(|what| (literal, what))?;
    }
    match part {
        Value::Array(parts) => parts.iter().try_for_each(look),
        Value::Object(parts) => parts.values().try_for_each(look),
        _ => Ok(()),
    }
}

/// The literal that is the pattern of a call, and the text that it means.
fn pattern(call: &Value) -> Option<(&Value, &str)> {
    let function = Path::deserialize(&call["fcn"]).ok()?.joined();
    let (_, place) = FUNCTIONS.iter().find(|(name, _)| *name == function)?;
    let argument = &call["params"][place];
    let literal = argument.get("String").or_else(|| argument.get("RawString"))?;
    Some((literal, literal["value"].as_str()?))
}

/// In one line what is wrong, of which the library's last line is.
fn compile(pattern: &str) -> Result<(), String> {
    match RegexBuilder::new(pattern).size_limit(MOST).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(format!(
            "the pattern {pattern:?} takes more than {} KiB: repeat less, and write (?-u:\\w) for \\w, which stands for the letters of every script",
            MOST / 1024
        )),
        Err(error) => {
            let text = error.to_string();
            let what = text.lines().last().unwrap_or_default();
            Err(format!("the pattern {pattern:?} is wrong: {}", what.strip_prefix("error: ").unwrap_or(what)))
        }
    }
}

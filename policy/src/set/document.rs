//! Lists of strings in a JSON document, each string with its place.

use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::file::nearest;

/// What is wrong with a document.
pub(super) struct Mistake {
    /// Octets before it.
    pub(super) offset: usize,
    pub(super) message: String,
    /// What it is about.
    pub(super) words: Option<String>,
}

/// The strings of the list at `key`, a path of members such as `domains.actions`, with the offsets of
/// their quotes.
pub(super) fn strings(text: &str, key: &str) -> Result<Vec<(usize, String)>, Mistake> {
    let mut value: &RawValue = serde_json::from_str(text).map_err(|error| not_json(text, &error))?;
    let offset = |value: &RawValue| (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let mistake = |value: &RawValue, message: &str| Mistake {
        offset: offset(value),
        message: message.to_owned(),
        words: Some(key.to_owned()),
    };
    for name in key.split('.') {
        let Ok(object) = serde_json::from_str::<HashMap<String, &RawValue>>(value.get()) else {
            return Err(mistake(value, "this is no object, so it has no such key"));
        };
        value = object.get(name).copied().ok_or_else(|| {
            let hint = nearest(name, object.keys().map(String::as_str));
            let hint = hint.map_or_else(String::new, |near| format!(": did you mean {near}?"));
            mistake(value, &format!("there is no such key{hint}"))
        })?;
    }
    let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(value.get()) else {
        return Err(mistake(value, "this is no list of addresses or rules"));
    };
    let string = |value: &&RawValue| match serde_json::from_str(value.get()) {
        Ok(text) => Ok((offset(value), text)),
        Err(_) => Err(mistake(value, "this is no string")),
    };
    list.iter().map(string).collect()
}

fn not_json(text: &str, error: &serde_json::Error) -> Mistake {
    let start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let mut offset = (start + error.column().saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let message = error.to_string();
    let what = message.split(" at line ").next().unwrap_or_default();
    Mistake { offset, message: format!("not valid JSON: {what}"), words: None }
}

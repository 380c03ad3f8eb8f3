//! Policy files: the TOML tree, walked by hand so that every mistake is reported at once.

mod place;
mod rule_table;
mod tables;
mod watch;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::builder::Draft;
use crate::error::PolicyError;
use crate::settings::Mode;
use crate::{Effect, Origin, Position, Rule};

use place::Places;

/// A value with its place in the text.
type Value<'t> = Spanned<DeValue<'t>>;

/// Syntax errors that are shown; after so many the file is hardly TOML.
const SYNTAX_ERRORS: usize = 100;
/// Names of sets that are compared with one that does not exist.
const NAMES_COMPARED: usize = 1000;

/// One file while it is read.
struct Reader<'d, 't> {
    draft: &'d mut Draft,
    source: &'d Arc<str>,
    places: Places<'t>,
}

/// Rules under a name, and for which effects they were taken.
struct Set<'a, 't> {
    rules: &'a Value<'t>,
    used: HashSet<Effect>,
}

/// Reads a policy file into the draft.
pub(crate) fn read(draft: &mut Draft, source: &Arc<str>, text: &str) {
    let (rules_before, errors_before) = (draft.rules.len(), draft.errors.len());
    let (table, mut errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { draft, source, places: Places::new(text) };
    // What follows a syntax error is a guess, and mistakes found in it would mislead.
    if errors.is_empty() {
        reader.file(table.get_ref());
    }
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    for error in errors.into_iter().take(SYNTAX_ERRORS) {
        let message = error.message().replace('\n', ", ");
        reader.error(error.span().unwrap_or_default(), format!("not valid TOML: {message}"), None);
    }
    // The tree is sorted by keys; people read from top to bottom.
    draft.rules[rules_before..].sort_by_key(|rule| rule.origin().position());
    draft.errors[errors_before..].sort_by_key(PolicyError::position);
}

impl<'t> Reader<'_, 't> {
    fn file(&mut self, table: &DeTable<'t>) {
        let mut sets = HashMap::new();
        self.keys(table, &["mode", "allow", "deny", "rule", "sets", "dns", "limits", "watch"]);
        if let Some(value) = table.get("sets")
            && let Some(table) = self.table(value, "sets")
        {
            for (name, rules) in table {
                self.set_name(name.get_ref(), name.span());
                sets.insert(name.get_ref().as_ref(), Set { rules, used: HashSet::new() });
            }
        }
        for (key, effect) in [("allow", Effect::Allow), ("deny", Effect::Deny)] {
            if let Some(value) = table.get(key) {
                self.rules(value, effect, &mut sets);
            }
        }
        for set in sets.into_values().filter(|set| set.used.is_empty()) {
            self.check_unused(set.rules);
        }
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "mode" => self.mode(value),
                "rule" => self.rule_tables(value),
                "dns" => self.dns(value),
                "limits" => self.limits(value),
                "watch" => self.watch(value),
                _ => {}
            }
        }
    }

    fn mode(&mut self, value: &Value<'t>) {
        let Some(text) = self.string(value) else { return };
        match Mode::parse(text) {
            Some(mode) => self.draft.mode = mode,
            None => self.error(value.span(), "a mode is \"enforce\" or \"monitor\"".into(), Some(text)),
        }
    }

    fn set_name(&mut self, name: &str, span: Range<usize>) {
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
        if name.is_empty() || !name.chars().all(is_plain) {
            let message = "the name of a set has letters, digits, `-`, `_` and `.` only";
            self.error(span, message.into(), Some(name));
        }
    }

    /// The rules of `allow` and `deny`, and of the sets that they take.
    fn rules(&mut self, value: &Value<'t>, effect: Effect, sets: &mut HashMap<&str, Set<'_, 't>>) {
        let Some(entries) = self.array(value) else { return };
        for entry in entries.iter() {
            let Some(text) = self.string(entry) else { continue };
            let Some(name) = text.strip_prefix('@') else {
                self.rule(entry, text, effect);
                continue;
            };
            let Some(set) = sets.get_mut(name) else {
                let hint = tables::nearest(name, sets.keys().copied().take(NAMES_COMPARED));
                let hint = hint.map_or_else(
                    || "add it under [sets]".to_owned(),
                    |near| format!("did you mean @{near}?"),
                );
                self.error(entry.span(), format!("there is no such set: {hint}"), Some(text));
                continue;
            };
            if set.used.insert(effect) {
                let rules = set.rules;
                self.set(rules, effect);
            }
        }
    }

    fn set(&mut self, value: &Value<'t>, effect: Effect) {
        let Some(entries) = self.array(value) else { return };
        for entry in entries.iter() {
            let Some(text) = self.string(entry) else { continue };
            if text.starts_with('@') {
                self.error(entry.span(), "sets hold rules, not other sets".into(), Some(text));
            } else {
                self.rule(entry, text, effect);
            }
        }
    }

    /// Reports what would be wrong in a set that nothing takes, and drops its rules.
    fn check_unused(&mut self, value: &Value<'t>) {
        let before = self.draft.rules.len();
        // Deny rules may do without a port, so this reads every rule that either effect takes.
        self.set(value, Effect::Deny);
        self.draft.rules.truncate(before);
    }

    fn rule(&mut self, value: &Value<'t>, text: &str, effect: Effect) {
        let origin = Origin::at(self.source, self.places.of(value.span().start));
        match Rule::parse(text, effect, origin) {
            Ok(rule) => self.draft.push(rule),
            Err(error) => {
                let at = self.places.inside(value.span(), text, error.offset);
                self.error_at(at, error.kind.to_string(), Some(text));
            }
        }
    }

    fn error(&mut self, span: Range<usize>, message: String, words: Option<&str>) {
        let at = self.places.of(span.start);
        self.error_at(at, message, words);
    }

    fn error_at(&mut self, at: Position, message: String, words: Option<&str>) {
        self.draft.error(self.source, Some(at), message, words);
    }

    fn string<'v>(&mut self, value: &'v Value<'t>) -> Option<&'v str> {
        match value.get_ref() {
            DeValue::String(text) => Some(text),
            other => {
                self.wrong_type(value, "a string in quotes", other);
                None
            }
        }
    }

    fn array<'v>(&mut self, value: &'v Value<'t>) -> Option<&'v DeArray<'t>> {
        match value.get_ref() {
            DeValue::Array(array) => Some(array),
            other => {
                self.wrong_type(value, "a list of strings, such as [\"example.com\"]", other);
                None
            }
        }
    }

    fn table<'v>(&mut self, value: &'v Value<'t>, name: &str) -> Option<&'v DeTable<'t>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(table),
            other => {
                self.wrong_type(value, &format!("a table, written [{name}]"), other);
                None
            }
        }
    }

    fn wrong_type(&mut self, value: &Value<'t>, wanted: &str, found: &DeValue<'t>) {
        let found = match found {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(value.span(), format!("this is {found}: write {wanted}"), None);
    }
}

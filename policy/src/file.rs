//! Policy files: the TOML tree, walked by hand so that every mistake is reported at once.

pub mod keys;
mod rule_table;
mod set_table;
mod tables;
mod watch;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::builder::Draft;
use crate::place::Places;
use crate::set::{ReadSet, Set, SetFile};
use crate::settings::Mode;
use crate::{Effect, Origin, Position, Rule};

pub(crate) use tables::nearest;

/// A value with its place in the text.
type Value<'t> = Spanned<DeValue<'t>>;

/// Syntax errors that are shown; after so many the file is hardly TOML.
const SYNTAX_ERRORS: usize = 100;

/// One file while it is read.
struct Reader<'d, 't> {
    draft: &'d mut Draft,
    source: &'d Arc<str>,
    places: Places<'t>,
    /// Reads the files of sets.
    read: &'d mut ReadSet<'d>,
    /// The sets of this file, with the places of their names.
    sets: BTreeMap<String, (Position, Set)>,
}

/// Reads a policy file into the draft; `read` gives the files of its sets.
pub(crate) fn read(draft: &mut Draft, source: &Arc<str>, text: &str, read: &mut ReadSet<'_>) {
    let (rules_before, errors_before) = (draft.rules.len(), draft.errors.len());
    let (table, mut errors) = DeTable::parse_recoverable(text);
    let mut read = |file: SetFile<'_>| read(file);
    let places = Places::new(text);
    let mut reader = Reader { draft, source, places, read: &mut read, sets: BTreeMap::new() };
    // What follows a syntax error is a guess, and mistakes found in it would mislead.
    if errors.is_empty() {
        reader.file(table.get_ref());
    }
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    for error in errors.into_iter().take(SYNTAX_ERRORS) {
        let message = error.message().replace('\n', ", ");
        reader.error(error.span().unwrap_or_default(), format!("not valid TOML: {message}"), None);
    }
    // The tree is sorted by keys; people read from top to bottom, and then the files of sets.
    let order = |other: &str, position: Option<Position>| (*other != **source, other.to_owned(), position);
    draft.rules[rules_before..]
        .sort_by_cached_key(|rule| order(rule.origin().source(), rule.origin().position()));
    draft.errors[errors_before..].sort_by_cached_key(|error| order(error.source_name(), error.position()));
}

impl<'t> Reader<'_, 't> {
    fn file(&mut self, table: &DeTable<'t>) {
        self.keys(table, &keys::FILE);
        if let Some(value) = table.get("sets") {
            self.set_tables(value);
        }
        for (key, effect) in [("allow", Effect::Allow), ("deny", Effect::Deny)] {
            if let Some(value) = table.get(key) {
                self.rules(value, effect);
            }
        }
        self.keep_sets();
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

    /// The rules of `allow` and `deny`, and of the sets that they take.
    fn rules(&mut self, value: &Value<'t>, effect: Effect) {
        let Some(entries) = self.array(value) else { return };
        for entry in entries.iter() {
            let Some(text) = self.string(entry) else { continue };
            match text.strip_prefix('@') {
                Some(reference) => self.take_set(entry, reference, effect),
                None => self.rule(entry, text, effect),
            }
        }
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

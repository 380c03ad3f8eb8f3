//! The table `[sets]`, and where its names stand.

use toml::de::{DeTable, DeValue};

use super::{Reader, Value, keys, nearest};
use crate::set::{self, Member, Reference, Set, SetFile};
use crate::{Effect, Origin};

/// Names of sets that are compared with one that does not exist.
const NAMES_COMPARED: usize = 1000;

impl<'t> Reader<'_, 't> {
    pub(super) fn set_tables(&mut self, value: &Value<'t>) {
        let Some(table) = self.table(value, "sets") else { return };
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let is_plain = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
            if name.is_empty() || !name.chars().all(is_plain) {
                let message = "the name of a set has letters, digits, `-`, `_` and `.` only";
                self.error(key.span(), message.into(), Some(name));
            }
            let set = match value.get_ref() {
                DeValue::Table(table) => self.set_file(value, table),
                DeValue::Array(_) => self.set_list(value),
                other => {
                    let wanted = "a list of rules, or a table such as { file = \"ranges.txt\" }";
                    self.wrong_type(value, wanted, other);
                    continue;
                }
            };
            let at = self.places.of(key.span().start);
            self.sets.insert(name.to_owned(), (at, set));
        }
    }

    /// The rules of the set that a list names.
    pub(super) fn take_set(&mut self, entry: &Value<'t>, text: &str, effect: Effect) {
        let reference = match Reference::parse(text) {
            Ok(reference) => reference,
            Err((offset, kind)) => {
                let whole = format!("@{text}");
                let at = self.places.inside(entry.span(), &whole, offset + 1);
                return self.error_at(at, kind.to_string(), Some(&whole));
            }
        };
        let origin = Origin::at(self.source, self.places.of(entry.span().start));
        if !self.sets.contains_key(reference.name) {
            match self.draft.known_set(reference.name, self.read) {
                Ok(set) => {
                    let at = self.places.of(entry.span().start);
                    self.sets.insert(reference.name.to_owned(), (at, set));
                }
                Err(why) => {
                    let message = why.unwrap_or_else(|| self.unknown_set(reference.name));
                    return self.error(entry.span(), message, Some(&format!("@{text}")));
                }
            }
        }
        if let Some((_, set)) = self.sets.get_mut(reference.name) {
            set.take(self.draft, reference, effect, &origin);
        }
    }

    /// Reports what is wrong in sets that no list names, and keeps all for who asks by name.
    pub(super) fn keep_sets(&mut self) {
        for (name, (at, mut set)) in std::mem::take(&mut self.sets) {
            if set.is_unused() {
                set.check(self.draft, &name, &Origin::at(self.source, at));
            }
            self.draft.sets.push((name, self.source.clone(), set));
        }
    }

    fn unknown_set(&self, name: &str) -> String {
        let near = nearest(name, self.sets.keys().take(NAMES_COMPARED).map(String::as_str));
        let hint =
            near.map_or_else(|| "add it under [sets]".to_owned(), |near| format!("did you mean @{near}?"));
        format!("there is no such set: {hint}")
    }

    /// `name = ["example.com", "192.0.2.0/24:443"]`
    fn set_list(&mut self, value: &Value<'t>) -> Set {
        let mut members = Vec::new();
        for entry in self.array(value).into_iter().flat_map(|entries| entries.iter()) {
            let Some(text) = self.string(entry) else { continue };
            let at = self.places.of(entry.span().start);
            let start = self.places.verbatim(entry.span(), text);
            members.push(Member::at(self.source, at, start, text.into()).inline());
        }
        Set::of(members)
    }

    /// `name = { file = "ranges.txt" }` or `name = { file = "meta.json", keys = ["actions"] }`
    fn set_file(&mut self, value: &Value<'t>, table: &DeTable<'t>) -> Set {
        self.keys(table, &keys::SET);
        let Some(file) = table.get("file") else {
            let message = "a set is a list of rules, or has a file: add file = \"ranges.txt\"";
            self.error(value.span(), message.into(), None);
            return Set::default();
        };
        let Some(path) = self.string(file) else { return Set::default() };
        let mut keys = None;
        if let Some(value) = table.get("keys") {
            let Some(entries) = self.array(value) else { return Set::default() };
            self.not_empty(value, entries.is_empty());
            keys = Some(entries.iter().filter_map(|entry| self.string(entry)).collect::<Vec<_>>());
        }
        match (self.read)(SetFile::Path(path)) {
            Ok(text) => set::read(self.draft, &text, keys.as_deref()),
            Err(message) => {
                self.error(file.span(), message, Some(path));
                Set::default()
            }
        }
    }
}

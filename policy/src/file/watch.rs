//! The table `[watch]`.

use toml::de::DeValue;

use super::{Reader, Value, keys};
use crate::Glob;

impl<'t> Reader<'_, 't> {
    pub(super) fn watch(&mut self, value: &Value<'t>) {
        let Some(table) = self.table(value, "watch") else { return };
        self.keys(table, &keys::WATCH);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "exec" => match value.get_ref() {
                    DeValue::Boolean(exec) => self.draft.watch.exec |= *exec,
                    other => self.wrong_type(value, "true or false", other),
                },
                "paths" => self.watched_paths(value),
                _ => {}
            }
        }
    }

    fn watched_paths(&mut self, value: &Value<'t>) {
        let Some(entries) = self.array(value) else { return };
        for entry in entries.iter() {
            let Some(text) = self.string(entry) else { continue };
            match Glob::parse(text) {
                Ok(glob) => self.draft.watch.paths.push(glob),
                Err(error) => self.error(entry.span(), error.to_string(), Some(text)),
            }
        }
    }
}

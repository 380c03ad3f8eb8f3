//! The long form of rules, `[[rule]]`: put together as short forms, so that there is one grammar.

use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::Ipv6Net;
use toml::de::{DeTable, DeValue};

use super::{Reader, Value, keys};
use crate::builder::MAX_RULES;
use crate::rule::{Subject, split_port_text};
use crate::settings::WILDCARD_NAMES;
use crate::wildcard::takes_max_names;
use crate::{Effect, Origin, Rule, Scheme};

/// The parts of one table; lists are empty where the key is absent.
struct Parts {
    host: String,
    ports: Vec<String>,
    scheme: String,
    methods: String,
    paths: Vec<String>,
}

/// The keys of one table that not every rule takes.
struct Special<'v, 't> {
    /// Absent if it is `false`.
    allow_private: Option<&'v Value<'t>>,
    max_names: Option<&'v Value<'t>>,
    max_upload: Option<&'v Value<'t>>,
    client_cert: Option<&'v Value<'t>>,
}

impl<'t> Reader<'_, 't> {
    pub(super) fn rule_tables(&mut self, value: &Value<'t>) {
        let DeValue::Array(tables) = value.get_ref() else {
            return self.wrong_type(value, "a table for each rule, written [[rule]]", value.get_ref());
        };
        for value in tables.iter() {
            if let Some(table) = self.table(value, "[rule]") {
                self.rule_table(value, table);
            }
        }
    }

    fn rule_table(&mut self, value: &Value<'t>, table: &DeTable<'t>) {
        self.keys(table, &keys::RULE);
        let Some(host) = table.get("host") else {
            return self.error(value.span(), "a rule needs a host: add host = \"example.com\"".into(), None);
        };
        let before = self.draft.errors.len();
        let parts = Parts {
            host: self.string(host).unwrap_or_default().to_owned(),
            ports: table.get("ports").map(|value| self.ports(value)).unwrap_or_default(),
            scheme: table.get("scheme").map(|value| self.scheme(value)).unwrap_or_default(),
            methods: table.get("methods").map(|value| self.strings(value)).unwrap_or_default().join(","),
            paths: table.get("paths").map(|value| self.paths(value)).unwrap_or_default(),
        };
        let effect = table.get("effect").map_or(Effect::Allow, |value| self.effect(value));
        let note: Option<Arc<str>> = table.get("note").and_then(|value| self.string(value)).map(Arc::from);
        let special = Special {
            allow_private: table.get("allow-private").filter(|value| self.boolean(value)),
            max_names: table.get("max-names"),
            max_upload: table.get("max-upload"),
            client_cert: table.get("client-cert"),
        };
        let most = special.max_names.and_then(|value| self.number(value, WILDCARD_NAMES));
        let upload = special.max_upload.and_then(|value| self.size(value));
        let identity: Option<Arc<str>> =
            special.client_cert.and_then(|value| self.string(value)).map(Arc::from);
        if self.draft.errors.len() > before {
            return;
        }
        let number = parts.ports.len().max(1) * parts.paths.len().max(1);
        if number > MAX_RULES {
            let message = format!("ports times paths make {number} rules, a policy has at most {MAX_RULES}");
            return self.error(host.span(), message, Some(&parts.host));
        }
        let origin = Origin::at(self.source, self.places.of(host.span().start));
        for text in parts.texts() {
            match Rule::parse(&text, effect, origin.clone()) {
                Err(error) => self.error(host.span(), error.kind.to_string(), Some(&text)),
                Ok(rule) => {
                    if let Some((value, message)) = special.misplaced(&rule) {
                        return self.error(value.span(), message.into(), Some(rule.text()));
                    }
                    let rule = rule.with_note(note.clone()).with_max_names(most);
                    let rule = rule.with_max_upload(upload).with_client_cert(identity.clone());
                    self.draft.push(rule.with_allow_private(special.allow_private.is_some()));
                }
            }
        }
    }

    fn ports(&mut self, value: &Value<'t>) -> Vec<String> {
        let one = |reader: &mut Self, value: &Value<'t>| {
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                DeValue::Integer(digits) => digits.to_string(),
                other => {
                    reader.wrong_type(value, "a port, or a range such as \"8000-8100\"", other);
                    return None;
                }
            };
            if let Err((_, kind)) = split_port_text(&text) {
                reader.error(value.span(), kind.to_string(), Some(&text));
                return None;
            }
            Some(text)
        };
        match value.get_ref() {
            DeValue::Array(values) => {
                self.not_empty(value, values.is_empty());
                values.iter().filter_map(|value| one(self, value)).collect()
            }
            _ => one(self, value).into_iter().collect(),
        }
    }

    fn scheme(&mut self, value: &Value<'t>) -> String {
        let text = self.string(value).unwrap_or("https");
        if !matches!(text, "http" | "https") {
            self.error(value.span(), "a scheme is \"https\" or \"http\"".into(), Some(text));
        }
        text.to_owned()
    }

    fn paths(&mut self, value: &Value<'t>) -> Vec<String> {
        let paths = self.strings(value);
        for path in paths.iter().filter(|path| !path.starts_with('/')) {
            self.error(value.span(), "a path starts with a slash".into(), Some(path));
        }
        paths
    }

    fn effect(&mut self, value: &Value<'t>) -> Effect {
        match self.string(value) {
            Some("deny") => Effect::Deny,
            Some("allow") | None => Effect::Allow,
            Some(other) => {
                self.error(value.span(), "an effect is \"allow\" or \"deny\"".into(), Some(other));
                Effect::Allow
            }
        }
    }

    fn boolean(&mut self, value: &Value<'t>) -> bool {
        match value.get_ref() {
            DeValue::Boolean(boolean) => *boolean,
            other => {
                self.wrong_type(value, "true or false, without quotes", other);
                false
            }
        }
    }

    /// A list of strings, or one string.
    fn strings(&mut self, value: &Value<'t>) -> Vec<String> {
        if let DeValue::String(text) = value.get_ref() {
            return vec![text.to_string()];
        }
        let Some(values) = self.array(value) else { return Vec::new() };
        self.not_empty(value, values.is_empty());
        values.iter().filter_map(|value| self.string(value).map(str::to_owned)).collect()
    }

    /// An empty list reads as "nothing" to some and as "anything" to others.
    pub(super) fn not_empty(&mut self, value: &Value<'t>, is_empty: bool) {
        if is_empty {
            self.error(value.span(), "the list is empty: remove the key, or add an entry".into(), None);
        }
    }
}

impl<'v, 't> Special<'v, 't> {
    /// A key that this rule does not take, and what to do about it.
    fn misplaced(&self, rule: &Rule) -> Option<(&'v Value<'t>, &'static str)> {
        let allows = rule.effect() == Effect::Allow;
        let is_host = matches!(rule.subject(), Subject::Host { .. });
        let scheme = rule.scheme().filter(|_| allows);
        [
            (
                self.allow_private,
                allows && is_host,
                "allow-private is for allow rules of host names: remove it",
            ),
            (
                self.max_names,
                takes_max_names(rule),
                "max-names is for allow rules with a wildcard: remove it",
            ),
            (
                self.max_upload,
                scheme.is_some(),
                "max-upload is for allow rules of URLs: add scheme = \"https\"",
            ),
            (
                self.client_cert,
                scheme == Some(Scheme::Https),
                "client-cert is for allow rules of https URLs: add scheme = \"https\"",
            ),
        ]
        .into_iter()
        .find_map(|(key, is_taken, message)| Some((key.filter(|_| !is_taken)?, message)))
    }
}

impl Parts {
    /// The short forms: one for each port and path.
    fn texts(&self) -> impl Iterator<Item = String> + '_ {
        let is_v6 = self.host.parse::<Ipv6Addr>().is_ok() || self.host.parse::<Ipv6Net>().is_ok();
        let host = if is_v6 { format!("[{}]", self.host) } else { self.host.clone() };
        let is_url = !(self.paths.is_empty() && self.methods.is_empty() && self.scheme.is_empty());
        let space = if self.methods.is_empty() { "" } else { " " };
        let scheme = if self.scheme.is_empty() { "https" } else { &self.scheme };
        let front = if is_url { format!("{}{space}{scheme}://{host}", self.methods) } else { host };
        let ports = self.ports.iter().map(|port| format!(":{port}"));
        let ports = ports.chain(self.ports.is_empty().then(String::new));
        ports.flat_map(move |port| {
            let front = format!("{front}{port}");
            let root = (self.paths.is_empty()).then_some("");
            self.paths
                .iter()
                .map(String::as_str)
                .chain(root)
                .map(move |path| format!("{front}{path}"))
                .collect::<Vec<_>>()
        })
    }
}

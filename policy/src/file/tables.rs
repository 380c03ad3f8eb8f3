//! The tables of settings: `[dns]` and `[limits]`; and what tables have in common.

use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::keys::{self, Table, Takes};
use super::{Reader, Value};
use crate::Resolver;
use crate::settings::Answers;

impl<'t> Reader<'_, 't> {
    /// Reports keys that mean nothing.
    pub(super) fn keys(&mut self, table: &DeTable<'t>, known: &Table) {
        for (key, _) in table {
            let name = key.get_ref().as_ref();
            if known.key(name).is_none() {
                let hint = match nearest(name, known.names()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("known here: {}", known.names().collect::<Vec<_>>().join(", ")),
                };
                self.error(key.span(), format!("unknown key: {hint}"), Some(name));
            }
        }
    }

    pub(super) fn dns(&mut self, value: &Value<'t>) {
        let Some(table) = self.table(value, "dns") else { return };
        self.keys(table, &keys::DNS);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "answers" => self.answers(value),
                "resolvers" => self.resolvers(value),
                "ttl-min" => self.draft.dns.ttl_min = self.seconds(value).unwrap_or_default(),
                "ttl-max" => {
                    if let Some(time) = self.seconds(value) {
                        self.draft.dns.ttl_max = time;
                    }
                }
                _ => {}
            }
        }
        let dns = &self.draft.dns;
        if dns.ttl_min > dns.ttl_max {
            let message = format!(
                "ttl-min, {} s, is more than ttl-max, {} s",
                dns.ttl_min.as_secs(),
                dns.ttl_max.as_secs()
            );
            self.error(value.span(), message, None);
        }
    }

    pub(super) fn limits(&mut self, value: &Value<'t>) {
        let Some(table) = self.table(value, "limits") else { return };
        self.keys(table, &keys::LIMITS);
        for (key, value) in table {
            let Some(key) = keys::LIMITS.key(key.get_ref()) else { continue };
            match key.takes {
                Takes::Number(least, most) => {
                    if let Some(number) = self.number(value, (least, most)) {
                        self.limit(key.name, number);
                    }
                }
                _ => {
                    if let Some(time) = self.duration(value, Duration::from_millis(1)) {
                        self.patience(key.name, time);
                    }
                }
            }
        }
    }

    fn limit(&mut self, key: &str, number: usize) {
        let limits = &mut self.draft.limits;
        match key {
            "connections" => limits.connections = number,
            "sniff-bytes" => limits.sniff_bytes = number,
            "udp-flows" => limits.udp_flows = number,
            "pins" => limits.pins = number,
            "dns-inflight" => limits.dns_inflight = number,
            "wildcard-names" => limits.wildcard_names = number,
            _ => {}
        }
    }

    fn patience(&mut self, key: &str, time: Duration) {
        let limits = &mut self.draft.limits;
        match key {
            "sniff-timeout" => limits.sniff_timeout = time,
            "connect-timeout" => limits.connect_timeout = time,
            "idle-timeout" => limits.idle_timeout = time,
            "udp-idle-timeout" => limits.udp_idle_timeout = time,
            _ => {}
        }
    }

    fn answers(&mut self, value: &Value<'t>) {
        let Some(text) = self.string(value) else { return };
        match text {
            "real" => self.draft.dns.answers = Answers::Real,
            "synthetic" => self.draft.dns.answers = Answers::Synthetic,
            _ => self.error(value.span(), "answers are \"real\" or \"synthetic\"".into(), Some(text)),
        }
    }

    fn resolvers(&mut self, value: &Value<'t>) {
        let Some(entries) = self.array(value) else { return };
        let mut resolvers = Vec::new();
        for entry in entries.iter() {
            let Some(text) = self.string(entry) else { continue };
            match Resolver::parse(text) {
                Ok(resolver) => resolvers.push(resolver),
                Err(error) => self.error(entry.span(), error.to_string(), Some(text)),
            }
        }
        self.draft.dns.resolvers = resolvers;
    }

    /// A count within bounds that both belong to it.
    pub(super) fn number(&mut self, value: &Value<'t>, (least, most): (usize, usize)) -> Option<usize> {
        let DeValue::Integer(digits) = value.get_ref() else {
            self.wrong_type(value, "a whole number", value.get_ref());
            return None;
        };
        let number = usize::from_str_radix(digits.as_str(), digits.radix()).ok();
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let message = format!("the number is not between {least} and {most}");
            self.error(value.span(), message, Some(&digits.to_string()));
        }
        number
    }

    /// A number of octets, or a text such as `64KiB`, `10MB` or `1GiB`.
    pub(super) fn size(&mut self, value: &Value<'t>) -> Option<u64> {
        let (words, size) = match value.get_ref() {
            DeValue::Integer(digits) => {
                (digits.to_string(), u64::from_str_radix(digits.as_str(), digits.radix()).ok())
            }
            DeValue::String(text) => (text.to_string(), size(text)),
            other => {
                self.wrong_type(value, "a size such as \"10MB\"", other);
                return None;
            }
        };
        if size.is_none() {
            let message = "a size is a number of octets, or a number with kB, MB, GB, KiB, MiB or GiB, such as \"10MB\"";
            self.error(value.span(), message.into(), Some(&words));
        }
        size
    }

    /// A time to live, which DNS counts in whole seconds (RFC 1035 section 3.2.1).
    fn seconds(&mut self, value: &Value<'t>) -> Option<Duration> {
        let time = self.duration(value, Duration::ZERO)?;
        if time.subsec_nanos() != 0 {
            self.error(value.span(), "a time to live is in whole seconds: write \"1s\"".into(), None);
            return None;
        }
        Some(time)
    }

    /// A time: seconds as a number, or a text such as `500ms`, `10s`, `5m` or `2h`.
    fn duration(&mut self, value: &Value<'t>, least: Duration) -> Option<Duration> {
        let (words, time) = match value.get_ref() {
            DeValue::Integer(digits) => {
                let seconds = u64::from_str_radix(digits.as_str(), digits.radix()).ok();
                (digits.to_string(), seconds.map(Duration::from_secs))
            }
            DeValue::String(text) => (text.to_string(), time(text)),
            other => {
                self.wrong_type(value, "a time such as \"10s\"", other);
                return None;
            }
        };
        let time = time.filter(|time| (least..=Duration::from_secs(366 * 86_400)).contains(time));
        if time.is_none() {
            let message = "a time is a number with ms, s, m or h, such as \"10s\", and at most a year";
            self.error(value.span(), message.into(), Some(&words));
        }
        time
    }
}

fn time(text: &str) -> Option<Duration> {
    let unit = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..unit].parse().ok()?;
    let milliseconds = match text[unit..].trim_start() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

fn size(text: &str) -> Option<u64> {
    let unit = text.find(|character: char| !character.is_ascii_digit())?;
    let number: u64 = text[..unit].parse().ok()?;
    let octets = match text[unit..].trim_start() {
        "B" => 1,
        "kB" | "KB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(octets)
}

/// The known word that differs by at most two letters, or a third of a short one.
pub(crate) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const LONGEST: usize = 64;
    if word.len() > LONGEST {
        return None;
    }
    let word = word.to_ascii_lowercase().replace('_', "-");
    known
        .filter(|known| known.len() <= LONGEST)
        .map(|known| (distance(&word, known), known))
        .filter(|&(distance, known)| distance <= 2.min(known.len() / 3))
        .min()
        .map(|(_, known)| known)
}

/// Letters to insert, delete or replace to turn one word into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (deleted, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = deleted + 1;
        for (place, &other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != other);
            diagonal = row[place + 1];
            row[place + 1] = replaced.min(row[place] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words() {
        let known = ["allow", "deny", "allow-private", "ports"];
        let near = |word| nearest(word, known.into_iter());
        assert_eq!(near("alow"), Some("allow"));
        assert_eq!(near("allow_private"), Some("allow-private"));
        assert_eq!(near("Port"), Some("ports"));
        assert_eq!(near("frobnicate"), None);
    }

    #[test]
    fn sizes() {
        assert_eq!([size("10MB"), size("1 GiB"), size("5B")], [Some(10_000_000), Some(1 << 30), Some(5)]);
        assert_eq!([size("5"), size("MB"), size("-5MB"), size("5TB"), size("99999999999999GB")], [None; 5]);
    }

    #[test]
    fn times() {
        assert_eq!(time("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(time("2h"), Some(Duration::from_secs(7200)));
        assert_eq!(time("5 m"), Some(Duration::from_secs(300)));
        assert_eq!([time("s"), time("5"), time("-5s"), time("99999999999999999999s")], [None; 4]);
    }
}

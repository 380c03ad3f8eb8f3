//! The keys of policy files: what the reader knows, and what a schema tells editors. Pure tables.

use crate::settings::WILDCARD_NAMES;

/// A table of a file.
#[derive(Debug)]
pub struct Table {
    /// What may stand in it.
    pub keys: &'static [Key],
    /// The names of those that must.
    pub required: &'static [&'static str],
}

/// A key of a table.
#[derive(Debug)]
pub struct Key {
    /// How it is written.
    pub name: &'static str,
    /// What stands behind it.
    pub takes: Takes,
    /// What it says, for people.
    pub about: &'static str,
}

/// What the value of a key may be.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// A text that the reader parses.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number, at least and at most.
    Number(usize, usize),
    /// Octets: a whole number, or a text with a unit.
    Size,
    /// A time: whole seconds, or a text with a unit.
    Time,
    /// A list of texts.
    Texts,
    /// A text, or a list of texts that has some.
    OneOrMore,
    /// The same, each beginning with a slash.
    Paths,
    /// A port, a text with a range, or a list of them that has some.
    Ports,
    /// A table whose keys are the user's own, each a list of texts, or a table.
    Sets(&'static Table),
    /// A table.
    Table(&'static Table),
    /// A list of tables.
    Tables(&'static Table),
}

/// The units of [`Takes::Size`].
pub const SIZE_UNITS: [&str; 8] = ["B", "kB", "KB", "MB", "GB", "KiB", "MiB", "GiB"];
/// The units of [`Takes::Time`].
pub const TIME_UNITS: [&str; 5] = ["ms", "s", "m", "min", "h"];

/// Octets that may be looked at before a verdict.
const SNIFF_BYTES: (usize, usize) = (4 * 1024, 1024 * 1024);
/// What other limits may be.
const MOST: usize = 1 << 24;

/// The file.
pub const FILE: Table = Table {
    keys: &[
        key(
            "mode",
            Takes::Word(&["enforce", "monitor"]),
            "Whether what is not allowed is blocked, or only recorded",
        ),
        key("allow", Takes::Texts, "Rules, or @NAME for a set of them"),
        key("deny", Takes::Texts, "Rules that win over those that allow"),
        key("rule", Takes::Tables(&RULE), "Rules in their long form"),
        key("sets", Takes::Sets(&SET), "Rules under a name: a list of them, or a file of them"),
        key("dns", Takes::Table(&DNS), "How names are answered and resolved"),
        key("limits", Takes::Table(&LIMITS), "Bounds on size, number and time"),
        key("watch", Takes::Table(&WATCH), "What of programs and files is recorded"),
    ],
    required: &[],
};

/// A rule in its long form, `[[rule]]`.
pub const RULE: Table = Table {
    keys: &[
        key("host", Takes::Text, "A name, a wildcard, an address or a network"),
        key("ports", Takes::Ports, "Ports or ranges; 443, and 80 for HTTP, unless set"),
        key("scheme", Takes::Word(&["http", "https"]), "Of URLs; https unless set"),
        key("methods", Takes::OneOrMore, "HTTP methods"),
        key("paths", Takes::Paths, "Paths of URLs; all beneath them is meant as well"),
        key("allow-private", Takes::Flag, "Whether the name may resolve to private addresses"),
        key(
            "max-names",
            Takes::Number(WILDCARD_NAMES.0, WILDCARD_NAMES.1),
            "Different names under the wildcard in a run",
        ),
        key("max-upload", Takes::Size, "Octets of all request bodies under the rule in a run"),
        key("client-cert", Takes::Text, "PEM file with the certificates and the key that the gateway shows"),
        key("effect", Takes::Word(&["allow", "deny"]), "What the rule does; allow unless set"),
        key("note", Takes::Text, "For people"),
    ],
    required: &["host"],
};

/// A set that lies in a file, in `[sets]`.
pub const SET: Table = Table {
    keys: &[
        key("file", Takes::Text, "A file with a rule a line, or a JSON document; relative to this file"),
        key("keys", Takes::Texts, "The lists of a JSON document"),
    ],
    required: &["file"],
};

/// `[dns]`.
pub const DNS: Table = Table {
    keys: &[
        key(
            "answers",
            Takes::Word(&["real", "synthetic"]),
            "The addresses that upstream gives, or one of its own for each name without asking upstream",
        ),
        key("resolvers", Takes::Texts, "Whom the gateway asks; the resolvers of the host unless set"),
        key("ttl-min", Takes::Time, "The least time to live in an answer, in whole seconds; 0 unless set"),
        key(
            "ttl-max",
            Takes::Time,
            "The greatest time to live in an answer, in whole seconds; 300 unless set",
        ),
    ],
    required: &[],
};

/// `[watch]`.
pub const WATCH: Table = Table {
    keys: &[
        key("exec", Takes::Flag, "Whether programs that run are recorded; false unless set"),
        key("paths", Takes::Texts, "Patterns of the files whose uses are recorded"),
    ],
    required: &[],
};

/// `[limits]`.
pub const LIMITS: Table = Table {
    keys: &[
        key("connections", Takes::Number(1, MOST), "TCP connections at once; 16384 unless set"),
        key(
            "sniff-bytes",
            Takes::Number(SNIFF_BYTES.0, SNIFF_BYTES.1),
            "Octets looked at to learn what a connection speaks; 65536 unless set",
        ),
        key("sniff-timeout", Takes::Time, "Time for those octets to arrive; 10s unless set"),
        key("connect-timeout", Takes::Time, "Time for an upstream connection to come about; 10s unless set"),
        key("idle-timeout", Takes::Time, "Time without traffic that ends a TCP connection; 124m unless set"),
        key("udp-flows", Takes::Number(1, MOST), "UDP flows at once; 4096 unless set"),
        key("udp-idle-timeout", Takes::Time, "Time without traffic that ends a UDP flow; 5m unless set"),
        key(
            "pins",
            Takes::Number(1, MOST),
            "Addresses remembered as those of allowed names; 65536 unless set",
        ),
        key("dns-inflight", Takes::Number(1, MOST), "DNS questions upstream at once; 1024 unless set"),
        key(
            "wildcard-names",
            Takes::Number(WILDCARD_NAMES.0, WILDCARD_NAMES.1),
            "Different names under one wildcard rule that leave the machine; 64 unless set",
        ),
    ],
    required: &[],
};

const fn key(name: &'static str, takes: Takes, about: &'static str) -> Key {
    Key { name, takes, about }
}

impl Table {
    /// The key of this name.
    pub(super) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.keys.iter().map(|key| key.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, PolicyBuilder};

    /// A value of each kind that TOML has.
    const SAMPLES: [&str; 7] = ["'x'", "5", "5.5", "true", "1979-05-27", "[]", "{}"];

    fn is_taken(takes: Takes, sample: &str) -> bool {
        match takes {
            Takes::Text | Takes::Word(_) => sample == "'x'",
            Takes::Flag => sample == "true",
            Takes::Number(..) => sample == "5",
            Takes::Size | Takes::Time => ["'x'", "5"].contains(&sample),
            Takes::Texts | Takes::Tables(_) => sample == "[]",
            Takes::OneOrMore | Takes::Paths => ["'x'", "[]"].contains(&sample),
            Takes::Ports => ["'x'", "5", "[]"].contains(&sample),
            Takes::Sets(_) | Takes::Table(_) => sample == "{}",
        }
    }

    fn mistakes(file: &str) -> Vec<String> {
        let mut builder = PolicyBuilder::new();
        builder.add_file("p", file.as_bytes());
        builder
            .build()
            .err()
            .map(|errors| errors.iter().map(ToString::to_string).collect())
            .unwrap_or_default()
    }

    /// So no key is in a table that nothing reads, and none is read otherwise than the table says.
    #[test]
    fn every_key_is_read_as_its_table_says() {
        let tables = [
            (&FILE, ""),
            (&RULE, "[[rule]]\n"),
            (&SET, "[sets.own]\n"),
            (&DNS, "[dns]\n"),
            (&LIMITS, "[limits]\n"),
            (&WATCH, "[watch]\n"),
        ];
        for (table, head) in tables {
            for key in table.keys {
                for sample in SAMPLES {
                    let more = table.required.iter().filter(|name| **name != key.name);
                    let more: String = more.map(|name| format!("{name} = 'a.test'\n")).collect();
                    let file = format!("{head}{more}{} = {sample}\n", key.name);
                    let mistakes = mistakes(&file);
                    let wrong_kind = mistakes.iter().any(|mistake| mistake.contains("this is "));
                    assert_eq!(wrong_kind, !is_taken(key.takes, sample), "{file}{mistakes:?}");
                }
            }
        }
    }

    #[test]
    fn every_limit_is_set() {
        for key in LIMITS.keys {
            let mut builder = PolicyBuilder::new();
            builder.add_file("p", format!("[limits]\n{} = 5003", key.name).as_bytes());
            assert_ne!(builder.build().unwrap().limits(), &Limits::default(), "{}", key.name);
        }
    }

    #[test]
    fn words_and_bounds_are_those_that_are_read() {
        let tables =
            [(&FILE, ""), (&RULE, "[[rule]]\nhost = 'a.test'\n"), (&DNS, "[dns]\n"), (&LIMITS, "[limits]\n")];
        for (table, head) in tables {
            for key in table.keys {
                let read = |value: String| mistakes(&format!("{head}{} = {value}\n", key.name));
                match key.takes {
                    Takes::Word(words) => {
                        for word in words {
                            assert_eq!(read(format!("'{word}'")), [""; 0]);
                        }
                        assert_eq!(read("'other'".into()).len(), 1);
                    }
                    Takes::Number(least, most) if key.name != "max-names" => {
                        assert_eq!([read(least.to_string()), read(most.to_string())].concat(), [""; 0]);
                        assert_eq!(
                            [read((least - 1).to_string()), read((most + 1).to_string())].concat().len(),
                            2
                        );
                    }
                    Takes::Time => {
                        // Times to live are whole seconds, and in order.
                        let in_unit = |unit: &&str| {
                            let amount = if *unit == "ms" { "1000" } else { "0" };
                            let amount = if key.name.starts_with("ttl") { amount } else { "5000" };
                            read(format!("'{amount}{unit}'"))
                        };
                        assert_eq!(TIME_UNITS.iter().flat_map(in_unit).collect::<Vec<_>>(), [""; 0]);
                    }
                    Takes::Size => {
                        let upload =
                            |unit: &&str| read(format!("'3 {unit}'\nscheme = 'https'\npaths = '/p'"));
                        assert_eq!(SIZE_UNITS.iter().flat_map(upload).collect::<Vec<_>>(), [""; 0]);
                    }
                    _ => {}
                }
            }
        }
    }
}

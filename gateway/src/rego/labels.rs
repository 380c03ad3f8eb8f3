//! What whoever starts a run says of it, for rules to look at. Pure.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Labels of a run.
const MOST: usize = 64;
/// Characters of a key.
const LONGEST_KEY: usize = 64;
/// Octets of a value.
const LONGEST_VALUE: usize = 1024;

/// Labels, each key once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

/// What is no label. Nothing of a value is shown, and keys are harmless to show.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LabelError {
    /// Without `=`.
    #[error("label `{0}` has no value: write KEY=VALUE, as in stage=build")]
    NoValue(String),
    /// A key that is empty, too long, or has other characters.
    #[error("label key `{0}`: a key is 1 to {LONGEST_KEY} of the characters A-Z a-z 0-9 . _ - /")]
    Key(String),
    /// A value that is too long.
    #[error("label `{key}` has a value of {octets} octets; at most {LONGEST_VALUE} are allowed")]
    Value {
        /// Its key.
        key: String,
        /// Of its value.
        octets: usize,
    },
    /// A key that was there before.
    #[error("label `{0}` is given twice; leave one")]
    Twice(String),
    /// More than a run may have.
    #[error("there are more than {MOST} labels")]
    TooMany,
}

impl Labels {
    /// Reads `KEY=VALUE` of each text. The value begins behind the first `=`, and may be empty.
    ///
    /// # Errors
    /// One of them is no label, two have one key, or there are more than 64.
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Labels, LabelError> {
        if texts.len() > MOST {
            return Err(LabelError::TooMany);
        }
        let mut labels = BTreeMap::new();
        for text in texts {
            let text = text.as_ref();
            let (key, value) = text.split_once('=').ok_or_else(|| LabelError::NoValue(shown(text)))?;
            if !is_key(key) {
                return Err(LabelError::Key(shown(key)));
            }
            if value.len() > LONGEST_VALUE {
                return Err(LabelError::Value { key: key.to_owned(), octets: value.len() });
            }
            match labels.entry(key.to_owned()) {
                Entry::Vacant(place) => place.insert(value.to_owned()),
                Entry::Occupied(_) => return Err(LabelError::Twice(key.to_owned())),
            };
        }
        Ok(Labels(labels))
    }

    /// An object, for the input.
    pub(super) fn to_json(&self) -> serde_json::Value {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }
}

fn is_key(text: &str) -> bool {
    let is_fit = |octet: u8| octet.is_ascii_alphanumeric() || b"._-/".contains(&octet);
    (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(is_fit)
}

/// As much of a text as a key may have, escaped.
fn shown(text: &str) -> String {
    text.chars().take(LONGEST_KEY).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn error(texts: &[&str]) -> LabelError {
        Labels::parse(texts).unwrap_err()
    }

    #[test]
    fn keys_and_values() {
        let labels = Labels::parse(&["stage=build", "empty=", "ci/ref.name_1-x=a=b = \u{e9}\n"]).unwrap();
        assert_eq!(
            labels.to_json(),
            json!({ "stage": "build", "empty": "", "ci/ref.name_1-x": "a=b = \u{e9}\n" })
        );
        assert_eq!(Labels::default().to_json(), json!({}));
    }

    #[test]
    fn what_is_no_label() {
        assert_eq!(error(&["stage"]), LabelError::NoValue("stage".into()));
        assert_eq!(error(&[""]), LabelError::NoValue(String::new()));
        assert_eq!(error(&["=x"]), LabelError::Key(String::new()));
        assert_eq!(error(&["a b=x"]), LabelError::Key("a b".into()));
        assert_eq!(error(&["\u{e9}=x"]), LabelError::Key("\u{e9}".into()));
        assert_eq!(error(&["a=1", "b=2", "a=1"]), LabelError::Twice("a".into()));
        assert_eq!(error(&["\u{1b}[2J\u{202e}"]), LabelError::NoValue("\\u{1b}[2J\\u{202e}".into()));
    }

    #[test]
    fn bounds() {
        let key = "k".repeat(LONGEST_KEY);
        assert!(Labels::parse(&[format!("{key}={}", "v".repeat(LONGEST_VALUE))]).is_ok());
        assert_eq!(error(&[&format!("{key}k=")]), LabelError::Key(key));
        let long = format!("a={}", "v".repeat(LONGEST_VALUE + 1));
        assert_eq!(error(&[&long]), LabelError::Value { key: "a".into(), octets: LONGEST_VALUE + 1 });
        let many: Vec<String> = (0..=MOST).map(|number| format!("k{number}=")).collect();
        assert!(Labels::parse(&many[..MOST]).is_ok());
        assert_eq!(Labels::parse(&many), Err(LabelError::TooMany));
    }

    proptest! {
        /// What is read has the texts' keys and values, and an error nothing that a terminal acts on.
        #[test]
        fn any_texts(texts in prop::collection::vec("[a-c]{0,2}=?\\PC{0,8}|\\PC{0,4}[\x00-\x1f]?", 0..4)) {
            match Labels::parse(&texts) {
                Ok(Labels(read)) => {
                    prop_assert_eq!(read.len(), texts.len());
                    for (key, value) in read {
                        let text = format!("{key}={value}");
                        prop_assert!(texts.contains(&text));
                    }
                }
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
            }
        }
    }
}

//! What holds for every environment.

use std::ffi::CString;

use proptest::prelude::*;

use super::pem;
use super::tests::{Machine, authority};
use super::variables::{self, FILES};

/// Entries of an environment: known names and others, with values of every kind.
fn entry() -> impl Strategy<Value = String> {
    let known: Vec<&str> =
        FILES.iter().map(|variable| variable.name).chain(["SSL_CERT_DIR", "JAVA_TOOL_OPTIONS"]).collect();
    let name = prop_oneof![proptest::sample::select(known).prop_map(str::to_owned), "[A-Za-z_]{1,8}"];
    let value = prop_oneof![
        Just("/a.pem".to_owned()),
        Just("/b.pem".to_owned()),
        Just("/etc/ssl/cert.pem".to_owned()),
        Just("/nowhere".to_owned()),
        Just(String::new()),
        "[ -~]{0,20}",
    ];
    (name, value).prop_map(|(name, value)| format!("{name}={value}"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// No variable is lost, one that is not about certificates is the same, and what named a file of roots
    /// names one with all of them and the authority.
    #[test]
    fn nothing_of_the_user_is_lost(entries in prop::collection::vec(entry(), 0..8), has_bundle: bool) {
        let mut machine = Machine::default().file("/a.pem", "roots a").file("/b.pem", "roots b\n");
        if has_bundle {
            machine = machine.file("/etc/ssl/cert.pem", "roots of the system");
        }
        let words: Vec<&str> = entries.iter().map(String::as_str).collect();
        let trust = machine.plan(&words);
        let before: Vec<CString> = entries.iter().map(|entry| CString::new(entry.as_str()).unwrap()).collect();
        let after = trust.apply(before.clone());
        for entry in &before {
            let (name, value) = variables::split(entry.as_bytes());
            let shown: Vec<_> =
                after.iter().filter(|entry| variables::name(entry.as_bytes()) == name).collect();
            prop_assert!(!shown.is_empty(), "{:?} is lost", entry);
            let is_ours = trust.variables.iter().any(|(ours, _)| ours.as_bytes() == name);
            if !is_ours {
                prop_assert!(shown.contains(&entry), "{:?} is changed", entry);
                continue;
            }
            prop_assert_eq!(shown.len(), 1, "{:?} is there once", entry);
            let (_, now) = variables::split(shown[0].as_bytes());
            let is_list = matches!(name, b"SSL_CERT_DIR" | b"JAVA_TOOL_OPTIONS");
            // The first of a name that is not empty is what programs see.
            let first = before.iter().map(|entry| variables::split(entry.as_bytes()))
                .find(|(other, value)| *other == name && !value.is_empty());
            let Some((_, first)) = first else { continue };
            if is_list {
                prop_assert!(now.starts_with(first));
            } else if value == first {
                let old: &[u8] = match first {
                    b"/a.pem" => b"roots a",
                    b"/b.pem" => b"roots b",
                    other => return Err(TestCaseError::fail(format!("{other:?} has no roots to keep"))),
                };
                let path = std::path::Path::new(str::from_utf8(now).unwrap());
                let (_, content) = trust.new.iter().find(|(new, _)| new == path).unwrap();
                prop_assert!(content.starts_with(old));
                prop_assert!(content.ends_with(&pem::encode(&authority())));
            }
        }
    }

    /// Stores of Java that are damaged are refused or extended, never a panic.
    #[test]
    fn any_store_is_survived(bytes in prop::collection::vec(any::<u8>(), 0..200), is_sequence: bool) {
        let mut bytes = bytes;
        if is_sequence && let Some(first) = bytes.first_mut() {
            *first = 0x30;
        }
        let _ = super::java::extend(bytes, "changeit", &authority());
    }
}

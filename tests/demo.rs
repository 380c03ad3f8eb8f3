//! The demo, as a user sees it: its exit status, its table, and what it leaves behind.

use std::process::{Command, Output};

const DEMO: &str = env!("CARGO_BIN_EXE_cijail-net");

fn demo(command: &mut Command) -> (Output, String) {
    let output = command.output().expect("the binary runs");
    let text = String::from_utf8(output.stdout.clone()).expect("plain text");
    (output, text)
}

/// Nothing gets out of the jail, and the honest fetch works: both sides are in the table.
#[test]
fn the_jail_holds_and_the_fetch_works() {
    let (output, text) = demo(Command::new(DEMO).arg("demo"));
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let table = text.split("reason given").nth(1).expect("a table");
    for way in ["HTTPS POST", "DNS labels", "DNS over TCP", "IP literal", "QUIC"] {
        let row = table.lines().find(|line| line.trim_start().starts_with(way)).expect(way);
        assert!(row.contains("TOKEN OUT") && row.contains("nothing out"), "{row}");
    }
    assert_eq!(table.matches("works").count(), 2);
    assert!(text.contains("in the jail by none"));
}

/// A pipe gets plain text of 80 columns at most.
#[test]
fn piped_text_is_plain_and_narrow() {
    let (_, text) = demo(Command::new(DEMO).arg("demo").env("TERM", "xterm-256color"));
    assert!(text.is_ascii() && !text.contains('\x1b'), "{text}");
    assert!(text.lines().all(|line| line.len() <= 80), "{text}");
}

/// Rules and proxies of the caller have no part in it.
#[test]
fn the_callers_environment_changes_nothing() {
    let mut command = Command::new(DEMO);
    command.arg("demo").env("CIJAIL_DRY_RUN", "1").env("CIJAIL_ENDPOINTS", "collect.evil.example");
    command.env("HTTPS_PROXY", "http://192.0.2.99:3128");
    let (output, text) = demo(&mut command);
    assert!(output.status.success(), "{text}");
}

/// The hostile program is part of the demo and does nothing by itself.
#[test]
fn the_postinstall_does_not_run_alone() {
    let (output, text) =
        demo(Command::new(DEMO).arg("demo-postinstall").env_remove("NPM_TOKEN").env_remove("DEMO_AUTHORITY"));
    assert_eq!((output.status.code(), text.as_str()), (Some(125), ""));
}

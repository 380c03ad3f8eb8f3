//! Reports of made-up runs.

use policy::PolicyBuilder;

use super::*;

fn summary(mode: Mode) -> Summary {
    let mut builder = PolicyBuilder::new();
    builder.set_mode(mode);
    builder.add_allow("good.test");
    builder.add_allow("unused.test");
    let mut summary = Summary::new(&builder.build().unwrap());
    let event = |verdict, kind, name: &str, port| {
        let mut event = Event::new(verdict, kind);
        event.name = Some(name.to_owned());
        event.port = Some(port);
        event
    };
    let mut tls = event(Outcome::Allow, Kind::Tls, "good.test", 443);
    tls.rule = Some("good.test".to_owned());
    (tls.bytes_up, tls.bytes_down) = (Some(1500), Some(12_345_678));
    summary.add(&event(Outcome::Allow, Kind::Dns, "good.test", 53));
    summary.add(&tls);
    summary.add(&tls);
    let outcome = if mode == Mode::Enforce { Outcome::Deny } else { Outcome::WouldDeny };
    let mut denied = event(outcome, Kind::Dns, "evil.test|`\u{1b}[31m\n::error::x", 53);
    denied.reason = Some(Reason::NotAllowed);
    denied.suggestion = Some("evil.test".to_owned());
    summary.add(&denied);
    summary
}

#[test]
fn text_fits_and_tells_what_was_blocked_first() {
    let text = summary(Mode::Enforce).write(ReportFormat::Text);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "cijail-net: 2 destinations, 1 blocked",
            "  destination                        kind  count      up/down",
            "  evil.test|`\\u{1b}[31m\\n::error::x  dns   1 BLOCKED                not-allowed; to allow: evil.test",
            "  good.test:443                      tls   2          3.0 kB/25 MB  good.test",
            "  never used: unused.test",
        ]
    );
}

#[test]
fn markdown_has_one_row_each() {
    let text = summary(Mode::Enforce).write(ReportFormat::Markdown);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "### cijail-net: 2 destinations, 1 blocked");
    assert_eq!(
        lines[4],
        "| `evil.test\\|'\\u{1b}[31m\\n::error::x` | dns | ❌ | 0 | 1 | 0 B | 0 B | `not-allowed; to allow: evil.test` |"
    );
    assert_eq!(lines[5], "| `good.test:443` | tls | ✅ | 2 | 0 | 3.0 kB | 25 MB | `good.test` |");
    assert_eq!(lines.last(), Some(&"Never used: `unused.test`"));
}

#[test]
fn json_reads_back() {
    let text = summary(Mode::Monitor).write(ReportFormat::Json);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["mode"], "monitor");
    assert_eq!(report["destinations"][0]["would_deny"], 1);
    assert_eq!(report["destinations"][1]["bytes_down"], 24_691_356);
    assert_eq!(report["unused_rules"][0], "unused.test");
}

#[test]
fn annotations_stay_one_line_each() {
    let text = annotations(&summary(Mode::Enforce));
    assert_eq!(text.lines().count(), 1);
    assert!(text.starts_with("::error title=cijail-net::dns evil.test|`\\u{1b}[31m\\n::error::x BLOCKED"));
    assert!(annotations(&summary(Mode::Monitor)).starts_with("::warning "));
}

#[test]
fn octets_for_people() {
    let shown = [0, 999, 1000, 9949, 9950, 999_499, 999_500, 1_500_000_000, u64::MAX].map(octets);
    assert_eq!(
        shown,
        ["0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "1.5 GB", "18446744 TB"]
    );
}

#[test]
fn junit_has_a_case_for_each_destination() {
    let text = summary(Mode::Enforce).write(ReportFormat::Junit);
    assert!(text.contains("<testsuite name=\"cijail-net\" tests=\"2\" failures=\"1\">"), "{text}");
    assert!(text.contains("<testcase classname=\"tls\" name=\"good.test:443\"/>"), "{text}");
    assert!(text.contains("<failure message=\"blocked: not-allowed; to allow: evil.test\"/>"), "{text}");
    let text = summary(Mode::Monitor).write(ReportFormat::Junit);
    assert!(text.contains("failures=\"0\"") && text.contains("would be blocked: not-allowed"), "{text}");
}

#[test]
fn sarif_has_a_result_for_each_blocked_destination() {
    let text = summary(Mode::Monitor).write(ReportFormat::Sarif);
    let sarif: serde_json::Value = serde_json::from_str(&text).unwrap();
    let results = &sarif["runs"][0]["results"];
    assert_eq!(results.as_array().unwrap().len(), 1);
    assert_eq!((&results[0]["ruleId"], &results[0]["level"]), (&"not-allowed".into(), &"warning".into()));
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"], "not-allowed");
}

#[test]
fn what_is_new_is_told() {
    let earlier = summary(Mode::Monitor).write(ReportFormat::Json);
    let baseline = Baseline::read(earlier.as_bytes()).unwrap();
    let mut later = summary(Mode::Enforce);
    assert_eq!(baseline.new_in(&later), [""; 0]);
    let mut event = Event::new(Outcome::Allow, Kind::Tls);
    event.name = Some("good.test".to_owned());
    event.port = Some(8443);
    later.add(&event);
    assert_eq!(baseline.new_in(&later), ["tls good.test:8443"]);
    Baseline::read(b"[]").unwrap_err();
}

//! Reports of made-up runs.

mod forging;
pub(super) mod runs;

use super::*;
use crate::audit::{Event, Kind, Outcome};

fn summary(mode: Mode) -> Summary {
    let policy = runs::policy(mode, &["good.test", "unused.test"]);
    let mut summary = Summary::new(&policy, runs::start());
    let curl = runs::program(&["/bin/sh", "/usr/bin/curl"], &["curl", "https://good.test/"]);
    let event = |verdict, kind, name: &str, port| {
        let program = Some(curl.clone());
        Event { program, ..runs::event(verdict, kind, name, port, 100) }
    };
    let mut tls = event(Outcome::Allow, Kind::Tls, "good.test", 443);
    (tls.bytes_up, tls.bytes_down) = (Some(1500), Some(12_345_678));
    summary.add(&event(Outcome::Allow, Kind::Dns, "good.test", 53));
    summary.add(&tls);
    summary.add(&tls);
    let outcome = if mode == Mode::Enforce { Outcome::Deny } else { Outcome::WouldDeny };
    let mut denied = event(outcome, Kind::Dns, "evil.test|`\u{1b}[31m\n::error::x", 53);
    denied.suggestion = Some("evil.test".to_owned());
    summary.add(&denied);
    summary.end(End { at: runs::start() + Duration::from_secs(61), command: Some(0), status: 122 });
    summary
}

#[test]
fn text_fits_and_tells_what_was_blocked_first() {
    let text = summary(Mode::Enforce).write(ReportFormat::Text, 80);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "cijail-net: 2 destinations, 1 blocked",
            "  exit status 122 (the command's was 0) after 1m01s, mode enforce",
            "           destination                        kind  count  up/down       seen",
            "  by /usr/bin/curl < sh",
            "    deny   evil.test|`\\u{1b}[31m\\n::error::x  dns   1                    0.1s",
            "      not-allowed; to allow: evil.test",
            "    allow  good.test:443                      tls   2      3.0 kB/25 MB  0.1s",
            "      by good.test",
            "  never used: unused.test",
        ]
    );
}

#[test]
fn text_is_as_narrow_as_the_terminal() {
    let mut run = runs::ordinary(Mode::Enforce);
    run.add(&runs::event(Outcome::Deny, Kind::Tls, &"long.".repeat(40), 443, 9));
    for (columns, most) in [(0, 40), (40, 40), (59, 59), (80, 80), (1_000, 160)] {
        let text = run.write(ReportFormat::Text, columns);
        let widest = text.lines().map(str::len).max().unwrap();
        assert!(widest <= most && widest > most / 2, "{columns}: {text}");
        // Nothing is lost by it.
        assert!(text.replace("\n      | ", "").contains(&"long.".repeat(40)), "{columns}: {text}");
    }
}

#[test]
fn markdown_has_one_row_each() {
    let text = summary(Mode::Enforce).write(ReportFormat::Markdown, 80);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "### cijail-net: 2 destinations, 1 blocked");
    assert_eq!(lines[4], "#### `/usr/bin/curl < sh`");
    assert_eq!(
        lines[8],
        "| `evil.test\\|'\\u{1b}[31m\\n::error::x` | dns | ❌ | 0 | 1 | 0 B | 0 B | 0.1s | `not-allowed; to allow: evil.test` |"
    );
    assert_eq!(lines[9], "| `good.test:443` | tls | ✅ | 2 | 0 | 3.0 kB | 25 MB | 0.1s | `good.test` |");
    assert_eq!(lines.last(), Some(&"Never used: `unused.test`"));
}

#[test]
fn json_reads_back() {
    let text = summary(Mode::Monitor).write(ReportFormat::Json, 80);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(report["mode"], "monitor");
    assert_eq!(report["destinations"][0]["would_deny"], 1);
    assert_eq!(report["destinations"][1]["bytes_down"], 24_691_356);
    assert_eq!(report["unused_rules"][0], "unused.test");
    let program = &report["programs"][0];
    assert_eq!((&program["exe"], &program["parents"][0]), (&"/usr/bin/curl".into(), &"/bin/sh".into()));
    assert_eq!((&program["pid"], &program["args"][1]), (&812.into(), &"https://good.test/".into()));
    assert_eq!(program["destinations"], report["destinations"]);
    assert_eq!((&report["status"], &report["duration_ms"]), (&122.into(), &61_000.into()));
}

#[test]
fn annotations_stay_one_line_each() {
    let text = annotations(&summary(Mode::Enforce));
    assert_eq!(text.lines().count(), 1);
    assert!(text.starts_with("::error title=cijail-net::dns evil.test|`\\u{1b}[31m\\n::error::x BLOCKED"));
    assert!(annotations(&summary(Mode::Monitor)).starts_with("::warning "));
    let mut many = runs::many(0, 1);
    for index in 0..12 {
        many.add(&runs::event(Outcome::Deny, Kind::Tls, &format!("n{index}.evil.test"), 443, 1));
    }
    let lines: Vec<String> = annotations(&many).lines().map(str::to_owned).collect();
    assert_eq!((lines.len(), &*lines[9]), (10, "::error title=cijail-net::and 3 more"));
}

#[test]
fn junit_has_a_case_for_each_destination() {
    let text = summary(Mode::Enforce).write(ReportFormat::Junit, 80);
    assert!(text.contains("<testsuite name=\"cijail-net\" tests=\"2\" failures=\"1\">"), "{text}");
    assert!(text.contains("<testcase classname=\"tls\" name=\"good.test:443\"/>"), "{text}");
    assert!(text.contains("<failure message=\"blocked: not-allowed; to allow: evil.test\"/>"), "{text}");
    let text = summary(Mode::Monitor).write(ReportFormat::Junit, 80);
    assert!(text.contains("failures=\"0\"") && text.contains("would be blocked: not-allowed"), "{text}");
}

#[test]
fn sarif_has_a_result_for_each_blocked_destination() {
    let text = summary(Mode::Monitor).write(ReportFormat::Sarif, 80);
    let sarif: serde_json::Value = serde_json::from_str(&text).unwrap();
    let results = &sarif["runs"][0]["results"];
    assert_eq!(results.as_array().unwrap().len(), 1);
    assert_eq!((&results[0]["ruleId"], &results[0]["level"]), (&"not-allowed".into(), &"warning".into()));
    assert_eq!(sarif["runs"][0]["tool"]["driver"]["rules"][0]["id"], "not-allowed");
}

#[test]
fn what_is_new_is_told() {
    let earlier = summary(Mode::Monitor).write(ReportFormat::Json, 80);
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

#[test]
fn more_than_is_told_apart_is_always_new() {
    let mut summary = runs::ordinary(Mode::Enforce);
    for number in 0..6_000 {
        summary.add(&runs::event(Outcome::Allow, Kind::Tls, &format!("n{number}.test"), 443, 7_050));
    }
    let baseline = Baseline::read(summary.write(ReportFormat::Json, 80).as_bytes()).unwrap();
    assert_eq!(baseline.new_in(&summary), ["other and others"]);
}

#[test]
fn programs_are_told_apart() {
    let mut summary = runs::ordinary(Mode::Enforce);
    let report = |summary: &Summary| -> serde_json::Value {
        serde_json::from_str(&summary.write(ReportFormat::Json, 80)).unwrap()
    };
    let before = report(&summary)["programs"].as_array().unwrap().len();
    let mut event = runs::event(Outcome::Allow, Kind::Tls, "pypi.test", 443, 7_050);
    event.program = Some(runs::program(&["/usr/bin/bash", "/usr/bin/wget"], &["wget"]));
    event.bytes_down = Some(5);
    summary.add(&event);
    let report = report(&summary);
    let programs = report["programs"].as_array().unwrap();
    assert_eq!(programs.len(), before + 1);
    let by = |exe: &str| programs.iter().find(|program| program["exe"] == exe).unwrap();
    assert_eq!(by("/usr/bin/wget")["destinations"][0]["bytes_down"], 5);
    let sum =
        report["destinations"].as_array().unwrap().iter().find(|row| row["host"] == "pypi.test").unwrap();
    assert_eq!((&sum["allowed"], &sum["bytes_down"]), (&10.into(), &468_005.into()));
}

#[test]
fn memory_is_bounded_and_nothing_goes_uncounted() {
    const COUNT: usize = 100_000;
    let summary = runs::many(COUNT, 3_000);
    let programs: Vec<_> = summary.ledger.programs().collect();
    assert_eq!(programs.len(), 1_001);
    assert!(programs.iter().map(|(.., rows)| rows.len()).sum::<usize>() <= 11_001);
    let rows = programs.iter().flat_map(|(.., rows)| rows);
    assert_eq!(rows.map(|(_, traffic)| traffic.allowed + traffic.denied).sum::<u64>(), COUNT as u64);
    assert!(summary.rows().iter().any(|(to, _)| to.host == "and others"));
    // What people read says that it is not all.
    for (format, most) in
        [(ReportFormat::Text, 1 << 17), (ReportFormat::Markdown, 1 << 18), (ReportFormat::Html, 2_000_000)]
    {
        let text = summary.write(format, 80);
        assert!(text.len() < most && text.contains("more rows are left out"), "{format:?}: {}", text.len());
    }
}

#[test]
fn a_flood_of_denials_leaves_room_for_what_was_allowed() {
    let mut summary = runs::many(0, 1);
    for index in 0..30_000 {
        summary.add(&runs::event(Outcome::Deny, Kind::Dns, &format!("n{index}.evil.test"), 53, 1));
    }
    summary.add(&runs::event(Outcome::Allow, Kind::Tls, "good.test", 443, 2));
    assert!(summary.rows().iter().any(|(to, _)| to.host == "good.test"));
}

#[test]
fn a_page_has_every_part() {
    let page = runs::ordinary(Mode::Enforce).write(ReportFormat::Html, 80);
    for part in [
        "5 of 13 destinations were blocked",
        "<dt>Exit status</dt><dd>122 (command: 0)</dd>",
        "<code class=\"remedy\">--allow collect.evil.test</code>",
        "<h3>/usr/bin/curl &lt; dash &lt; node &lt; dash &lt; make &lt; bash</h3>",
        "<title>dash &gt; curl to collect.evil.test: 0 allowed, 3 blocked</title>",
        "<li><code>dns:old.test</code></li>",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("left out"));
    let monitor = runs::ordinary(Mode::Monitor).write(ReportFormat::Html, 80);
    assert!(monitor.contains("5 of 13 destinations would be blocked"));
    let empty = runs::many(0, 1).write(ReportFormat::Html, 80);
    assert!(empty.contains("The command talked to nobody") && !empty.contains("<svg"));
}

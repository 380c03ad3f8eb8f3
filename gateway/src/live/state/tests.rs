use std::time::{Duration, SystemTime};

use policy::{Mode, Reason};

use super::*;
use crate::audit::Kind;
use crate::live::snapshot::{self, Run};

fn event(verdict: Outcome, kind: Kind, name: &str) -> Event {
    let mut event = Event::new(verdict, kind);
    event.name = Some(name.to_owned());
    event.port = Some(443);
    event
}

fn denied(name: &str) -> Event {
    let mut event = event(Outcome::Deny, Kind::Tls, name);
    event.reason = Some(Reason::NotAllowed);
    event.suggestion = Some(name.to_owned());
    event
}

fn run(begun: Instant) -> Run {
    Run {
        session: "0123456789abcdef".to_owned(),
        pid: 7,
        mode: Mode::Enforce,
        command: vec!["make".to_owned()],
        started: SystemTime::UNIX_EPOCH,
        begun,
    }
}

fn counters(up: usize, down: usize) -> Arc<Counters> {
    let counters = Arc::<Counters>::default();
    counters.add_up(up);
    counters.add_down(down);
    counters
}

#[test]
fn what_goes_on_and_what_has_ended_add_up() {
    let begun = Instant::now();
    let mut state = State::default();
    let allowed = event(Outcome::Allow, Kind::Tls, "a.test");
    let first = state.begin(&allowed, counters(1, 10), begun);
    let second = state.begin(&allowed, counters(2, 20), begun);
    state.end(first);
    state.add(&Event { bytes_up: Some(1), bytes_down: Some(10), ..allowed.clone() });
    let connection = counters(1000, 1000);
    state.shows(second, connection.clone());
    connection.add_down(300);
    let shown = state.snapshot(&run(begun), begun + Duration::from_secs(3));
    assert_eq!((shown.open, shown.begun, shown.bytes_up, shown.bytes_down), (1, 2, 3, 330));
    assert_eq!(
        (shown.age_ms, shown.connections[0].age_ms, shown.connections[0].bytes_down),
        (3000, 3000, 320)
    );
    let [row] = &shown.destinations[..] else { panic!("{shown:?}") };
    assert_eq!((row.open, row.allowed, row.bytes_up, row.bytes_down), (1, 1, 3, 330));
    state.withdraw(second);
    assert_eq!(state.sum(), Sum { begun: 1, bytes_up: 1, bytes_down: 10, ..Sum::default() });
}

#[test]
fn repeated_denials_are_one_and_the_newest_stay() {
    let mut state = State::default();
    for number in 0..100 {
        state.add(&denied("again.test"));
        state.add(&denied(&format!("{number}.test")));
    }
    let shown = state.snapshot(&run(Instant::now()), Instant::now());
    assert_eq!((shown.denied, shown.denials.len()), (200, MOST_DENIALS));
    assert_eq!((&*shown.denials[0].host, shown.denials[0].count), ("99.test", 1));
    assert_eq!((&*shown.denials[1].host, shown.denials[1].count), ("again.test", 100));
    assert_eq!(shown.denials[1].suggestion.as_deref(), Some("again.test"));
    assert_eq!(state.sum().last_denied.as_deref(), Some("99.test:443"));
}

/// What the job can make grow has a bound, and so has an answer.
#[test]
fn floods_are_bounded() {
    let mut state = State::default();
    let long = "\u{1}\\\"".repeat(1000);
    for number in 0..5_000 {
        let mut event = denied(&format!("{number}{long}"));
        event.suggestion = Some(long.clone());
        state.add(&event);
        let mut allowed = event;
        allowed.verdict = Outcome::Allow;
        allowed.rule = Some(long.clone());
        state.begin(&allowed, counters(number, 0), Instant::now());
        state.add(&allowed);
    }
    assert!(state.destinations.len() <= 2 * MOST_DESTINATIONS + 1, "{}", state.destinations.len());
    let shown = state.snapshot(&run(Instant::now()), Instant::now());
    let (connections, left_out) = (shown.connections.len(), shown.connections_left_out);
    assert_eq!((connections, left_out), (snapshot::CONNECTIONS, 5_000 - snapshot::CONNECTIONS as u64));
    assert_eq!(shown.connections[0].bytes_up, 4_999);
    let text = serde_json::to_string(&shown).unwrap();
    assert!(text.len() < 1 << 20, "{}", text.len());
    assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~')));
}

#[test]
fn what_nobody_decided_about_is_left_out() {
    let mut state = State::default();
    state.add(&event(Outcome::Allow, Kind::Exec, "x"));
    let mut missed = event(Outcome::Allow, Kind::Other, "x");
    missed.count = Some(7);
    state.add(&missed);
    // Nor is a question for a name that was then talked to.
    state.add(&event(Outcome::Allow, Kind::Dns, "a.test"));
    state.add(&event(Outcome::Allow, Kind::Tls, "a.test"));
    let shown = state.snapshot(&run(Instant::now()), Instant::now());
    let kinds: Vec<&str> = shown.destinations.iter().map(|row| &*row.kind).collect();
    assert_eq!(kinds, ["tls"]);
}

use super::*;

const IMAGE: Image = Image { started: 100, stack: 7 };

fn state(stack: u64, exe: &str) -> State {
    State { image: Image { stack, ..IMAGE }, exe: Some(exe.to_owned()), seed: Some([1; 16]) }
}

/// The program that asks.
fn before() -> State {
    state(7, "/bin/make")
}

fn attempt(thread: u32, path: &str, is_there: bool) -> Attempt {
    Attempt {
        thread,
        at: SystemTime::UNIX_EPOCH,
        path: Some(path.to_owned()),
        is_there,
        args: Vec::new(),
        parents: Vec::new(),
        before: before(),
    }
}

/// Of the process 5 and its first thread.
fn attempts(is_there: bool) -> Attempts {
    let mut attempts = Attempts::default();
    assert!(attempts.add(5, attempt(5, "/bin/script", is_there)).is_none());
    attempts
}

/// Path, ending and executable.
fn told(observations: Vec<Observation>) -> Vec<(String, Ending, String)> {
    let told = observations.into_iter().map(|observation| match observation {
        Observation::Program { path, ending, program, .. } => (path, ending, program.exe),
        other => panic!("{other:?}"),
    });
    told.collect()
}

fn one(path: &str, ending: Ending, exe: &str) -> (String, Ending, String) {
    (path.to_owned(), ending, exe.to_owned())
}

#[test]
fn a_new_image_has_run() {
    let ran = [one("/bin/script", Ending::Ran, "/bin/sh")];
    assert_eq!(told(attempts(true).decide(5, 5, Some(&state(8, "/bin/sh")))), ran);
    // Also if it looked as if nothing was there.
    assert_eq!(told(attempts(false).look(5, Some(&state(8, "/bin/sh")))), ran);
}

#[test]
fn the_same_image_has_not() {
    for (is_there, ending) in [(true, Ending::Refused), (false, Ending::NotFound)] {
        let refused = told(attempts(is_there).decide(5, 5, Some(&before())));
        assert_eq!(refused, [one("/bin/script", ending, "/bin/make")]);
    }
}

#[test]
fn a_stack_at_the_same_place_hides_no_program() {
    let other_file = state(7, "/bin/sh");
    assert_eq!(told(attempts(true).decide(5, 5, Some(&other_file)))[0].1, Ending::Ran);
    let other_seed = State { seed: Some([2; 16]), ..before() };
    assert_eq!(told(attempts(true).look(5, Some(&other_seed)))[0].1, Ending::Ran);
    // A seed that may not be looked at any more says nothing.
    let hidden = State { seed: None, ..before() };
    assert_eq!(told(attempts(true).decide(5, 5, Some(&hidden)))[0].1, Ending::Refused);
}

#[test]
fn threads_decide_their_own_attempts_only() {
    let mut attempts = attempts(true);
    attempts.add(5, attempt(6, "/bin/none", false));
    assert_eq!(told(attempts.decide(5, 7, Some(&before()))), []);
    let failed = [one("/bin/none", Ending::NotFound, "/bin/make")];
    assert_eq!(told(attempts.decide(5, 6, Some(&before()))), failed);
    let ran = [one("/bin/script", Ending::Ran, "/bin/sh")];
    assert_eq!(told(attempts.decide(5, 5, Some(&state(8, "/bin/sh")))), ran);
    assert!(attempts.is_empty());
}

#[test]
fn one_of_many_attempts_runs() {
    let mut attempts = attempts(true);
    attempts.add(5, attempt(6, "/bin/true", true));
    attempts.add(5, attempt(7, "/bin/none", false));
    let expected = [
        one("/bin/script", Ending::Refused, "/bin/make"),
        one("/bin/none", Ending::NotFound, "/bin/make"),
        one("/bin/true", Ending::Ran, "/bin/true"),
    ];
    assert_eq!(told(attempts.decide(5, 5, Some(&state(8, "/bin/true")))), expected);
}

#[test]
fn attempts_of_one_process_are_bounded() {
    let mut attempts = Attempts::default();
    let lost = (0..MOST as u32 + 3).filter_map(|thread| attempts.add(5, attempt(thread, "/x", true)));
    assert_eq!(told(lost.collect()), vec![one("/x", Ending::Unseen, "/x"); 3]);
    assert_eq!(attempts.finish(5, None).len(), MOST);
}

#[test]
fn what_did_not_go_on_is_no_attempt() {
    let mut attempts = attempts(true);
    attempts.withdraw(5, 6);
    assert!(attempts.has(5));
    attempts.withdraw(5, 5);
    assert!(attempts.is_empty());
}

#[test]
fn a_hidden_path_shows_by_what_runs() {
    let hidden = || {
        let mut attempts = Attempts::default();
        attempts.add(5, Attempt { path: None, ..attempt(5, "", true) });
        attempts
    };
    let ran = told(hidden().decide(5, 5, Some(&state(8, "/bin/sh"))));
    assert_eq!(ran, [one("/bin/sh", Ending::Ran, "/bin/sh")]);
    for now in [Some(&before()), None] {
        assert_eq!(hidden().decide(5, 5, now), [Observation::Missed(1)]);
    }
}

#[test]
fn who_may_be_executing_is_left_alone() {
    let mut attempts = attempts(true);
    assert_eq!(attempts.look(5, Some(&before())), []);
    assert!(attempts.has(5) && !attempts.has(6));
    // The first thread has ended.
    let ended = State { image: Image { stack: 0, ..IMAGE }, exe: None, seed: None };
    assert_eq!(attempts.look(5, Some(&ended)), []);
    let ran = told(attempts.look(5, Some(&state(8, "/bin/true"))));
    assert_eq!(ran, [one("/bin/script", Ending::Ran, "/bin/true")]);
}

#[test]
fn who_is_gone_was_not_seen() {
    let other = State { image: Image { started: 101, ..IMAGE }, ..before() };
    for now in [None, Some(&other)] {
        assert_eq!(told(attempts(true).look(5, now)), [one("/bin/script", Ending::Unseen, "/bin/script")]);
    }
    assert_eq!(told(attempts(false).look(5, None))[0].1, Ending::NotFound);
}

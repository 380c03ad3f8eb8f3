//! What the stories came to, from the console's lines. Pure; `main` listens, `report` shows it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::plan::{Boot, SUITE};
use crate::protocol::{Line, User};

/// Lines of a console that are kept to be shown when a machine is killed.
const TAIL: usize = 60;

/// One row of the table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) boot: &'static str,
    pub(crate) story: String,
    pub(crate) user: User,
    pub(crate) passed: bool,
    pub(crate) seconds: f64,
}

/// The results of one machine.
#[derive(Debug)]
pub(crate) struct Results<'a> {
    boot: &'a Boot,
    pub(crate) rows: Vec<Row>,
    /// What failed stories wrote.
    pub(crate) complaints: Vec<String>,
    pub(crate) release: Option<String>,
    pub(crate) tail: VecDeque<String>,
    under_way: Vec<String>,
    since: Instant,
    done: bool,
}

impl<'a> Results<'a> {
    pub(crate) fn new(boot: &'a Boot, now: Instant) -> Self {
        Self {
            boot,
            rows: Vec::new(),
            complaints: Vec::new(),
            release: None,
            tail: VecDeque::new(),
            under_way: Vec::new(),
            since: now,
            done: false,
        }
    }

    /// Takes a line of the console; returns the row that it completes.
    pub(crate) fn hear(&mut self, text: String, now: Instant) -> Option<&Row> {
        let line = Line::parse(&text);
        self.tail.push_back(text.clone());
        if self.tail.len() > TAIL {
            self.tail.pop_front();
        }
        match line {
            Line::Booted { release } => self.release = Some(release),
            Line::Done => self.done = true,
            Line::Begin { .. } => {
                self.under_way.clear();
                self.since = now;
            }
            Line::Other(text) => self.under_way.push(text),
            Line::Test { name, passed } => {
                let (story, user) = user_of_test(&name);
                let seconds = (now - self.since).as_secs_f64();
                self.since = now;
                return Some(self.add(story.to_owned(), user, passed, seconds));
            }
            Line::End { story, user, passed, seconds } => {
                if !passed {
                    let output = self.under_way.join("\n");
                    self.complaints.push(format!("{} {story} ({}):\n{output}", self.boot.name, user.word()));
                }
                return Some(self.add(story, user, passed, seconds));
            }
        }
        None
    }

    /// What has not run, in words. With nothing missing and every row passed, the machine has shown what it should.
    pub(crate) fn missing(&self) -> Vec<String> {
        let ended = |name: &str, user| self.rows.iter().any(|row| row.story == name && row.user == user);
        let stories = self.boot.stories.iter().filter(|(story, user)| !ended(story, *user));
        let mut missing: Vec<String> =
            stories.map(|(story, user)| format!("{} {story} ({})", self.boot.name, user.word())).collect();
        let is_test = |row: &&Row| row.story != SUITE;
        let ran =
            |word: &String| self.rows.iter().filter(is_test).any(|row| row.story.contains(word.as_str()));
        missing
            .extend(self.boot.words.iter().filter(|word| !ran(word)).map(|word| format!("tests of {word}")));
        if !self.done {
            missing.push(format!("the end of {}", self.boot.name));
        }
        missing
    }

    fn add(&mut self, story: String, user: User, passed: bool, seconds: f64) -> &Row {
        let boot = self.boot.name;
        self.rows.push(Row { boot, story, user, passed, seconds });
        &self.rows[self.rows.len() - 1]
    }
}

/// How much time a machine gets: several times what it takes with an emulated processor.
pub(crate) fn limit(boot: &Boot) -> Duration {
    let stories = u32::try_from(boot.stories.len()).unwrap_or(u32::MAX);
    let suite = if boot.words.is_empty() { Duration::ZERO } else { Duration::from_secs(3600) };
    Duration::from_secs(60) + Duration::from_secs(20) * stories + suite
}

/// The tests have the user in their names.
fn user_of_test(name: &str) -> (&str, User) {
    for (end, user) in [("::root", User::Root), ("::rootless", User::Unprivileged)] {
        if let Some(story) = name.strip_suffix(end) {
            return (story, user);
        }
    }
    (name, User::Root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    fn hear<'a>(boot: &'a Boot, lines: &[&str]) -> Results<'a> {
        let now = Instant::now();
        let mut results = Results::new(boot, now);
        for line in lines {
            results.hear((*line).to_owned(), now);
        }
        results
    }

    fn boot(words: &[&str]) -> Boot {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        plan::choose(&words).unwrap().remove(0)
    }

    #[test]
    fn a_story_that_never_ended_is_missing() {
        let boot = boot(&["doctor"]);
        let begun = ["@vm booted 6", "@vm begin doctor root", "@vm end doctor root ok 1 2"];
        let results = hear(&boot, &begun);
        assert_eq!(results.missing(), ["plain doctor (user)", "the end of plain"]);
        let rest = ["@vm begin doctor user", "all wrong", "@vm end doctor user failed 2 3", "@vm done"];
        let results = hear(&boot, &[&begun[..], &rest].concat());
        assert!(results.missing().is_empty());
        assert_eq!(results.rows.iter().map(|row| row.passed).collect::<Vec<_>>(), [true, false]);
        assert_eq!(results.complaints, ["plain doctor (user):\nall wrong"]);
    }

    #[test]
    fn words_without_tests_are_missing() {
        let boot = boot(&["dns", "tls"]);
        let lines = ["test dns::a::rootless ... ok", "@vm end suite root ok 1 2", "@vm done"];
        let results = hear(&boot, &lines);
        assert_eq!((results.rows[0].story.as_str(), results.rows[0].user), ("dns::a", User::Unprivileged));
        assert_eq!(results.missing(), ["tests of tls"]);
    }
}

//! What the guest says on its console. Pure; `machine` reads the lines.
//!
//! ```text
//! @vm booted RELEASE
//! @vm begin STORY USER
//! @vm end STORY USER ok|failed STARTED ENDED      (seconds since the guest's start)
//! @vm done
//! ```
//!
//! Every other line is a story's output, in which the test suite's own lines are found: `test NAME ... ok`.

/// Who runs `cijail-net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    Root,
    Unprivileged,
}

impl User {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Unprivileged => "user",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        [Self::Root, Self::Unprivileged].into_iter().find(|user| user.word() == word)
    }
}

/// A line of the console.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Line {
    Booted {
        release: String,
    },
    Begin {
        story: String,
        user: User,
    },
    End {
        story: String,
        user: User,
        passed: bool,
        seconds: f64,
    },
    Done,
    /// One of the test suite's tests has ended.
    Test {
        name: String,
        passed: bool,
    },
    Other(String),
}

impl Line {
    pub(crate) fn parse(text: &str) -> Self {
        // A terminal's control sequences may come before: the firmware's, on the first line.
        let told = text.find("@vm ").and_then(|at| told(&text[at + 4..]));
        told.or_else(|| test(text)).unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

fn told(text: &str) -> Option<Line> {
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(match words[..] {
        ["booted", release] => Line::Booted { release: release.to_owned() },
        ["begin", story, user] => Line::Begin { story: story.to_owned(), user: User::parse(user)? },
        ["end", story, user, result, started, ended] => Line::End {
            story: story.to_owned(),
            user: User::parse(user)?,
            passed: passed(result)?,
            seconds: ended.parse::<f64>().ok()? - started.parse::<f64>().ok()?,
        },
        ["done"] => Line::Done,
        _ => return None,
    })
}

fn test(text: &str) -> Option<Line> {
    let (name, result) = text.trim_end().strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some(Line::Test { name: name.trim_end().to_owned(), passed: passed(result)? })
}

fn passed(word: &str) -> Option<bool> {
    match word {
        "ok" => Some(true),
        "failed" | "FAILED" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_guest_tells() {
        let line = Line::parse("\u{1b}c\u{1b}[2J@vm booted 6.1.0-cloud\r");
        assert_eq!(line, Line::Booted { release: "6.1.0-cloud".to_owned() });
        let story = || "fetch".to_owned();
        assert_eq!(
            Line::parse("@vm begin fetch user"),
            Line::Begin { story: story(), user: User::Unprivileged }
        );
        assert_eq!(
            Line::parse("@vm end fetch root failed 3.25 4.75"),
            Line::End { story: story(), user: User::Root, passed: false, seconds: 1.5 }
        );
        assert_eq!(Line::parse("@vm done"), Line::Done);
    }

    #[test]
    fn reads_what_the_suite_tells() {
        let test = |passed| Line::Test { name: "tls::refused::root".to_owned(), passed };
        assert_eq!(Line::parse("test tls::refused::root     ... ok\r"), test(true));
        assert_eq!(Line::parse("test tls::refused::root ... FAILED"), test(false));
    }

    #[test]
    fn anything_else_is_output() {
        for text in [
            "",
            "@vm",
            "@vm end fetch root maybe 1 2",
            "@vm end fetch root ok 1 x",
            "@vm begin fetch nobody",
            "test x",
            "test result: ok. 1 passed; 0 failed",
        ] {
            assert_eq!(Line::parse(text), Line::Other(text.to_owned()));
        }
    }
}

//! Patterns of paths, for files that are watched. Pure.

mod name;

use name::Piece;

/// The longest path that the kernel takes (PATH_MAX, linux/limits.h).
const LONGEST: usize = 4096;

/// A pattern of absolute paths, name by name: `*` is any number of characters, `?` is one, `[a-z]` and
/// `[!a-z]` one of some or of all others, `\` makes the next one plain, and `**` as a whole name is any
/// number of names, but at least one at the end. None of them stands for `/`; all take names that begin
/// with a dot.
///
/// ```
/// use policy::Glob;
///
/// let glob = Glob::parse("~/.ssh/id_*")?.anchored(b"/work", Some(b"/home/me")).expect("a home");
/// assert!(glob.matches(b"/home/me/.ssh/id_ed25519"));
/// assert!(!glob.matches(b"/home/me/.ssh/config"));
/// assert!(glob.may_match_beneath(b"/home"));
/// # Ok::<(), policy::GlobError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    start: Start,
    steps: Vec<Step>,
}

/// Why a text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// There is no name in it.
    #[error("a path has at least one name: write `**` for every file beneath a directory, as in `/etc/**`")]
    Empty,
    /// More than the kernel takes.
    #[error("a path has at most 4096 octets")]
    Long,
    /// What no path has.
    #[error("a path has no NUL byte")]
    Nul,
    /// A directory, with nothing in it named.
    #[error("it ends with `/`: write `/**` for what is beneath that directory")]
    Directory,
    /// A step up.
    #[error("paths are compared without `..`: write where it leads")]
    Parent,
    /// `**` beside other characters.
    #[error("`**` stands for whole names: write it between slashes, as in `/src/**/*.c`")]
    Depth,
    /// A set of characters without an end.
    #[error("`[` without `]`: write `\\[` for the character itself")]
    Open,
    /// A range that is empty.
    #[error("a range from a higher character to a lower one has nothing in it")]
    Range,
    /// A set with characters of more than one octet.
    #[error("between `[` and `]` only ASCII is understood")]
    Wide,
    /// A backslash at the end.
    #[error("a `\\` at the end makes nothing plain: write `\\\\` for the character itself")]
    Escape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Root,
    Home,
    Directory,
}

/// A pattern of one name, or of any number of them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Names,
    Name(Vec<Piece>),
}

impl Glob {
    /// Reads a pattern. One that begins with `~/` is beneath the home, one that does not begin with
    /// `/` beneath the working directory of the job: [`Glob::anchored`].
    ///
    /// # Errors
    /// It is no pattern, and the error says what to write instead.
    pub fn parse(text: &str) -> Result<Glob, GlobError> {
        if text.len() > LONGEST {
            return Err(GlobError::Long);
        }
        if text.contains('\0') {
            return Err(GlobError::Nul);
        }
        let (start, rest) = match (text.strip_prefix('/'), text.strip_prefix("~/")) {
            (Some(rest), _) => (Start::Root, rest),
            (_, Some(rest)) => (Start::Home, rest),
            (None, None) => (Start::Directory, text),
        };
        if rest.ends_with('/') {
            return Err(GlobError::Directory);
        }
        let names = rest.split('/').filter(|name| !["", "."].contains(name));
        let steps: Vec<Step> = names.map(Step::parse).collect::<Result<_, _>>()?;
        if steps.is_empty() { Err(GlobError::Empty) } else { Ok(Glob { start, steps }) }
    }

    /// The pattern of absolute paths; `None` if it is beneath a home and there is none. Both are absolute.
    pub fn anchored(&self, directory: &[u8], home: Option<&[u8]>) -> Option<Glob> {
        let beneath = match self.start {
            Start::Root => return Some(self.clone()),
            Start::Home => home?,
            Start::Directory => directory,
        };
        Some(self.beneath(beneath, 0))
    }

    /// The path, as far as it is plain: up to the first name that is a pattern.
    pub fn plain(&self) -> Vec<u8> {
        self.steps.iter().map_while(Step::plain).flat_map(|name| [vec![b'/'], name].concat()).collect()
    }

    /// The same pattern with another path in the place of [`Glob::plain`].
    pub fn with_plain(&self, path: &[u8]) -> Glob {
        self.beneath(path, self.steps.iter().map_while(Step::plain).count())
    }

    /// Whether it is a pattern of this path, which is absolute and without `.` and `..`.
    pub fn matches(&self, path: &[u8]) -> bool {
        let names: Vec<&[u8]> = names(path).collect();
        self.reached(&names).last() == Some(&true)
    }

    /// Whether a path beneath this directory could be matched.
    pub fn may_match_beneath(&self, directory: &[u8]) -> bool {
        let names: Vec<&[u8]> = names(directory).collect();
        self.reached(&names).iter().rev().skip(1).any(|reached| *reached)
    }

    fn beneath(&self, path: &[u8], skipped: usize) -> Glob {
        let plain = names(path).map(|name| Step::Name(name.iter().copied().map(Piece::Octet).collect()));
        Glob { start: Start::Root, steps: plain.chain(self.steps.iter().skip(skipped).cloned()).collect() }
    }

    /// How many of the first steps are used up by the names, in every way that is possible: whether
    /// none, one, and so on up to all of them.
    fn reached(&self, names: &[&[u8]]) -> Vec<bool> {
        let all = self.steps.len();
        let mut reached = vec![false; all + 1];
        reached[0] = true;
        self.skip_none(&mut reached);
        for name in names {
            let mut next = vec![false; all + 1];
            for (used, step) in self.steps.iter().enumerate().filter(|(used, _)| reached[*used]) {
                match step {
                    Step::Names => {
                        next[used] = true;
                        // At the end at least one name is needed, and this is one.
                        next[used + 1] |= used + 1 == all;
                    }
                    Step::Name(pieces) => next[used + 1] |= name::fits(pieces, name),
                }
            }
            self.skip_none(&mut next);
            reached = next;
        }
        reached
    }

    /// `**` that is not at the end may be no name at all.
    fn skip_none(&self, reached: &mut [bool]) {
        for (used, step) in self.steps.iter().enumerate() {
            if reached[used] && *step == Step::Names && used + 1 < self.steps.len() {
                reached[used + 1] = true;
            }
        }
    }
}

impl Step {
    fn parse(text: &str) -> Result<Step, GlobError> {
        match text {
            ".." => Err(GlobError::Parent),
            "**" => Ok(Step::Names),
            _ => name::parse(text).map(Step::Name),
        }
    }

    fn plain(&self) -> Option<Vec<u8>> {
        let Step::Name(pieces) = self else { return None };
        let octet = |piece: &Piece| if let Piece::Octet(octet) = piece { Some(*octet) } else { None };
        pieces.iter().map(octet).collect()
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|octet| *octet == b'/').filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests;

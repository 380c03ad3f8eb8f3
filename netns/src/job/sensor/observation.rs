//! What is told of programs and files. Pure.

use std::time::SystemTime;

use super::Program;

/// Something that the job did. All text is the job's choice, and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// A program was executed, or was to be.
    Program {
        /// When it was asked for.
        at: SystemTime,
        /// The program, if it ran; who asked for it, if it did not.
        program: Program,
        /// The file that was asked for: for a script that file, while `program` is its interpreter.
        path: String,
        /// What came of it.
        ending: Ending,
        /// How many attempts this stands for.
        times: u64,
    },
    /// A watched file was to be used; whether the kernel let it is not known.
    File {
        /// When.
        at: SystemTime,
        /// By whom.
        program: Program,
        /// The file.
        path: String,
        /// What was done with it.
        access: Access,
        /// How many attempts this stands for.
        times: u64,
    },
    /// So many calls were not looked at, or could not be told.
    Missed(u64),
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Opened to be read, listed or passed on.
    Read,
    /// Opened to be written, made, or cut.
    Write,
    /// Given another name, or in the place of another file; or a directory above it.
    Rename,
    /// Given one more name, or made as a symbolic link.
    Link,
    /// Its name taken away.
    Remove,
    /// Shown in another place as well, it or a directory above it.
    Mount,
}

/// What came of the attempt to execute a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It runs.
    Ran,
    /// The kernel refused: no permission, or no program.
    Refused,
    /// There is no such file.
    NotFound,
    /// The process was gone before it was seen again.
    Unseen,
}

impl Access {
    pub(super) const ALL: [Access; 6] =
        [Access::Read, Access::Write, Access::Rename, Access::Link, Access::Remove, Access::Mount];

    /// The word for logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Read => "read",
            Access::Write => "write",
            Access::Rename => "rename",
            Access::Link => "link",
            Access::Remove => "remove",
            Access::Mount => "mount",
        }
    }
}

impl Ending {
    pub(super) const ALL: [Ending; 4] = [Ending::Ran, Ending::Refused, Ending::NotFound, Ending::Unseen];
}

impl Observation {
    /// How many attempts it stands for.
    pub fn times(&self) -> u64 {
        match self {
            Observation::Program { times, .. } | Observation::File { times, .. } => *times,
            Observation::Missed(_) => 0,
        }
    }

    /// What repeats have in common. Programs that ran are each told.
    pub(super) fn key(&self) -> Option<(String, String, u8)> {
        match self {
            Observation::Program { ending: Ending::Ran | Ending::Unseen, .. } | Observation::Missed(_) => {
                None
            }
            Observation::Program { program, path, ending, .. } => {
                Some((program.exe.clone(), path.clone(), 100 + *ending as u8))
            }
            Observation::File { program, path, access, .. } => {
                Some((program.exe.clone(), path.clone(), *access as u8))
            }
        }
    }

    pub(super) fn count(&mut self) {
        if let Observation::Program { times, .. } | Observation::File { times, .. } = self {
            *times += 1;
        }
    }

    pub(super) fn uncounted(mut self) -> Observation {
        if let Observation::Program { times, .. } | Observation::File { times, .. } = &mut self {
            *times = 0;
        }
        self
    }
}

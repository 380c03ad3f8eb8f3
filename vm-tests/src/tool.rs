//! Programs of the host, and what they say.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program of the host did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    #[error("starting {program}; `vm-tests/run` installs what is needed")]
    Start { program: String, source: io::Error },
    #[error("{command} failed ({status})\n{complaint}")]
    Failed { command: String, status: String, complaint: String },
}

/// Runs a program in a directory and returns its standard output.
pub(crate) fn run(program: &str, words: &[&str], directory: &Path) -> Result<String, ToolError> {
    output(Command::new(program).args(words).current_dir(directory))
}

/// Runs a prepared command, and returns its standard output. What it says on standard error is kept for a failure.
pub(crate) fn output(command: &mut Command) -> Result<String, ToolError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ToolError::Start { program: program.clone(), source })?;
    if !output.status.success() {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        return Err(ToolError::Failed {
            command: format!("{program} {}", words.join(" ")),
            status: output.status.to_string(),
            complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

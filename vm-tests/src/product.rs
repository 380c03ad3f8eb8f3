//! What is tested: built by cargo, as a user would build it.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::tool::{self, ToolError};

/// Nothing could be built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProductError {
    #[error("building")]
    Cargo(#[from] ToolError),
    #[error("cargo has built no executable {0}")]
    Missing(&'static str),
}

/// The release build of `cijail-net`.
pub(crate) fn cijail_net() -> Result<PathBuf, ProductError> {
    build(&["build", "--release", "--bin", "cijail-net"], "cijail-net")
}

/// The black-box tests.
pub(crate) fn tests() -> Result<PathBuf, ProductError> {
    build(&["test", "--no-run", "--test", "tests"], "tests")
}

fn build(words: &[&str], target: &'static str) -> Result<PathBuf, ProductError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(words);
    command.args(["--package", "gateway", "--message-format", "json-render-diagnostics"]);
    executable(&tool::output(&mut command)?, target).ok_or(ProductError::Missing(target))
}

/// Of cargo's messages (The Cargo Book, "External tools").
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let of_target = messages.filter(|message| message["target"]["name"] == target);
    of_target.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executable() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"libc"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"tests"},"executable":"/t/tests-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "tests"), Some("/t/tests-1".into()));
        assert_eq!(executable(messages, "libc"), None);
    }
}

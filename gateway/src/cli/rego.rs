//! Rego modules and data documents from files and directories.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::sources::{self, SourceError};
use crate::rego::{Document, LabelError, Labels, RegoError, Rules};

/// Rules that could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("listing {}", path.display())]
    List { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("{} is not UTF-8", .0.display())]
    Text(PathBuf),
    #[error("{} has no .rego file", .0.display())]
    Empty(PathBuf),
    #[error("{} has directories more than {DEEPEST} deep", .0.display())]
    Deep(PathBuf),
    #[error("{} is no file", .0.display())]
    NoFile(PathBuf),
    #[error("--label")]
    Label(#[from] LabelError),
    #[error(transparent)]
    Rules(#[from] RegoError),
}

/// Directories within each other that are looked into.
const DEEPEST: usize = 32;

/// Reads what `--rego` names, for a run with these labels; `None` if it names nothing.
pub(super) fn read(paths: &[PathBuf], labels: &[String]) -> Result<Option<Rules>, ReadError> {
    let labels = Labels::parse(labels)?;
    let mut documents = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = documents.len();
            directory(path, &mut Vec::new(), &mut documents)?;
            if !documents[before..].iter().any(|document| matches!(document, Document::Module { .. })) {
                return Err(ReadError::Empty(path.clone()));
            }
        } else {
            documents.push(Document::Module { source: path.display().to_string(), text: text(path)? });
        }
    }
    if paths.is_empty() {
        return Ok(None);
    }
    Ok(Some(Rules::new(&documents)?.with_labels(&labels)))
}

/// As OPA reads a directory: `data.json` is put where its directory is, tests are left out.
fn directory(path: &Path, keys: &mut Vec<String>, documents: &mut Vec<Document>) -> Result<(), ReadError> {
    if keys.len() > DEEPEST {
        return Err(ReadError::Deep(path.to_owned()));
    }
    let failed = |source| ReadError::List { path: path.to_owned(), source };
    let entries = fs::read_dir(path).map_err(failed)?;
    let mut entries = entries.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let source = path.display().to_string();
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            keys.push(name);
            directory(&path, keys, documents)?;
            keys.pop();
        } else if name == "data.json" {
            documents.push(Document::Data { source, path: keys.clone(), text: text_of_file(&path)? });
        } else if name.ends_with(".rego") && !name.ends_with("_test.rego") {
            documents.push(Document::Module { source, text: text_of_file(&path)? });
        }
    }
    Ok(())
}

/// In a directory nobody means a pipe, and it may be that nobody ever writes to it.
fn text_of_file(path: &Path) -> Result<String, ReadError> {
    let metadata =
        fs::metadata(path).map_err(|source| SourceError::Read { path: path.to_owned(), source })?;
    if metadata.is_file() { text(path) } else { Err(ReadError::NoFile(path.to_owned())) }
}

fn text(path: &Path) -> Result<String, ReadError> {
    String::from_utf8(sources::read(path)?).map_err(|_| ReadError::Text(path.to_owned()))
}

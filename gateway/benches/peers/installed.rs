//! The program as an installation leaves it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, fs, process};

use crate::Result;

const BUILT: &str = env!("CARGO_BIN_EXE_cijail-net");

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

/// A copy of the program, where every user may run it. What the linker wrote lies page by page in the
/// page cache, and starts more slowly than a file that was written in one go. Dropping it removes it.
pub(crate) struct Installed(PathBuf);

impl Installed {
    pub(crate) fn copy() -> Result<Installed> {
        let directory = env::temp_dir().join(format!("peers-{}", process::id()));
        fs::create_dir(&directory)?;
        let installed = Installed(directory);
        let program = installed.0.join("cijail-net");
        fs::write(&program, fs::read(BUILT)?)?;
        fs::set_permissions(&program, fs::metadata(BUILT)?.permissions())?;
        PROGRAM.set(program).map_err(|_| "the program is installed twice")?;
        Ok(installed)
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        // What is left in the directory for temporary files harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where it is.
///
/// # Panics
/// It is not installed.
pub(crate) fn program() -> &'static Path {
    PROGRAM.get().expect("the bench installs the program first")
}

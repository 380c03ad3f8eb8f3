//! Links the program statically where the C library's archives are at hand: one file runs on any
//! Linux of its architecture, and starts without the dynamic linker.
//!
//! `-C target-feature=+crt-static` would need `--target` on every command line, as procedural macros
//! are shared objects. Instead the compiler goes on asking for shared libraries and the linker finds,
//! ahead of each, a linker script that names the archive.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

/// What the standard library links on glibc, and the archive that holds the same.
const LIBRARIES: [(&str, &str); 7] = [
    ("gcc_s", "gcc_eh"),
    ("c", "c"),
    ("m", "m"),
    // Empty since glibc 2.34.
    ("dl", "dl"),
    ("pthread", "pthread"),
    ("rt", "rt"),
    ("util", "util"),
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    let set = |name: &str| env::var(name).unwrap_or_default();
    let glibc = set("CARGO_CFG_TARGET_OS") == "linux" && set("CARGO_CFG_TARGET_ENV") == "gnu";
    let already = set("CARGO_CFG_TARGET_FEATURE").split(',').any(|feature| feature == "crt-static");
    if !glibc || already || set("HOST") != set("TARGET") {
        return Ok(());
    }
    let Some(archives) = LIBRARIES.iter().map(|(_, archive)| find(archive)).collect::<Option<Vec<_>>>()
    else {
        println!("cargo:warning=the C library has no static archives here: cijail-net is linked dynamically");
        return Ok(());
    };
    let directory = PathBuf::from(set("OUT_DIR")).join("static");
    fs::create_dir_all(&directory)?;
    for ((library, _), archive) in LIBRARIES.iter().zip(&archives) {
        fs::write(directory.join(format!("lib{library}.so")), format!("GROUP ( {} )\n", archive.display()))?;
    }
    println!("cargo:rustc-link-arg-bins=-L{}", directory.display());
    println!("cargo:rustc-link-arg-bins=-static-pie");
    Ok(())
}

/// The archive's path, as the C compiler that links knows it.
fn find(archive: &str) -> Option<PathBuf> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let output = Command::new(compiler).arg(format!("-print-file-name=lib{archive}.a")).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    // A name without a directory says that there is none.
    Some(Path::new(path.trim()).to_owned()).filter(|path| path.is_absolute() && path.exists())
}

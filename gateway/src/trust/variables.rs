//! The variables by which programs find roots. Pure.
//!
//! A variable is set only for programs that do not look at the system's bundle; one that the job has
//! already always goes on naming what it named, with one root more.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What a variable means if the job does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unset {
    /// Its programs bring roots of their own, which the file *replaces*: it must hold all.
    AllRoots,
    /// Its programs bring roots of their own, to which the file *adds*.
    OneRoot,
    /// Its programs look at the system's bundle, or at another variable.
    Nothing,
}

/// A variable that names a file of roots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) unset: Unset,
    /// Choices that this variable would overrule.
    pub(super) yields_to: &'static [&'static str],
}

const fn variable(name: &'static str, unset: Unset, yields_to: &'static [&'static str]) -> Variable {
    Variable { name, unset, yields_to }
}

const fn only_extended(name: &'static str) -> Variable {
    variable(name, Unset::Nothing, &[])
}

/// Named like the variable of a directory of roots, which OpenSSL, Go and rustls read.
pub(super) const DIRECTORIES: &str = "SSL_CERT_DIR";
/// The file that goes with it; the two together are what is trusted.
pub(super) const FILE: &str = "SSL_CERT_FILE";

/// `docs/interception.md` tells who reads which, and where that is documented.
pub(super) const FILES: [Variable; 22] = [
    // A directory that was chosen without a file is the choice to trust it alone.
    variable(FILE, Unset::AllRoots, &[DIRECTORIES]),
    // requests prefers its variable to the one that it reads next, and to what pip and gcloud tell it.
    variable(
        "REQUESTS_CA_BUNDLE",
        Unset::AllRoots,
        &["CURL_CA_BUNDLE", "PIP_CERT", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"],
    ),
    variable("HTTPLIB2_CA_CERTS", Unset::AllRoots, &[]),
    variable("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", Unset::AllRoots, &[]),
    variable("HEX_CACERTS_PATH", Unset::AllRoots, &[]),
    variable("NODE_EXTRA_CA_CERTS", Unset::OneRoot, &[]),
    variable("DENO_CERT", Unset::OneRoot, &[]),
    only_extended("AWS_CA_BUNDLE"),
    only_extended("BUNDLE_SSL_CA_CERT"),
    only_extended("CARGO_HTTP_CAINFO"),
    only_extended("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"),
    only_extended("COMPOSER_CAFILE"),
    only_extended("CURL_CA_BUNDLE"),
    only_extended("GIT_SSL_CAINFO"),
    only_extended("HTTPS_CA_FILE"),
    only_extended("JULIA_SSL_CA_ROOTS_PATH"),
    only_extended("NIX_SSL_CERT_FILE"),
    only_extended("NPM_CONFIG_CAFILE"),
    only_extended("PERL_LWP_SSL_CA_FILE"),
    only_extended("PIP_CERT"),
    only_extended("YARN_HTTPS_CA_FILE_PATH"),
    only_extended("npm_config_cafile"),
];

/// The name in `NAME=value`.
pub(super) fn name(entry: &[u8]) -> &[u8] {
    split(entry).0
}

/// The name and the value in `NAME=value`.
pub(super) fn split(entry: &[u8]) -> (&[u8], &[u8]) {
    match entry.iter().position(|byte| *byte == b'=') {
        Some(at) => (&entry[..at], &entry[at + 1..]),
        None => (entry, b""),
    }
}

/// A list of directories with one more at its end.
pub(super) fn with_directory(list: &[u8], directory: &Path) -> Vec<u8> {
    [list, b":", directory.as_os_str().as_bytes()].concat()
}

/// The path that a value is, from where the job starts.
pub(super) fn path(value: &[u8], directory: &Path) -> PathBuf {
    directory.join(OsStr::from_bytes(value))
}

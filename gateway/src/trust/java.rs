//! Java's stores of roots: where JDKs and variables have them, and how one gets one root more. Pure but
//! for the [`Files`] that it is given.

mod jks;
mod pkcs12;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use super::{Files, JobView, variables};

/// The variable that every JVM reads, and says so on its standard error (JVM TI, `JAVA_TOOL_OPTIONS`).
pub(super) const OPTIONS: &str = "JAVA_TOOL_OPTIONS";
/// The name of the store for a JVM that the job brings itself.
pub(super) const STORE: &str = "cacerts";

/// What every distribution of Java protects its roots with.
const DEFAULT_PASSWORD: &str = "changeit";
/// The name of the authority in a store.
const ALIAS: &str = "cijail-net";
const STORE_OPTION: &str = "-Djavax.net.ssl.trustStore=";
const PASSWORD_OPTION: &str = "-Djavax.net.ssl.trustStorePassword=";

/// Stores that systems make for all their JDKs.
const SYSTEM_STORES: [&str; 5] = [
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/etc/ca-certificates/extracted/java-cacerts.jks",
    "/var/lib/ca-certificates/java-cacerts",
];
/// Directories of JDKs.
const JDKS: [&str; 4] = ["/usr/lib/jvm", "/usr/lib64/jvm", "/usr/java", "/opt/java"];
/// In a JDK or JRE. Where the first exists, the second is not read (JSSE Reference Guide).
const IN_JDK: [&str; 4] = [
    "lib/security/jssecacerts",
    "lib/security/cacerts",
    "jre/lib/security/jssecacerts",
    "jre/lib/security/cacerts",
];

/// A store that cannot be extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreError {
    /// Neither JKS nor PKCS#12, or not whole.
    #[error("it is no JKS or PKCS#12 store that could get one more certificate")]
    Format,
    /// Its integrity is protected by a password that is not known.
    #[error("its password is not known; give it as {PASSWORD_OPTION}… beside the store")]
    Password,
}

/// A store that may exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) password: String,
}

/// Where stores may be: first those that variables name, as they may have passwords of their own.
pub(super) fn places(job: JobView<'_>, files: &impl Files) -> Vec<Place> {
    let mut places: Vec<Place> = named(job).collect();
    let place = |path: PathBuf| Place { path, password: DEFAULT_PASSWORD.to_owned() };
    places.extend(SYSTEM_STORES.map(|path| place(path.into())));
    for home in homes(job, files) {
        places.extend(IN_JDK.map(|path| place(home.join(path))));
    }
    places
}

/// Whether a variable names a store.
pub(super) fn is_named(job: JobView<'_>) -> bool {
    named(job).next().is_some()
}

/// The store with one more root.
///
/// # Errors
/// It is not understood, or its password is another.
pub(super) fn extend(
    store: Vec<u8>,
    password: &str,
    authority: &CertificateDer<'_>,
) -> Result<Vec<u8>, StoreError> {
    match store.first() {
        Some(0x30) => pkcs12::extend(&store, password, ALIAS, authority),
        _ => jks::extend(store, password, ALIAS, authority).ok_or(StoreError::Format),
    }
}

/// A new store of these roots.
pub(super) fn store(roots: &[CertificateDer<'_>]) -> Vec<u8> {
    jks::store(DEFAULT_PASSWORD, roots)
}

/// The variable that names the new store, after the options that it has already.
pub(super) fn option(options: Option<&[u8]>, store: &Path) -> (&'static str, Vec<u8>) {
    let mut value = options.map(|options| [options, b" "].concat()).unwrap_or_default();
    value.extend_from_slice(STORE_OPTION.as_bytes());
    value.extend_from_slice(store.as_os_str().as_bytes());
    value.extend_from_slice(format!(" {PASSWORD_OPTION}{DEFAULT_PASSWORD}").as_bytes());
    value.extend_from_slice(b" -Djavax.net.ssl.trustStoreType=jks");
    (OPTIONS, value)
}

/// Stores that a variable names as an option of Java, whichever variable: build tools have their own.
fn named(job: JobView<'_>) -> impl Iterator<Item = Place> {
    job.environment.iter().filter_map(move |entry| {
        let (_, value) = variables::split(entry.as_bytes());
        let path = option_value(value, STORE_OPTION)?;
        let password = option_value(value, PASSWORD_OPTION).and_then(|word| str::from_utf8(word).ok());
        Some(Place {
            path: variables::path(path, job.directory),
            password: password.unwrap_or(DEFAULT_PASSWORD).to_owned(),
        })
    })
}

/// What follows an option, up to the next space. The last of several counts, as for Java.
fn option_value<'a>(options: &'a [u8], option: &str) -> Option<&'a [u8]> {
    let words = options.split(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
    words
        .filter_map(|word| word.strip_prefix(option.as_bytes()))
        .next_back()
        .filter(|value| !value.is_empty())
}

/// Directories of JDKs: the usual ones, what variables like `JAVA_HOME` name, and that of the `java` in
/// the path.
fn homes(job: JobView<'_>, files: &impl Files) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = JDKS.iter().flat_map(|jdks| files.entries(Path::new(jdks))).collect();
    for entry in job.environment {
        let (name, value) = variables::split(entry.as_bytes());
        let is_home = name.starts_with(b"JAVA_HOME") || matches!(name, b"JDK_HOME" | b"JRE_HOME");
        if is_home && !value.is_empty() {
            homes.push(variables::path(value, job.directory));
        }
        if name == b"PATH" {
            let mut programs = value
                .split(|byte| *byte == b':')
                .map(|directory| Path::new(OsStr::from_bytes(directory)).join("java"));
            let program = programs.find_map(|program| files.real(&program));
            // `bin/java` in it.
            homes.extend(program.and_then(|program| Some(program.ancestors().nth(2)?.to_owned())));
        }
    }
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_options() {
        let options = b"-Xmx1g \"-Djavax.net.ssl.trustStore=/a\"\t-Djavax.net.ssl.trustStore=/b -x";
        assert_eq!(option_value(options, STORE_OPTION), Some(&b"/b"[..]));
        assert_eq!(option_value(options, PASSWORD_OPTION), None);
        assert_eq!(option_value(b"-Djavax.net.ssl.trustStore=", STORE_OPTION), None);
    }

    #[test]
    fn options_of_the_user_stay() {
        let (name, value) = option(Some(b"-Xmx1g"), Path::new("/own/cacerts"));
        assert_eq!(name, "JAVA_TOOL_OPTIONS");
        assert!(value.starts_with(b"-Xmx1g -Djavax.net.ssl.trustStore=/own/cacerts "));
    }
}

//! Plans for made-up machines.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use super::{Files, JobView, Trust, pem};

const DEBIAN: &str = "/etc/ssl/certs/ca-certificates.crt";
const OWN: &str = "/run/cijail-net";

/// A machine of files and links.
#[derive(Debug, Default)]
pub(super) struct Machine {
    files: BTreeMap<PathBuf, Vec<u8>>,
    links: BTreeMap<PathBuf, PathBuf>,
}

impl Machine {
    pub(super) fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        self.links.insert(path.into(), target.into());
        self
    }

    fn debian() -> Self {
        Machine::default().file(DEBIAN, pem::encode(&root(1)))
    }

    pub(super) fn plan(&self, environment: &[&str]) -> Trust {
        let environment: Vec<CString> =
            environment.iter().map(|entry| CString::new(*entry).unwrap()).collect();
        let job = JobView {
            environment: &environment,
            directory: Path::new("/work"),
            own_directory: Some(Path::new(OWN)),
        };
        Trust::plan(&authority(), job, self)
    }
}

impl Files for Machine {
    fn real(&self, path: &Path) -> Option<PathBuf> {
        match self.links.get(path) {
            Some(target) => self.real(target),
            None => self.files.contains_key(path).then(|| path.to_owned()),
        }
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let real = self.real(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files[&real].clone())
    }

    fn entries(&self, directory: &Path) -> Vec<PathBuf> {
        let beneath = self.files.keys().filter_map(|path| path.strip_prefix(directory).ok());
        let mut names: Vec<_> = beneath.filter_map(|path| path.components().next()).collect();
        names.dedup();
        names.into_iter().map(|name| directory.join(name)).collect()
    }
}

fn root(number: u8) -> CertificateDer<'static> {
    CertificateDer::from(vec![number; 100])
}

/// Enough of a certificate to have a subject.
pub(super) fn authority() -> CertificateDer<'static> {
    use super::der::{SEQUENCE, element};
    let field = element(SEQUENCE, &[]);
    let body = element(SEQUENCE, &[&[2, 1, 1], &field, &field, &field, &field]);
    CertificateDer::from(element(SEQUENCE, &[&body]))
}

pub(super) fn variable<'a>(trust: &'a Trust, name: &str) -> Option<&'a str> {
    let found = trust.variables.iter().find(|(found, _)| *found == name)?;
    Some(str::from_utf8(&found.1).unwrap())
}

fn new<'a>(trust: &'a Trust, path: &str) -> &'a [u8] {
    &trust.new.iter().find(|(found, _)| found == Path::new(path)).unwrap().1
}

#[test]
fn the_systems_bundle_gets_one_more() {
    let trust = Machine::debian().plan(&[]);
    let (path, content) = &trust.covered[0];
    assert_eq!(path, Path::new(DEBIAN));
    assert_eq!(pem::decode(content), [root(1), authority()]);
    assert_eq!(variable(&trust, "SSL_CERT_FILE"), Some(DEBIAN));
    assert_eq!(variable(&trust, "REQUESTS_CA_BUNDLE"), Some(DEBIAN));
    assert_eq!(variable(&trust, "CURL_CA_BUNDLE"), None);
    let extra = variable(&trust, "NODE_EXTRA_CA_CERTS").unwrap();
    assert_eq!(pem::decode(new(&trust, extra)), [authority()]);
    assert_eq!(variable(&trust, "DENO_CERT"), Some(extra));
    assert_eq!(trust.notes, [""; 0]);
}

#[test]
fn links_are_one_file() {
    let real = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
    let machine = Machine::default()
        .file(real, "roots")
        .link("/etc/pki/tls/certs/ca-bundle.crt", real)
        .link("/etc/pki/tls/cert.pem", "/etc/pki/tls/certs/ca-bundle.crt")
        .link("/etc/ssl/certs/ca-certificates.crt", real);
    let trust = machine.plan(&["REQUESTS_CA_BUNDLE=/etc/pki/tls/cert.pem"]);
    let covered: Vec<&Path> = trust.covered.iter().map(|(path, _)| path.as_path()).collect();
    assert_eq!(covered, [Path::new(real)]);
    assert!(trust.covered[0].1.starts_with(b"roots\n-----BEGIN"));
    assert_eq!(variable(&trust, "REQUESTS_CA_BUNDLE"), None, "it shows the authority already");
}

#[test]
fn trust_objects_of_p11_kit_get_one_more() {
    let path = "/usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit";
    let trust = Machine::debian().file(path, "[p11-kit-object-v1]\n").plan(&[]);
    let (found, content) = &trust.covered[1];
    let text = str::from_utf8(content).unwrap();
    assert_eq!(found, Path::new(path));
    assert!(
        text.contains("\n\n[p11-kit-object-v1]\nlabel: \"cijail-net\"\ntrusted: true\n-----BEGIN"),
        "{text}"
    );
    assert_eq!(variable(&trust, "SSL_CERT_FILE"), Some(DEBIAN));
}

#[test]
fn a_users_file_gets_one_more_and_no_roots_of_the_system() {
    let machine = Machine::debian().file("/work/my.pem", pem::encode(&root(7)));
    let trust = machine.plan(&["REQUESTS_CA_BUNDLE=/work/my.pem", "PIP_CERT=my.pem", "SSL_CERT_FILE="]);
    let path = variable(&trust, "REQUESTS_CA_BUNDLE").unwrap();
    assert_eq!(pem::decode(new(&trust, path)), [root(7), authority()]);
    assert_eq!(variable(&trust, "PIP_CERT"), Some(path), "one copy of one file");
    assert_eq!(variable(&trust, "SSL_CERT_FILE"), Some(DEBIAN), "an empty value is none");
}

#[test]
fn choices_are_not_overruled() {
    for chosen in ["CURL_CA_BUNDLE", "PIP_CERT", "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE"] {
        let trust = Machine::debian().file("/my.pem", "x").plan(&[&format!("{chosen}=/my.pem")]);
        assert_eq!(variable(&trust, "REQUESTS_CA_BUNDLE"), None, "{chosen}");
        assert_eq!(variable(&trust, chosen), Some("/run/cijail-net/roots-1.pem"));
    }
}

#[test]
fn chosen_directories_get_one_more() {
    let trust = Machine::debian().plan(&["SSL_CERT_DIR=/my:/others"]);
    assert_eq!(variable(&trust, "SSL_CERT_DIR"), Some("/my:/others:/run/cijail-net/certs"));
    assert_eq!(variable(&trust, "SSL_CERT_FILE"), None);
    assert_eq!(trust.new.iter().filter(|(path, _)| path.starts_with("/run/cijail-net/certs")).count(), 1);
    let trust = Machine::debian().plan(&["SSL_CERT_DIR=/my", &format!("SSL_CERT_FILE={DEBIAN}")]);
    assert_eq!(variable(&trust, "SSL_CERT_DIR"), None, "the file beside them has it");
}

#[test]
fn a_file_that_cannot_be_read_stays_and_is_told() {
    let trust = Machine::debian().plan(&["REQUESTS_CA_BUNDLE=/nowhere", "CURL_CA_BUNDLE=/nowhere"]);
    assert_eq!(variable(&trust, "REQUESTS_CA_BUNDLE"), None);
    assert_eq!(trust.notes.len(), 2);
    assert!(trust.notes[0].contains("/nowhere"), "{:?}", trust.notes);
}

#[test]
fn without_roots_of_the_system_nothing_replaces_those_of_programs() {
    let trust = Machine::default().plan(&[]);
    let names: Vec<&str> = trust.variables.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["NODE_EXTRA_CA_CERTS", "DENO_CERT"]);
    assert_eq!(trust.notes.len(), 1);
}

#[test]
fn without_a_place_for_new_files_the_bundle_is_what_there_is() {
    let machine = Machine::debian().file("/my.pem", "x");
    let environment = [c"CURL_CA_BUNDLE=/my.pem".to_owned()];
    let job = JobView { environment: &environment, directory: Path::new("/"), own_directory: None };
    let trust = Trust::plan(&authority(), job, &machine);
    assert_eq!((trust.new.len(), trust.covered.len(), trust.notes.len()), (0, 1, 1));
    assert_eq!(variable(&trust, "SSL_CERT_FILE"), Some(DEBIAN));
    assert_eq!(variable(&trust, "NODE_EXTRA_CA_CERTS"), None);
}

#[test]
fn stores_of_java_are_covered_once() {
    let store = super::java::store(&[root(1)]);
    let real = "/etc/ssl/certs/java/cacerts";
    let machine = Machine::debian()
        .file(real, store.clone())
        .file("/usr/lib/jvm/a/lib/security/other", "")
        .link("/usr/lib/jvm/a/lib/security/cacerts", real)
        .file("/opt/b/jre/lib/security/cacerts", store.clone())
        .file("/c/lib/security/cacerts", store.clone())
        .file("/c/bin/java", "")
        .link("/usr/bin/java", "/c/bin/java")
        .file("/my.jks", store);
    let trust = machine.plan(&[
        "JAVA_HOME_21_X64=/opt/b",
        "PATH=/nowhere:/usr/bin",
        "MAVEN_OPTS=-Xmx1g -Djavax.net.ssl.trustStore=/my.jks",
    ]);
    let covered: Vec<_> = trust.covered.iter().skip(1).map(|(path, _)| path.to_str().unwrap()).collect();
    assert_eq!(covered, ["/my.jks", real, "/opt/b/jre/lib/security/cacerts", "/c/lib/security/cacerts"]);
    assert_eq!(variable(&trust, "JAVA_TOOL_OPTIONS"), None);
}

#[test]
fn a_java_that_comes_later_gets_a_store_of_all_roots() {
    let trust = Machine::debian().plan(&["JAVA_TOOL_OPTIONS=-Xmx1g"]);
    let path = "/run/cijail-net/cacerts";
    assert_eq!(new(&trust, path), super::java::store(&[root(1), authority()]));
    let options = variable(&trust, "JAVA_TOOL_OPTIONS").unwrap();
    assert!(options.starts_with("-Xmx1g -Djavax.net.ssl.trustStore=/run/cijail-net/cacerts "), "{options}");
}

#[test]
fn a_store_that_is_not_understood_stays_and_is_told() {
    let trust = Machine::debian().file("/etc/pki/java/cacerts", "what").plan(&[]);
    assert!(trust.notes[0].contains("/etc/pki/java/cacerts stays as it is"), "{:?}", trust.notes);
    assert!(variable(&trust, "JAVA_TOOL_OPTIONS").is_some());
}

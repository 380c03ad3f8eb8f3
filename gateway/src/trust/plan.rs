//! Puts bundles, variables and Java's stores together. Pure but for the [`Files`] that it is given.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;

use super::bundles::{ANCHORS, MADE, PLACES};
use super::variables::{self, DIRECTORIES, FILE, FILES, Unset, Variable};
use super::{Files, JobView, Trust, hash, java, pem};

/// The authority's certificate alone, in the job's own directory.
const AUTHORITY: &str = "authority.pem";
/// The same where tools of the system look; Debian's takes files of this ending only.
const ANCHOR: &str = "cijail-net.crt";
/// The directory that OpenSSL finds it in.
const HASHED: &str = "certs";

pub(super) struct Planner<'a, F> {
    authority: &'a CertificateDer<'a>,
    text: Vec<u8>,
    job: JobView<'a>,
    files: &'a F,
    /// What was done with a real path: nothing is read or written twice.
    covered: BTreeSet<PathBuf>,
    copies: BTreeMap<PathBuf, PathBuf>,
    trust: Trust,
}

impl<'a, F: Files> Planner<'a, F> {
    pub(super) fn new(authority: &'a CertificateDer<'a>, job: JobView<'a>, files: &'a F) -> Self {
        Planner {
            authority,
            text: pem::encode(authority),
            job,
            files,
            covered: BTreeSet::new(),
            copies: BTreeMap::new(),
            trust: Trust::default(),
        }
    }

    pub(super) fn plan(mut self) -> Trust {
        // Also for what no variable is read by: whoever sets up a store of his own finds it here.
        let authority = self.add(AUTHORITY, self.text.clone());
        let system = self.cover_bundles();
        if system.is_some() {
            self.plan_tools();
        } else {
            self.note("no file with the system's root certificates was found".to_owned());
        }
        for variable in &FILES {
            self.plan_variable(variable, system, authority.as_deref());
        }
        self.plan_directories();
        self.plan_java(system);
        self.trust
    }

    /// Extends every bundle of the system once, and returns the first for variables to name.
    fn cover_bundles(&mut self) -> Option<&'static Path> {
        let mut first = None;
        for place in &PLACES {
            let Some(real) = self.files.real(place.path()) else { continue };
            if !self.covered.contains(&real) {
                let Ok(content) = self.files.read(&real) else { continue };
                self.trust.covered.push((real.clone(), place.extend(content, &self.text)));
                self.covered.insert(real);
            }
            if place.is_bundle() {
                first.get_or_insert(place.path());
            }
        }
        first
    }

    /// Lets what the system's own tools make of its roots have the authority again.
    fn plan_tools(&mut self) {
        self.trust.made = MADE.into_iter().chain(ANCHORS).map(PathBuf::from).collect();
        let anchor = |directory| (Path::new(directory).join(ANCHOR), self.text.clone());
        self.trust.anchors = ANCHORS.into_iter().map(anchor).collect();
    }

    fn plan_variable(&mut self, variable: &Variable, system: Option<&Path>, authority: Option<&Path>) {
        let value = match self.value(variable.name) {
            Some(value) => self.extended(variable.name, value),
            None if variable.yields_to.iter().any(|other| self.value(other).is_some()) => None,
            None => match variable.unset {
                Unset::AllRoots => system.map(Path::to_owned),
                Unset::OneRoot => authority.map(Path::to_owned),
                Unset::Nothing => None,
            },
        };
        if let Some(value) = value {
            self.trust.variables.push((variable.name, value.as_os_str().as_bytes().to_vec()));
        }
    }

    /// A copy of the file that the user named, with the authority at its end; `None` if the variable is to
    /// stay as it is.
    fn extended(&mut self, name: &str, value: &[u8]) -> Option<PathBuf> {
        let path = variables::path(value, self.job.directory);
        let copy = self.copy(&path);
        copy.unwrap_or_else(|error| {
            self.note(format!("{name} stays as it is: {}: {error}", path.display()));
            None
        })
    }

    fn copy(&mut self, path: &Path) -> io::Result<Option<PathBuf>> {
        let real = self.files.real(path).ok_or(io::ErrorKind::NotFound)?;
        if self.covered.contains(&real) {
            return Ok(None);
        }
        if let Some(copy) = self.copies.get(&real) {
            return Ok(Some(copy.clone()));
        }
        let content = pem::append(self.files.read(&real)?, &self.text);
        let name = format!("roots-{}.pem", self.copies.len() + 1);
        let copy = self.add(&name, content).ok_or(io::ErrorKind::Unsupported)?;
        self.copies.insert(real, copy.clone());
        Ok(Some(copy))
    }

    /// Directories that were chosen without a file get one more.
    fn plan_directories(&mut self) {
        let (Some(list), None) = (self.value(DIRECTORIES), self.value(FILE)) else { return };
        let Some(name) = hash::file_name(self.authority) else { return };
        if self.add(&format!("{HASHED}/{name}"), self.text.clone()).is_some()
            && let Some(directory) = self.own_path(HASHED)
        {
            self.trust.variables.push((DIRECTORIES, variables::with_directory(list, &directory)));
        }
    }

    /// Extends the stores of every JDK that is found. For one that the job brings itself there is a
    /// variable, where it is the only one.
    fn plan_java(&mut self, system: Option<&Path>) {
        let mut has_store = java::is_named(self.job);
        for place in java::places(self.job, self.files) {
            let Some(real) = self.files.real(&place.path) else { continue };
            if self.covered.contains(&real) {
                continue;
            }
            let Ok(content) = self.files.read(&real) else { continue };
            match java::extend(content, &place.password, self.authority) {
                Ok(content) => {
                    has_store = true;
                    self.trust.covered.push((real.clone(), content));
                }
                Err(error) => self.note(format!("{} stays as it is: {error}", real.display())),
            }
            self.covered.insert(real);
        }
        let roots = system.filter(|_| !has_store).and_then(|path| self.files.read(path).ok());
        let Some(roots) = roots else { return };
        let mut roots = pem::decode(&roots);
        roots.push(self.authority.clone().into_owned());
        if let Some(path) = self.add(java::STORE, java::store(&roots)) {
            self.trust.variables.push(java::option(self.value(java::OPTIONS), &path));
        }
    }

    /// The value of a variable of the job; an empty one is none to any program.
    fn value(&self, name: &str) -> Option<&'a [u8]> {
        self.job.environment.iter().find_map(|entry| {
            let (found, value) = variables::split(entry.as_bytes());
            (found == name.as_bytes() && !value.is_empty()).then_some(value)
        })
    }

    /// Makes a file of the job's own, if there can be any.
    fn add(&mut self, name: &str, content: Vec<u8>) -> Option<PathBuf> {
        let path = self.own_path(name)?;
        self.trust.new.push((path.clone(), content));
        Some(path)
    }

    fn own_path(&self, name: &str) -> Option<PathBuf> {
        Some(self.job.own_directory?.join(name))
    }

    fn note(&mut self, note: String) {
        if !self.trust.notes.contains(&note) {
            self.trust.notes.push(note);
        }
    }
}

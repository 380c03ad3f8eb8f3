//! A registry of npm packages with versions, dependencies and scripts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value, json};

use super::archive::{integrity, tarball};
use crate::world::{Reply, Request, Site, World};

/// One version of a package.
#[derive(Clone)]
pub(crate) struct Package {
    name: String,
    version: String,
    dependencies: Map<String, Value>,
    scripts: Map<String, Value>,
    files: Vec<(String, String)>,
}

/// What has been published, by name in order of time.
type Published = BTreeMap<String, Vec<Package>>;

pub(crate) struct Registry {
    site: Site,
    published: Arc<Mutex<Published>>,
}

impl Package {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        let files = vec![("index.js".to_owned(), "module.exports = 1;\n".to_owned())];
        let (name, version) = (name.to_owned(), version.to_owned());
        Self { name, version, dependencies: Map::new(), scripts: Map::new(), files }
    }

    pub(crate) fn needs(mut self, name: &str, range: &str) -> Self {
        self.dependencies.insert(name.to_owned(), json!(range));
        self
    }

    /// At this stage of its installation this command.
    pub(crate) fn runs(mut self, stage: &str, command: &str) -> Self {
        self.scripts.insert(stage.to_owned(), json!(command));
        self
    }

    pub(crate) fn with_file(mut self, name: &str, content: &str) -> Self {
        self.files.push((name.to_owned(), content.to_owned()));
        self
    }

    fn manifest(&self) -> Value {
        json!({
            "name": self.name,
            "version": self.version,
            "main": "index.js",
            "dependencies": self.dependencies,
            "scripts": self.scripts,
        })
    }

    fn archive(&self) -> Vec<u8> {
        let manifest = self.manifest().to_string();
        let paths: Vec<(String, &str)> =
            self.files.iter().map(|(name, content)| (format!("package/{name}"), content.as_str())).collect();
        let mut files = vec![("package/package.json", manifest.as_str())];
        files.extend(paths.iter().map(|(path, content)| (path.as_str(), *content)));
        tarball(&files)
    }

    fn path(&self) -> String {
        format!("/{}/-/{}-{}.tgz", self.name, self.name, self.version)
    }
}

impl Registry {
    pub(crate) fn new(world: &World, host: &str) -> Self {
        let site = world.site(host);
        let published = Arc::<Mutex<Published>>::default();
        let (all, host) = (published.clone(), host.to_owned());
        site.respond(move |request| document(&all.lock().unwrap(), &host, request));
        Self { site, published }
    }

    /// From now on the newest version.
    pub(crate) fn publish(&self, package: Package) {
        self.site.page(&package.path(), Reply::ok(package.archive()));
        self.published.lock().unwrap().entry(package.name.clone()).or_default().push(package);
    }
}

/// What the registry says about a package.
fn document(published: &Published, host: &str, request: &Request) -> Option<Reply> {
    let versions = published.get(request.path().trim_start_matches('/'))?;
    let newest = versions.last()?;
    let entry = |package: &Package| {
        let mut entry = package.manifest();
        let tarball = format!("https://{host}{}", package.path());
        entry["dist"] = json!({ "tarball": tarball, "integrity": integrity(&package.archive()) });
        entry["hasInstallScript"] = json!(!package.scripts.is_empty());
        (package.version.clone(), entry)
    };
    let document = json!({
        "name": newest.name,
        "dist-tags": { "latest": newest.version },
        "versions": versions.iter().map(entry).collect::<Map<String, Value>>(),
    });
    Some(Reply::json(document.to_string()))
}

//! npm: a registry of tiny packages, and a tree that takes more than a thousand connections.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::archive::{integrity, tarball};
use super::{assert_contrast, assert_learned};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Reply, Site, World, give_away};

const PACKAGES: usize = 340;
const CONNECTIONS: usize = 1000;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, install, ci_of_a_large_tree, installing_without_publishing, learned);
}

fn npm<'w>(jail: &Jail<'w>) -> Jail<'w> {
    let quiet = [
        ("npm_config_audit", "false"),
        ("npm_config_fund", "false"),
        ("npm_config_update_notifier", "false"),
    ];
    quiet.into_iter().fold(jail.clone(), |jail, (name, value)| jail.env(name, value))
}

fn install(mode: Mode) {
    let world = World::new();
    let registry = world.site("npm.test");
    publish(&registry, "small-package", "https://npm.test/small-package/-/small-package-1.0.0.tgz");
    let jail = npm(&Jail::new(&world, mode).allow("npm.test"));
    let from = |host: &str| {
        jail.run([
            "npm",
            "install",
            &format!("--registry=https://{host}/"),
            "--fetch-retries=0",
            "small-package",
        ])
    };
    let allowed = from("npm.test");
    allowed.assert_success();
    assert!(jail.home().join("node_modules/small-package/index.js").exists());
    fs::remove_dir_all(jail.home().join("node_modules")).unwrap();
    fs::remove_file(jail.home().join("package-lock.json")).unwrap();
    let denied = from("evil.test");
    assert_contrast(&world, &allowed, &denied, &["ENOTFOUND", "EAI_AGAIN"]);
}

fn installing_without_publishing(mode: Mode) {
    let world = World::new();
    let registry = world.site("npm.test");
    publish(&registry, "small-package", "https://npm.test/small-package/-/small-package-1.0.0.tgz");
    let jail = npm(&Jail::new(&world, mode).allow("GET,HEAD https://npm.test/"))
        .env("npm_config_registry", "https://npm.test/")
        .env("npm_config_fetch_retries", "0");
    jail.run(["npm", "install", "small-package"]).assert_success();
    let publish = "mkdir mine && cd mine && echo '{\"name\":\"mine\",\"version\":\"1.0.0\"}' >package.json && \
                   npm publish --//npm.test/:_authToken=secret";
    let denied = jail.shell(publish);
    denied.assert_failure().assert_says("403").assert_denied("http", "npm.test", "method-not-allowed");
    let requests = registry.requests();
    assert!(requests.iter().all(|request| request.method == "GET"), "{requests:?}");
    let direct = npm(&Jail::direct(&world, mode)).env("npm_config_registry", "https://npm.test/");
    direct.shell(&publish.replace("mkdir mine", "true"));
    assert!(registry.requests().iter().any(|request| request.method == "PUT"));
}

/// The tarball is on another host than the index.
fn learned(mode: Mode) {
    let world = World::new();
    let registry = world.site("npm.test");
    let files = world.site("files.npm.test");
    publish(&registry, "small-package", "https://files.npm.test/small-package-1.0.0.tgz");
    files.page("/small-package-1.0.0.tgz", Reply::ok(package("small-package")));
    let jail = npm(&Jail::new(&world, mode)).env("npm_config_registry", "https://npm.test/");
    let home = jail.home();
    let clean = || {
        for left in ["node_modules", ".npm", "package.json", "package-lock.json"] {
            let path = home.join(left);
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    };
    let build = |jail: &Jail<'_>| jail.run(["npm", "install", "small-package"]);
    assert_learned(&world, &jail, clean, build, &["https://files.npm.test/", "https://npm.test/"]);
    // Where a rule opens TLS, what is learned says more.
    let opened = jail.allow("https://npm.test/never/");
    let rules = ["GET https://npm.test/small-package", "https://files.npm.test/"];
    assert_learned(&world, &opened, clean, build, &rules);
}

/// Each tarball is two redirects away, and each request has a connection of its own.
fn ci_of_a_large_tree(mode: Mode) {
    let world = World::new();
    let registry = world.site_of_short_connections("npm.test");
    let mirror = world.site_of_short_connections("mirror.npm.test");
    let store = world.site_of_short_connections("store.npm.test");
    let mut dependencies = Map::new();
    let mut packages = Map::new();
    for number in 0..PACKAGES {
        let name = format!("package-{number}");
        let path = format!("/{name}/-/{name}-1.0.0.tgz");
        let archive = package(&name);
        dependencies.insert(name.clone(), json!("1.0.0"));
        packages.insert(
            format!("node_modules/{name}"),
            json!({
                "version": "1.0.0",
                "resolved": format!("https://npm.test{path}"),
                "integrity": integrity(&archive),
            }),
        );
        registry.page(&path, Reply::redirect(&format!("https://mirror.npm.test{path}")));
        mirror.page(&path, Reply::redirect(&format!("https://store.npm.test{path}")));
        store.page(&path, Reply::ok(archive));
    }
    let jail =
        npm(&Jail::new(&world, mode).allow("npm.test").allow("*.npm.test")).within(Duration::from_secs(120));
    write_project(&jail.home(), mode, dependencies, packages);
    let outcome = jail.run(["npm", "ci", "--registry=https://npm.test/"]);
    outcome.assert_success();
    assert_eq!(fs::read_dir(jail.home().join("node_modules")).unwrap().count(), PACKAGES + 1, "{outcome}");
    let connections: usize = [&registry, &mirror, &store].map(Site::connections).iter().sum();
    assert!(connections >= CONNECTIONS, "only {connections} connections");
    world.assert_attacker_saw_nothing();
    world.assert_nothing_left();
}

fn package(name: &str) -> Vec<u8> {
    let manifest = json!({ "name": name, "version": "1.0.0", "main": "index.js" }).to_string();
    tarball(&[("package/package.json", &manifest), ("package/index.js", "module.exports = 1;\n")])
}

fn publish(registry: &Site, name: &str, tarball: &str) {
    let archive = package(name);
    let path = tarball.split_once(".test").expect("a test's name").1;
    let document = json!({
        "name": name,
        "dist-tags": { "latest": "1.0.0" },
        "versions": {
            "1.0.0": {
                "name": name,
                "version": "1.0.0",
                "dist": { "tarball": tarball, "integrity": integrity(&archive) },
            },
        },
    });
    registry.page(&format!("/{name}"), Reply::json(document.to_string()));
    registry.page(path, Reply::ok(archive));
}

fn write_project(
    home: &Path,
    mode: Mode,
    dependencies: Map<String, Value>,
    mut packages: Map<String, Value>,
) {
    let root = json!({ "name": "project", "version": "1.0.0", "dependencies": dependencies });
    packages.insert(String::new(), root.clone());
    let lock = json!({
        "name": "project",
        "version": "1.0.0",
        "lockfileVersion": 3,
        "requires": true,
        "packages": packages,
    });
    for (file, content) in [("package.json", root), ("package-lock.json", lock)] {
        let path = home.join(file);
        fs::write(&path, content.to_string()).unwrap();
        if mode == Mode::Rootless {
            give_away(&path).unwrap();
        }
    }
}

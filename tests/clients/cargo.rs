//! cargo with a sparse registry, and the crates on another host.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::archive::{sha256_hex, tarball};
use super::{assert_contrast, assert_learned};
use crate::enter;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Reply, Site, World};

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, build, building_without_publishing, learned);
}

const MANIFEST: &str = "\
[package]
name = \"small-crate\"
version = \"1.0.0\"
edition = \"2021\"
";

fn build(mode: Mode) {
    let world = World::new();
    publish(&world);
    let programs = enter::toolchain().join("bin");
    let jail = Jail::new(&world, mode)
        .allow("index.crates.test")
        .allow("static.crates.test")
        .env("CARGO_NET_RETRY", "0")
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    let build = |host: &str| {
        let project = world.files().shared().join(format!("for-{host}"));
        write_project(&project, host);
        let jail = jail.clone().directory(&project).env("CARGO_TARGET_DIR", jail.home().join("target"));
        jail.run(["cargo", "build"])
    };
    let allowed = build("index.crates.test");
    allowed.assert_success().assert_says("Compiling small-crate");
    let denied = build("evil.test");
    denied.assert_code(101);
    assert_contrast(
        &world,
        &allowed,
        &denied,
        &["could not resolve host", "couldn't resolve host", "resolve"],
    );
}

fn building_without_publishing(mode: Mode) {
    let world = World::new();
    let index = publish(&world);
    let programs = enter::toolchain().join("bin");
    let project = world.files().shared().join("project");
    write_project(&project, "index.crates.test");
    let jail = Jail::new(&world, mode)
        .allow("GET https://index.crates.test/")
        .allow("GET https://static.crates.test/crates/")
        .env("CARGO_NET_RETRY", "0")
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .directory(&project);
    let jail = jail.clone().env("CARGO_TARGET_DIR", jail.home().join("target"));
    jail.run(["cargo", "build"]).assert_success();
    let publish = ["cargo", "publish", "--registry=ours", "--token=secret", "--no-verify", "--allow-dirty"];
    let denied = jail.run(publish);
    denied.assert_failure().assert_denied("http", "index.crates.test", "method-not-allowed");
    let requests = index.requests();
    assert!(requests.iter().all(|request| request.method == "GET"), "{requests:?}");
}

fn learned(mode: Mode) {
    let world = World::new();
    publish(&world);
    let programs = enter::toolchain().join("bin");
    let project = world.files().shared().join("project");
    let jail = Jail::new(&world, mode)
        .env("CARGO_NET_RETRY", "0")
        .env("PATH", format!("{}:/usr/bin:/bin", programs.display()))
        .directory(&project);
    let home = jail.home();
    let jail = jail.env("CARGO_TARGET_DIR", home.join("target"));
    let clean = || {
        let _ = fs::remove_dir_all(&project);
        let _ = fs::remove_dir_all(home.join(".cargo"));
        write_project(&project, "index.crates.test");
    };
    let build = |jail: &Jail<'_>| jail.run(["cargo", "build"]);
    let rules = ["https://index.crates.test/", "https://static.crates.test/"];
    assert_learned(&world, &jail, clean, build, &rules);
    let opened = jail.allow("https://index.crates.test/never/").allow("https://static.crates.test/never/");
    let rules = [
        "GET https://index.crates.test/",
        "GET https://static.crates.test/crates/small-crate/1.0.0/download",
    ];
    assert_learned(&world, &opened, clean, build, &rules);
}

fn publish(world: &World) -> Site {
    let archive = tarball(&[
        ("small-crate-1.0.0/Cargo.toml", MANIFEST),
        ("small-crate-1.0.0/src/lib.rs", "pub fn answer() -> u8 {\n    42\n}\n"),
    ]);
    let entry = json!({
        "name": "small-crate",
        "vers": "1.0.0",
        "deps": [],
        "cksum": sha256_hex(&archive),
        "features": {},
        "yanked": false,
    });
    let index = world.site("index.crates.test");
    let config = json!({ "dl": "https://static.crates.test/crates", "api": "https://index.crates.test" });
    index.page("/config.json", Reply::json(config.to_string()));
    index.page("/sm/al/small-crate", Reply::ok(entry.to_string() + "\n"));
    world.site("static.crates.test").page("/crates/small-crate/1.0.0/download", Reply::ok(archive));
    index
}

/// A library, which needs no linker.
fn write_project(directory: &Path, registry: &str) {
    fs::create_dir_all(directory.join("src")).unwrap();
    fs::create_dir(directory.join(".cargo")).unwrap();
    let manifest = "[package]\nname = \"project\"\nversion = \"1.0.0\"\nedition = \"2021\"\n\n[dependencies]\nsmall-crate = \"1\"\n";
    fs::write(directory.join("Cargo.toml"), manifest).unwrap();
    fs::write(directory.join("src/lib.rs"), "pub use small_crate::answer;\n").unwrap();
    let configuration = format!(
        "[source.crates-io]\nreplace-with = \"ours\"\n\n[source.ours]\nregistry = \"sparse+https://{registry}/\"\n\n\
         [registries.ours]\nindex = \"sparse+https://{registry}/\"\n"
    );
    fs::write(directory.join(".cargo/config.toml"), configuration).unwrap();
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    fs::set_permissions(directory, everybody).unwrap();
}

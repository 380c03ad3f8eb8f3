//! pip: an index, and the files on another host.

use std::fs;
use std::process::Command;

use super::archive::sha256_hex;
use super::{assert_contrast, assert_learned};
use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::{Reply, Site, World};

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, install, by_path, learned);
}

const WHEEL: &str = "small_package-1.0-py3-none-any.whl";

/// Writes the wheel to the path that it gets.
const MAKE_WHEEL: &str = "\
import sys, zipfile
info = 'small_package-1.0.dist-info/'
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    wheel.writestr('small_package.py', 'answer = 42\\n')
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: small-package\\nVersion: 1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', ''.join(name + ',,\\n' for name in wheel.namelist()) + info + 'RECORD,,\\n')
";

fn install(mode: Mode) {
    let world = World::new();
    publish(&world);
    let jail = Jail::new(&world, mode).allow("pypi.test").allow("files.pypi.test");
    let allowed = pip_install(&jail, "pypi.test", "small-package");
    allowed.assert_success();
    assert!(jail.home().join("here/small_package.py").exists());
    let denied = pip_install(&jail, "evil.test", "small-package");
    assert_contrast(
        &world,
        &allowed,
        &denied,
        &["Name or service not known", "Failed to establish", "resolve"],
    );
}

/// Packages by name: what the index has under another name is out of reach.
fn by_path(mode: Mode) {
    let world = World::new();
    let index = publish(&world);
    let jail = Jail::new(&world, mode)
        .allow("GET,HEAD https://pypi.test/simple/small-package/")
        .allow("GET https://files.pypi.test/");
    pip_install(&jail, "pypi.test", "small-package").assert_success();
    let denied = pip_install(&jail, "pypi.test", "other-package");
    denied.assert_failure().assert_denied("http", "pypi.test", "path-not-allowed");
    assert_eq!(index.paths(), ["/simple/small-package/"]);
}

fn learned(mode: Mode) {
    let world = World::new();
    publish(&world);
    let jail = Jail::new(&world, mode);
    let build = |jail: &Jail<'_>| pip_install(jail, "pypi.test", "small-package");
    assert_learned(&world, &jail, || {}, build, &["https://files.pypi.test/", "https://pypi.test/"]);
    let opened = jail.allow("https://pypi.test/never/").allow("https://files.pypi.test/never/");
    let wheel = format!("GET https://files.pypi.test/{WHEEL}");
    let rules = [wheel.as_str(), "GET https://pypi.test/simple/small-package/"];
    assert_learned(&world, &opened, || {}, build, &rules);
}

/// An index with one package, whose file is on another host.
fn publish(world: &World) -> Site {
    let wheel = wheel(world);
    let index = world.site("pypi.test");
    let link =
        format!("<a href=\"https://files.pypi.test/{WHEEL}#sha256={}\">{WHEEL}</a>", sha256_hex(&wheel));
    index.page("/simple/small-package/", Reply::ok(link).with_header("content-type", "text/html"));
    world.site("files.pypi.test").page(&format!("/{WHEEL}"), Reply::ok(wheel));
    index
}

fn pip_install(jail: &Jail<'_>, host: &str, package: &str) -> Outcome {
    let index = format!("https://{host}/simple/");
    let pip = ["/usr/bin/python3", "-m", "pip", "install", "--no-cache-dir", "--disable-pip-version-check"];
    let what = ["--retries", "1", "--target", "here", "--upgrade", "--index-url", &index, package];
    jail.run(pip.into_iter().chain(what))
}

fn wheel(world: &World) -> Vec<u8> {
    let path = world.files().shared().join(WHEEL);
    let made = Command::new("/usr/bin/python3").args(["-c", MAKE_WHEEL]).arg(&path).status().unwrap();
    assert!(made.success());
    fs::read(&path).unwrap()
}

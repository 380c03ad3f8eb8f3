//! git over https and over ssh.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{assert_contrast, assert_learned};
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Reply, Request, World, give_away};

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, over_https, over_ssh, one_repository, reading_only, learned);
}

fn over_https(mode: Mode) {
    let world = World::new();
    let repositories = repository(&world);
    world.site("git.test").respond(move |request| Some(http_backend(&repositories, request)));
    let jail = Jail::new(&world, mode).allow("git.test");
    let allowed = jail.shell("git clone -q https://git.test/project.git && cat project/README");
    allowed.assert_success().assert_stdout("a project\n");
    let push = "cd project && echo more >>README && git commit -qam more && git push -q";
    with_identity(&jail).shell(push).assert_success();
    let denied = jail.run(["git", "clone", "-q", "https://evil.test/project.git", "other"]);
    denied.assert_code(128);
    assert_contrast(&world, &allowed, &denied, &["could not resolve host"]);
}

fn over_ssh(mode: Mode) {
    let world = World::new();
    let repositories = repository(&world);
    let server = world.ssh_server("ssh.test");
    let jail =
        Jail::new(&world, mode).allow("ssh.test:22").env("GIT_SSH_COMMAND", server.client_command(mode));
    let clone = |host: &str| {
        let from = format!("ssh://runner@{host}{}/project.git", repositories.display());
        jail.run(["git", "clone", "-q", &from, host])
    };
    let allowed = clone("ssh.test");
    allowed.assert_success().assert_allowed("tcp", "ssh.test");
    assert!(jail.home().join("ssh.test/README").exists());
    let denied = clone("evil.test");
    denied.assert_code(128);
    assert_contrast(&world, &allowed, &denied, &["could not resolve hostname"]);
}

/// One repository of a host by its path, and not the next one.
fn one_repository(mode: Mode) {
    let world = World::new();
    let repositories = repository(&world);
    let site = world.site("git.test");
    site.respond(move |request| Some(http_backend(&repositories, request)));
    let jail = Jail::new(&world, mode).allow("https://git.test/project.git");
    let clone = |name: &str| jail.run(["git", "clone", "-q", &format!("https://git.test/{name}"), "copy"]);
    let allowed = clone("project.git");
    allowed.assert_success();
    assert!(jail.home().join("copy/README").exists());
    let script = "cd copy && echo more >>README && git commit -qam more && git push -q";
    with_identity(&jail).shell(script).assert_success();
    std::fs::remove_dir_all(jail.home().join("copy")).unwrap();
    let denied = clone("other.git");
    denied.assert_code(128).assert_denied("http", "git.test", "path-not-allowed");
    assert_contrast(&world, &allowed, &denied, &["403"]);
    let paths = site.paths();
    assert!(paths.iter().all(|path| path.starts_with("/project.git/")), "{paths:?}");
}

/// A push needs two requests more than a clone.
fn reading_only(mode: Mode) {
    let world = World::new();
    let repositories = repository(&world);
    let site = world.site("git.test");
    site.respond(move |request| Some(http_backend(&repositories, request)));
    let jail = Jail::new(&world, mode)
        .allow("GET https://git.test/project.git/info/refs")
        .allow("POST https://git.test/project.git/git-upload-pack");
    jail.run(["git", "clone", "-q", "https://git.test/project.git"]).assert_success();
    let script = "cd project && echo secret >>README && git commit -qam more && git push -q";
    let denied = with_identity(&jail).shell(script);
    denied.assert_failure().assert_says("403").assert_denied("http", "git.test", "path-not-allowed");
    assert!(site.paths().iter().all(|path| !path.ends_with("/git-receive-pack")));
}

/// Over TLS and over ssh.
fn learned(mode: Mode) {
    let world = World::new();
    let repositories = repository(&world);
    let server = world.ssh_server("ssh.test");
    let served = repositories.clone();
    world.site("git.test").respond(move |request| Some(http_backend(&served, request)));
    // Without an identity git asks for the machine's own name.
    let jail = with_identity(&Jail::new(&world, mode)).env("GIT_SSH_COMMAND", server.client_command(mode));
    let home = jail.home();
    let clean = || ["one", "two"].iter().for_each(|copy| drop(std::fs::remove_dir_all(home.join(copy))));
    let script = format!(
        "git clone -q https://git.test/project.git one && \
         git clone -q ssh://runner@ssh.test{}/project.git two",
        repositories.display()
    );
    let build = |jail: &Jail<'_>| jail.shell(&script);
    assert_learned(&world, &jail, clean, build, &["https://git.test/", "ssh.test:22"]);
    let opened = jail.allow("https://git.test/never/");
    let rules = ["GET,POST https://git.test/project.git/", "ssh.test:22"];
    assert_learned(&world, &opened, clean, build, &rules);
}

/// A directory with `project.git` in it, which every user may write.
fn repository(world: &World) -> PathBuf {
    let directory = world.files().shared().join("repositories");
    let script = "set -e
        git init -q -b main work
        echo 'a project' >work/README
        git -C work add README
        git -C work -c user.name=t -c user.email=t@good.test commit -q -m first
        git clone -q --bare work project.git
        git -C project.git config http.receivepack true
        chmod -R a+rwX project.git";
    std::fs::create_dir(&directory).unwrap();
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(&directory)
        .env("HOME", &directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // The ssh server's git refuses what belongs to somebody else.
    let configuration = world.files().home(Mode::Rootless).join(".gitconfig");
    std::fs::write(&configuration, "[safe]\n\tdirectory = *\n").unwrap();
    give_away(&configuration).unwrap();
    directory
}

fn with_identity<'w>(jail: &Jail<'w>) -> Jail<'w> {
    ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]
        .into_iter()
        .fold(jail.clone(), |jail, name| jail.env(name, "t@good.test"))
}

fn http_backend(repositories: &Path, request: &Request) -> Reply {
    let header = |name| request.header(name).unwrap_or_default().to_owned();
    let environment = BTreeMap::from([
        ("GIT_PROJECT_ROOT".to_owned(), repositories.display().to_string()),
        ("GIT_HTTP_EXPORT_ALL".to_owned(), "1".to_owned()),
        ("GIT_CONFIG_NOSYSTEM".to_owned(), "1".to_owned()),
        ("REMOTE_USER".to_owned(), "t".to_owned()),
        ("PATH_INFO".to_owned(), request.path().to_owned()),
        ("QUERY_STRING".to_owned(), request.query().to_owned()),
        ("REQUEST_METHOD".to_owned(), request.method.clone()),
        ("CONTENT_TYPE".to_owned(), header("content-type")),
        ("CONTENT_LENGTH".to_owned(), request.body.len().to_string()),
        ("HTTP_CONTENT_ENCODING".to_owned(), header("content-encoding")),
        ("HTTP_GIT_PROTOCOL".to_owned(), header("git-protocol")),
    ]);
    Reply::Cgi { program: "git".into(), arguments: vec!["http-backend".to_owned()], environment }
}

//! rsync over ssh.

use std::fs;

use super::assert_contrast;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, over_ssh);
}

fn over_ssh(mode: Mode) {
    let world = World::new();
    let server = world.ssh_server("ssh.test");
    let files = world.files().shared().join("files");
    fs::create_dir(&files).unwrap();
    fs::write(files.join("one"), "one\n").unwrap();
    fs::write(files.join("large"), vec![7; 3 << 20]).unwrap();
    let jail = Jail::new(&world, mode).allow("ssh.test:22");
    let fetch = |host: &str| {
        let from = format!("runner@{host}:{}/", files.display());
        jail.run(["rsync", "-r", "-e", &server.client_command(mode), &from, "copy"])
    };
    let allowed = fetch("ssh.test");
    allowed.assert_success();
    assert_eq!(fs::read(jail.home().join("copy/large")).unwrap().len(), 3 << 20);
    let denied = fetch("evil.test");
    assert_contrast(&world, &allowed, &denied, &["could not resolve hostname"]);
}

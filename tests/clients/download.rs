//! curl and wget.

use super::assert_contrast;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, curl, wget);
}

fn curl(mode: Mode) {
    works(mode, &["curl", "-fsS"], &["could not resolve host"]);
}

fn wget(mode: Mode) {
    works(mode, &["wget", "-nv", "-O", "-"], &["unable to resolve host address"]);
}

fn works(mode: Mode, client: &[&str], words: &[&str]) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    for scheme in ["http", "https"] {
        let get =
            |host: &str| jail.run(client.iter().copied().chain([format!("{scheme}://{host}/").as_str()]));
        let allowed = get("good.test");
        assert_eq!(allowed.stdout, "hello from good.test\n", "{allowed}");
        assert_contrast(&world, &allowed, &get("evil.test"), words);
    }
}

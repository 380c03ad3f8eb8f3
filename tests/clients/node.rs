//! node's `fetch`.

use super::assert_contrast;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, fetch);
}

const PROGRAM: &str =
    "fetch(process.argv[1]).then(answer => answer.text()).then(text => process.stdout.write(text))";

fn fetch(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    let fetch = |url: &str| jail.run(["node", "-e", PROGRAM, url]);
    let allowed = fetch("https://good.test/");
    allowed.assert_success().assert_stdout("hello from good.test\n");
    assert_contrast(&world, &allowed, &fetch("https://evil.test/"), &["ENOTFOUND", "EAI_AGAIN"]);
}

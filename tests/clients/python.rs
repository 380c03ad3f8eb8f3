//! python's `requests`.

use super::assert_contrast;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, requests);
}

fn requests(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = Jail::new(&world, mode).allow("good.test");
    let get = |url: &str| jail.python(&format!("import requests\nprint(requests.get('{url}').text, end='')"));
    let allowed = get("https://good.test/");
    allowed.assert_success().assert_stdout("hello from good.test\n");
    assert_contrast(&world, &allowed, &get("https://evil.test/"), &["Name or service not known", "resolve"]);
}

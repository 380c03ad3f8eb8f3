//! psql by host name.

use super::assert_contrast;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, psql);
}

fn psql(mode: Mode) {
    let world = World::new();
    world.postgres("db.test");
    let jail = Jail::new(&world, mode).allow("db.test:5432");
    let ask = |host: &str| {
        jail.run(["psql", &format!("host={host} user=runner dbname=postgres"), "-Atc", "select 6 * 7"])
    };
    let allowed = ask("db.test");
    allowed.assert_success().assert_stdout("42\n").assert_allowed("tcp", "db.test");
    let denied = ask("evil.test");
    denied.assert_code(2);
    assert_contrast(&world, &allowed, &denied, &["could not translate host name"]);
}

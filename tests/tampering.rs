//! Ways to change what the gateway goes by: the files that it reads, and the streams that it passes on.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, names_written_into_the_hosts_file);
}

/// A job of root may write to the file; its gateway goes by what was in it when the job started.
fn names_written_into_the_hosts_file(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let script = "echo '198.51.100.66 good.test other.test' >>/etc/hosts; \
                  echo 'nameserver 198.51.100.53' >>/etc/resolv.conf; \
                  curl -sSk --max-time 5 --resolve good.test:80:203.0.113.60 http://good.test/secret; \
                  curl -sSk --max-time 5 --resolve good.test:443:203.0.113.60 https://good.test/secret; \
                  dig +time=2 +tries=1 good.test @192.0.0.1; true";
    let outcome = Jail::new(&world, mode).allow("good.test").allow("203.0.113.60:80").shell(script);
    outcome.assert_success();
    world.assert_attacker_saw_nothing();
    assert!(!outcome.stdout.contains("198.51.100.66"), "{outcome}");
    assert!(site.paths().contains(&"/secret".to_owned()), "{outcome}");
}

//! A parent proxy that does not do as asked: the job fails at once, and the log says why.

use std::time::Duration;

use super::{behind, proxied_site};
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

const AT_ONCE: Duration = Duration::from_secs(2);

pub(super) fn add(suite: &mut Suite) {
    both!(suite, connect_refused, request_without_credentials, request_forbidden, proxy_is_gone);
}

#[track_caller]
fn assert_upstream_failed(outcome: &Outcome, kind: &str) {
    outcome.assert_event("allow", kind, "good.test", Some("upstream-failed"));
}

fn connect_refused(mode: Mode) {
    for status in [403, 407, 502] {
        let world = World::new();
        let proxy = world.proxy();
        let site = proxied_site(&world, &proxy, "good.test");
        proxy.refuse(status);
        let jail = behind(&world, mode).allow("good.test");
        let outcome = jail.run(["curl", "-sS", "https://good.test/"]);
        outcome.assert_code(35).assert_faster_than(AT_ONCE);
        assert_upstream_failed(&outcome, "tls");
        let text = jail.without_log_file().run(["curl", "-sS", "https://good.test/"]);
        text.assert_says("upstream-failed").assert_says(&status.to_string());
        assert_eq!(site.connections(), 0);
    }
}

/// The job knows of no proxy, and could not log in to it.
fn request_without_credentials(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    proxied_site(&world, &proxy, "good.test");
    proxy.refuse(407);
    let outcome = behind(&world, mode).allow("good.test").run(["curl", "-sS", "-i", "http://good.test/"]);
    outcome.assert_success().assert_says("HTTP/1.1 502").assert_says("upstream-failed").assert_says("407");
    assert!(!outcome.says("proxy-authenticate"), "{outcome}");
    assert_upstream_failed(&outcome, "http");
}

/// A proxy's word about a request looks like the origin's; it reaches the job as it is.
fn request_forbidden(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    proxy.refuse(403);
    let outcome = behind(&world, mode).allow("good.test").run(["curl", "-sS", "-f", "http://good.test/"]);
    outcome.assert_code(22).assert_says("403").assert_faster_than(AT_ONCE);
    assert_eq!(site.connections(), 0);
}

fn proxy_is_gone(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let nobody = format!("http://{}:3128", world.new_addresses().0);
    let jail = behind(&world, mode).allow("good.test").env("HTTP_PROXY", &nobody).env("HTTPS_PROXY", &nobody);
    let outcome = jail.run(["curl", "-sS", "https://good.test/"]);
    outcome.assert_code(35).assert_faster_than(AT_ONCE);
    assert_upstream_failed(&outcome, "tls");
    let outcome = jail.run(["curl", "-sS", "http://good.test/"]);
    outcome.assert_success().assert_says("upstream-failed").assert_faster_than(AT_ONCE);
    assert_upstream_failed(&outcome, "http");
    assert_eq!(site.connections(), 0, "nothing goes round the proxy");
}

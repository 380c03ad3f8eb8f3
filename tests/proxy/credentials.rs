//! The credentials in a proxy's URL are between the gateway and the proxy.

use super::proxied_site;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{PROXY_URL, World};

/// `user` and `p@ss`, as a URL and as a header field have them (RFC 7617).
const IN_URL: &str = "user:p%40ss";
const IN_FIELD: &str = "Basic dXNlcjpwQHNz";
/// What would give them away.
const TRACES: [&str; 3] = ["p%40ss", "p@ss", "dXNlcjpwQHNz"];

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        proxy_gets_them_and_nobody_else,
        job_finds_them_nowhere,
        refusal_does_not_show_them,
        mistake_does_not_show_them,
        field_of_the_job_is_not_sent,
    );
}

fn jail<'w>(world: &'w World, mode: Mode) -> Jail<'w> {
    let url = PROXY_URL.replace("://", &format!("://{IN_URL}@"));
    Jail::new(world, mode).allow("good.test").env("HTTP_PROXY", &url).env("HTTPS_PROXY", &url)
}

fn proxy_gets_them_and_nobody_else(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let outcome = jail(&world, mode).shell("curl -sS -i http://good.test/headers https://good.test/headers");
    outcome.assert_success();
    let asked = proxy.requests();
    assert_eq!(asked.len(), 2, "{:?}", proxy.asked());
    assert!(asked.iter().all(|request| request.header("proxy-authorization") == Some(IN_FIELD)), "{asked:?}");
    assert_eq!(site.requests().len(), 2);
    for request in site.requests() {
        assert_eq!(request.header("proxy-authorization"), None, "{request:?}");
    }
    assert!(TRACES.iter().all(|trace| !outcome.to_string().contains(trace)), "{outcome}");
}

/// Neither in its own environment nor in that of any process that it sees.
fn job_finds_them_nowhere(mode: Mode) {
    let world = World::new();
    let script = "env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'; true";
    let seen = jail(&world, mode).shell(script);
    seen.assert_success().assert_says("HOME=");
    assert!(TRACES.iter().all(|trace| !seen.stdout.contains(trace)), "{seen}");
    let kept = jail(&world, mode).option("--keep-proxy-env").shell(script);
    kept.assert_says(IN_URL);
}

fn refusal_does_not_show_them(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    proxied_site(&world, &proxy, "good.test");
    proxy.refuse(407);
    for log in [jail(&world, mode), jail(&world, mode).without_log_file()] {
        let outcome = log.shell("curl -sS -v http://good.test/; curl -sS -v https://good.test/; true");
        outcome.assert_success().assert_says("407");
        assert!(TRACES.iter().all(|trace| !outcome.to_string().contains(trace)), "{outcome}");
    }
}

fn mistake_does_not_show_them(mode: Mode) {
    let world = World::new();
    for url in ["socks5://user:p%40ss@proxy.test:1080", "http://user:p%40ss@proxy.test:0"] {
        let outcome = Jail::new(&world, mode).env("HTTPS_PROXY", url).run(["true"]);
        outcome.assert_code(125).assert_says("HTTPS_PROXY").assert_says("proxy.test");
        assert!(TRACES.iter().all(|trace| !outcome.to_string().contains(trace)), "{outcome}");
    }
}

/// The job may not speak to the proxy in the host's name, nor in its own.
fn field_of_the_job_is_not_sent(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let get = ["curl", "-sS", "-H", "Proxy-Authorization: Basic of-the-job", "http://good.test/"];
    jail(&world, mode).run(get).assert_success();
    let asked = proxy.requests();
    let fields = asked[0].headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization"));
    assert_eq!(fields.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), [IN_FIELD]);
    Jail::new(&world, mode).allow("good.test").run(get).assert_success();
    assert_eq!(site.requests()[1].header("proxy-authorization"), None);
}

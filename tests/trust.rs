//! The job accepts the certificates of an authority that the run has, and loses none of its own roots. The
//! authority is that of the miniature internet, which nothing else here trusts.

use std::fs;
use std::path::PathBuf;

use crate::clients::jvm;
use crate::enter;
use crate::jail::Jail;
use crate::outcome::Outcome;
use crate::suite::{Mode, Suite, both};
use crate::world::{World, authority};

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
        java_stores_of_the_user,
        roots_of_the_user_stay,
        chosen_directories,
        the_host_sees_nothing,
        another_user,
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

/// A job that trusts the authority.
fn trusting(jail: &Jail<'_>, command: &[&str]) -> Outcome {
    trusting_as(jail, "", command)
}

fn trusting_as(jail: &Jail<'_>, user: &str, command: &[&str]) -> Outcome {
    let words = ["trusting", authority().pem().to_str().unwrap(), HOST, user];
    jail.helper(&[&words, command].concat())
}

fn untrusting(world: &World, mode: Mode) -> Jail<'_> {
    Jail::direct(world, mode).without_certificates()
}

/// A client that prints what it gets.
fn prints(mode: Mode, command: &[&str]) {
    let world = World::new();
    world.site(HOST);
    let jail = untrusting(&world, mode);
    jail.run(command).assert_failure();
    trusting(&jail, command).assert_success().assert_stdout(GREETING);
}

/// A client that wants more than the site has, but asks for it.
fn asks(mode: Mode, command: &[&str]) {
    let world = World::new();
    let site = world.site(HOST);
    let jail = untrusting(&world, mode).env("CARGO_NET_RETRY", "0").env("npm_config_fetch_retries", "0");
    jail.run(command).assert_failure();
    assert_eq!(site.paths(), [""; 0]);
    let outcome = trusting(&jail, command);
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
    let jail = untrusting(&world, mode);
    let command = "openssl s_client -connect good.test:443 -verify_return_error -brief </dev/null";
    jail.shell(command).assert_failure();
    trusting(&jail, &["sh", "-c", command]).assert_success().assert_says("Verification: OK");
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
    let jail = untrusting(&world, mode);
    let jdks = fs::read_dir("/usr/lib/jvm").unwrap().map(|entry| entry.unwrap().path().join("bin/java"));
    let programs = [PathBuf::from("java")].into_iter().chain(jdks.filter(|program| program.exists()));
    for program in programs {
        let program = program.to_str().unwrap();
        let command = [program, "-cp", &classes, "Fetch", URL];
        jail.run(command).assert_failure().assert_says("unable to find valid certification path");
        let outcome = trusting(&jail, &command);
        outcome.assert_success().assert_stdout(GREETING);
        assert!(!outcome.stderr.contains("JAVA_TOOL_OPTIONS"), "{outcome}");
        let connection = [&command[..], &["connection"]].concat();
        trusting(&jail, &connection).assert_success().assert_stdout(GREETING);
    }
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
        let jail = untrusting(&world, mode).env("MAVEN_OPTS", format!("{named} {password}"));
        let java = format!("java $MAVEN_OPTS -cp {classes} Fetch {URL}");
        jail.shell(&java).assert_failure().assert_says("unable to find valid certification path");
        trusting(&jail, &["sh", "-c", &java]).assert_success().assert_stdout(GREETING);
        let listed = trusting(&jail, &[&keytool[..], &["-list"]].concat());
        listed.assert_success().assert_says("contains 2 entries").assert_says("theirs, ");
        // The integrity of one kind depends on the password.
        let outcome = trusting(&jail.env("MAVEN_OPTS", named), &["true"]);
        let says = outcome.stderr.contains("stays as it is: its password is not known");
        assert_eq!(says, name == "a", "{outcome}");
    }
}

fn roots_of_the_user_stay(mode: Mode) {
    let world = World::new();
    world.site(HOST);
    let other = other_root(&world);
    let theirs = fs::read_to_string(&other).unwrap();
    let jail = untrusting(&world, mode).directory(other.parent().unwrap());
    let jail = jail.env("REQUESTS_CA_BUNDLE", "other.pem").env("GIT_SSL_CAINFO", &other);
    let show = ["sh", "-c", "cat $REQUESTS_CA_BUNDLE; [ $GIT_SSL_CAINFO = $REQUESTS_CA_BUNDLE ]"];
    let ours = fs::read_to_string(authority().pem()).unwrap();
    trusting(&jail, &show).assert_success().assert_stdout(&format!("{theirs}{ours}"));
    let jail = jail.env("CURL_CA_BUNDLE", "/nowhere");
    let outcome = trusting(&jail, &["sh", "-c", "echo $CURL_CA_BUNDLE"]);
    outcome.assert_stdout("/nowhere\n").assert_says("CURL_CA_BUNDLE stays as it is: /nowhere: ");
}

fn chosen_directories(mode: Mode) {
    let world = World::new();
    world.site(HOST);
    let jail = untrusting(&world, mode).env("SSL_CERT_DIR", "/nowhere");
    let outcome = trusting(&jail, &["/usr/bin/python3", "-c", PYTHON, URL]);
    outcome.assert_success().assert_stdout(GREETING);
    trusting(&jail, &["printenv", "SSL_CERT_FILE"]).assert_code(1);
}

fn the_host_sees_nothing(mode: Mode) {
    let world = World::new();
    let jail = untrusting(&world, mode);
    let before = fs::read(BUNDLE).unwrap();
    let script =
        "echo mine >>/run/cijail-net/authority.pem; ls -ld /run/cijail-net; sha256sum <$1; sleep 1000";
    let words = ["trusting", authority().pem().to_str().unwrap(), HOST, "", "sh", "-c", script, "sh", BUNDLE];
    let helper = enter::helper();
    let running = jail.start([helper.to_str().unwrap(), "--helper"].into_iter().chain(words));
    running.wait_for("-\n");
    assert_eq!(fs::read(BUNDLE).unwrap(), before);
    assert!(!world.files().run().join("cijail-net").exists());
    jail.run(["ls", "-d", "/run/cijail-net"]).assert_failure();
    let digest = jail.run(["sh", "-c", "sha256sum <$1", "sh", BUNDLE]).stdout;
    running.signal(nix::sys::signal::Signal::SIGTERM);
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
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let home = world.files().home(Mode::Rootless);
    let jail = untrusting(&world, mode).directory(home).env("CURL_CA_BUNDLE", &secret);
    let outcome = trusting_as(&jail, "runner", &["node", "-e", NODE, URL]);
    outcome.assert_success().assert_stdout(GREETING);
    outcome.assert_says("CURL_CA_BUNDLE stays as it is").assert_says("not every user may read it");
    trusting_as(&jail, "runner", &["wget", "-q", "-O", "-", URL]).assert_success().assert_stdout(GREETING);
}

/// The inner job's own directory is another one, and both authorities are trusted.
fn jail_in_a_jail(mode: Mode) {
    if mode == Mode::Root {
        // Root mode inside root mode does not work for want of capabilities.
        return;
    }
    let world = World::new();
    let helper = enter::helper().display().to_string();
    let other = other_root(&world).display().to_string();
    let inner = [&helper, "--helper", "trusting", &other, HOST, ""];
    let count =
        ["sh", "-c", "echo $NODE_EXTRA_CA_CERTS; grep -c BEGIN $NODE_EXTRA_CA_CERTS; ls -d /run/cijail*"];
    let outcome = trusting(&untrusting(&world, mode), &[&inner[..], &count].concat());
    outcome
        .assert_success()
        .assert_stdout("/run/cijail-net-2/roots-1.pem\n2\n/run/cijail-net\n/run/cijail-net-2\n");
}

/// The certificate of another authority, in a file of the world.
fn other_root(world: &World) -> PathBuf {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
    let path = world.files().shared().join("other.pem");
    fs::write(&path, certificate.pem()).unwrap();
    path
}

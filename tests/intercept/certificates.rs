//! Whom the gateway believes, and who believes the gateway.

use crate::jail::Jail;
use crate::suite::{Mode, Suite, both, once};
use crate::world::{ServerCertificate, World, authority, other_authority};

pub(super) fn add(suite: &mut Suite) {
    both!(
        suite,
        hosts_are_verified,
        further_authorities,
        client_certificates,
        mistrust_is_told,
        authority_is_of_the_run_alone,
    );
    once!(suite, key_where_the_job_has_copies);
}

fn hosts_are_verified(mode: Mode) {
    let world = World::new();
    for (name, certificate, says) in [
        ("expired.test", ServerCertificate::Expired, "has expired"),
        ("future.test", ServerCertificate::NotYetValid, "not valid yet"),
        ("foreign.test", ServerCertificate::OtherName, "is not for foreign.test"),
        ("unknown.test", ServerCertificate::UnknownIssuer, "does not trust"),
    ] {
        let site = world.site_with_certificate(name, certificate);
        let jail = Jail::new(&world, mode).allow(&format!("https://{name}/p/"));
        for option in ["-sS", "-sSk"] {
            let outcome = jail.run(["curl", option, "-i", &format!("https://{name}/p/")]);
            outcome.assert_says(" 502").assert_says(says);
            outcome.assert_event("allow", "http", name, Some("upstream-failed"));
        }
        assert!(site.requests().is_empty(), "{name}");
    }
}

fn further_authorities(mode: Mode) {
    let world = World::new();
    let site = world.site_with_certificate("unknown.test", ServerCertificate::UnknownIssuer);
    let pem = other_authority().pem();
    let jail = Jail::new(&world, mode).allow("https://unknown.test/p/").option("--upstream-ca").option(pem);
    jail.run(["curl", "-sS", "-i", "https://unknown.test/p/"]).assert_says(" 404");
    assert_eq!(site.paths(), ["/p/"]);
    for (file, says) in
        [("/nowhere.pem", "/nowhere.pem"), ("/etc/hostname", "no certificate"), ("/", "reading")]
    {
        let jail =
            Jail::new(&world, mode).allow("https://unknown.test/p/").option("--upstream-ca").option(file);
        jail.run(["true"]).assert_code(125).assert_says(says);
    }
}

fn client_certificates(mode: Mode) {
    let world = World::new();
    let site = world.site_for_known_clients("closed.test");
    let pem = authority().client(if mode == Mode::Root { "ci-root" } else { "ci-rootless" });
    let rule = "[[rule]]\nhost = 'closed.test'\nscheme = 'https'\n";
    let jail = Jail::new(&world, mode).policy(&format!("{rule}client-cert = '{}'\n", pem.display()));
    let outcome = jail.shell(&format!("curl -sS https://closed.test/; cat {}", pem.display()));
    outcome.assert_says("hello from closed.test");
    assert!(!outcome.says("PRIVATE KEY"), "{outcome}");
    let other = Jail::new(&world, mode).policy(&format!("{rule}paths = ['/']\nmethods = ['GET']\n"));
    other.run(["curl", "-sS", "-i", "https://closed.test/"]).assert_says(" 502");
    assert_eq!(site.requests().len(), 1);
    let none = Jail::new(&world, mode).policy(&format!("{rule}client-cert = 'missing.pem'\n"));
    none.run(["true"]).assert_code(125).assert_says("missing.pem");
}

/// A copy of a directory does not bring back what is masked in it.
fn key_where_the_job_has_copies() {
    let world = World::new();
    let key = authority().client("copied");
    let policy = world.files().shared().join("copied.toml");
    let rule = "[[rule]]\nhost = 'good.test'\nscheme = 'https'\nclient-cert = '/etc/pam.d/client.pem'\n";
    std::fs::write(&policy, rule).unwrap();
    let script = format!(
        "mount -t tmpfs none /etc/pam.d && cp {} /etc/pam.d/client.pem || exit 9; \
         {} run -q --policy {} -- sh -c 'ls /etc/pam.d; cat /etc/pam.d/client.pem'",
        key.display(),
        crate::enter::binary().display(),
        policy.display()
    );
    let outcome = Jail::direct(&world, Mode::Root).run(["unshare", "-m", "sh", "-c", &script]);
    assert!(outcome.says("client.pem") && !outcome.says("PRIVATE KEY"), "{outcome}");
}

fn mistrust_is_told(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let pem = authority().pem().to_str().unwrap();
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    // A client with roots of its own.
    let outcome = jail.helper(&["bundled-roots", "good.test", pem]);
    outcome.assert_failure();
    let told = outcome.events.iter().any(|event| {
        event.kind == "tls"
            && event.detail.as_deref().is_some_and(|detail| detail.contains("--allow good.test"))
    });
    assert!(told, "{outcome}");
}

/// Another run's certificates, or those of a host that no rule names, are worth nothing.
fn authority_is_of_the_run_alone(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let script = "\
import socket, ssl
s = socket.create_connection(('good.test', 443), 3)
s = ssl.create_default_context().wrap_socket(s, server_hostname='good.test')
print(ssl.DER_cert_to_PEM_cert(s.getpeercert(True)))
";
    let jail = Jail::new(&world, mode).allow("https://good.test/p/");
    let first = jail.python(script);
    let second = jail.python(script);
    first.assert_success().assert_says("BEGIN CERTIFICATE");
    assert_ne!(first.stdout, second.stdout);
}

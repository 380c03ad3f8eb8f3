//! A JVM program with the default `HttpClient`, or with a `URLConnection`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use super::{assert_contrast, assert_learned};
use crate::enter;
use crate::jail::Jail;
use crate::suite::{Mode, Suite, both};
use crate::world::{World, authority};

pub(crate) fn add(suite: &mut Suite) {
    both!(suite, http_client, learned);
}

const PROGRAM: &str = r#"
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

class Fetch {
    public static void main(String[] words) throws Exception {
        if (words.length > 1) {
            URI.create(words[0]).toURL().openStream().transferTo(System.out);
            return;
        }
        var request = HttpRequest.newBuilder(URI.create(words[0])).build();
        System.out.print(HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body());
    }
}
"#;

fn http_client(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let directory = compiled().display().to_string();
    let trust = format!("-Djavax.net.ssl.trustStore={directory}/trust.p12");
    let password = "-Djavax.net.ssl.trustStorePassword=changeit";
    let jail = Jail::new(&world, mode).allow("good.test");
    let fetch = |url: &str| jail.run(["java", &trust, password, "-cp", &directory, "Fetch", url]);
    let allowed = fetch("https://good.test/");
    allowed.assert_success().assert_stdout("hello from good.test\n");
    fetch("http://good.test/").assert_success().assert_stdout("hello from good.test\n");
    assert_contrast(
        &world,
        &allowed,
        &fetch("https://evil.test/"),
        &["ConnectException", "UnresolvedAddress"],
    );
}

/// Its plain requests are seen by themselves.
fn learned(mode: Mode) {
    let world = World::new();
    world.site("good.test");
    let directory = compiled().display().to_string();
    let options = format!(
        "-Djavax.net.ssl.trustStore={directory}/trust.p12 -Djavax.net.ssl.trustStorePassword=changeit -cp {directory}"
    );
    let script = format!(
        "java {options} Fetch https://good.test/ && java {options} Fetch http://good.test/bytes/5 && \
         java {options} Fetch http://good.test/bytes/6"
    );
    let build = |jail: &Jail<'_>| jail.shell(&script);
    let rules = ["GET http://good.test/bytes/", "https://good.test/"];
    assert_learned(&world, &Jail::new(&world, mode), || {}, build, &rules);
}

/// The directory of the class and of a trust store with the one authority, made once.
pub(crate) fn compiled() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = enter::scratch().join("jvm");
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("Fetch.java"), PROGRAM).unwrap();
        let mut compile = Command::new("javac");
        compile.args(["-d", "."]).arg("Fetch.java");
        let mut trust = Command::new("keytool");
        trust.args(["-importcert", "-noprompt", "-alias", "ours", "-keystore", "trust.p12"]);
        trust.args(["-storetype", "PKCS12", "-storepass", "changeit", "-file"]).arg(authority().pem());
        for command in [&mut compile, &mut trust] {
            let output = command.current_dir(&directory).output().unwrap();
            assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        directory
    })
}

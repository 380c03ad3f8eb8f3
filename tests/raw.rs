//! A client that sends bytes as they are, however wrong.

use crate::jail::Jail;
use crate::outcome::Outcome;

/// What carries the bytes to good.test.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inside {
    /// Port 80.
    Tcp,
    /// Port 443.
    Tls,
}

const SCRIPT: &str = "\
import socket, ssl, sys
inside, data = sys.argv[1:]
s = socket.create_connection(('good.test', 443 if inside == 'tls' else 80), 3)
if inside == 'tls':
    s = ssl.create_default_context().wrap_socket(s, server_hostname='good.test')
s.sendall(data.encode('latin-1').decode('unicode_escape').encode('latin-1'))
s.settimeout(1 if inside == 'tls' else 2)
try:
    while True:
        part = s.recv(65536)
        if not part: break
        sys.stdout.write(part.decode('latin-1'))
except OSError as error:
    print(error, file=sys.stderr)
";

/// Sends bytes and prints whatever comes back until the end, or until nothing does.
pub(crate) fn talk(jail: &Jail<'_>, inside: Inside, bytes: &str) -> Outcome {
    let inside = if inside == Inside::Tls { "tls" } else { "tcp" };
    jail.run(["/usr/bin/python3", "-c", SCRIPT, inside, &bytes.escape_default().to_string()])
}

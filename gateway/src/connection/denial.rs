//! What the job's own client gets to read when something is denied: deliberate, why, and the
//! remedy. Pure.

use policy::Reason;

use super::report::Report;
use crate::audit::{Kind, printable, shell_quoted};
use crate::sniff::http_head::Version;

/// A fatal TLS alert `access_denied` (RFC 8446 section 6.2) in a record that every client accepts
/// before the handshake.
const TLS_ACCESS_DENIED: [u8; 7] = [21, 3, 3, 0, 2, 2, 49];

/// The last bytes on a denied connection; empty if the protocol has no word for it.
pub(super) fn last_words(kind: Kind, received: &[u8], report: &Report) -> Vec<u8> {
    match kind {
        Kind::Tls => TLS_ACCESS_DENIED.to_vec(),
        Kind::Http => http_response("this connection", report, Version::Http11),
        // Almost TLS is answered as TLS, almost HTTP as HTTP.
        _ if received.first() == Some(&22) => TLS_ACCESS_DENIED.to_vec(),
        _ if received.first().is_some_and(u8::is_ascii_alphabetic)
            && report.why().0 == Some(Reason::Malformed) =>
        {
            http_response("this connection", report, Version::Http11)
        }
        _ => Vec::new(),
    }
}

/// The text of a denial, for the body of a response.
pub(super) fn text(what: &str, report: &Report) -> String {
    let (reason, rule, suggestion) = report.why();
    let what = printable(what);
    let reason = reason.map_or("not-allowed", Reason::as_str);
    let mut text = format!("cijail-net denied {what} on purpose.\nreason: {reason}\n");
    if let Some(exceeded) = report.exceeded() {
        text.push_str(&format!("{}\n", printable(exceeded)));
    }
    match (rule, suggestion) {
        (Some(rule), _) => text.push_str(&format!("denied by the rule: {}\n", printable(rule))),
        (None, Some(suggestion)) => {
            text.push_str(&format!("to allow it: --allow {}\n", shell_quoted(&printable(suggestion))))
        }
        (None, None) => {}
    }
    text
}

/// A whole 403 response that ends the connection, or 400 for what is malformed.
pub(super) fn http_response(what: &str, report: &Report, version: Version) -> Vec<u8> {
    let body = text(what, report);
    let status = match report.why().0 {
        Some(Reason::Malformed) => "400 Bad Request",
        _ => "403 Forbidden",
    };
    let version = match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    };
    format!(
        "{version} {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\nCache-Control: no-store\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

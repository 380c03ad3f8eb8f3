//! JUnit's XML, which CI servers show as test results: a case a destination. Pure.

use super::Summary;

pub(super) fn report(summary: &Summary) -> String {
    let rows = summary.rows();
    let failures = rows.iter().filter(|(_, traffic)| traffic.denied > 0).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites>\n<testsuite name=\"cijail-net\" tests=\"{}\" failures=\"{failures}\">\n",
        rows.len()
    );
    for (to, traffic) in rows {
        let (name, kind) = (escaped(&to.shown()), to.kind);
        let why = escaped(&traffic.why());
        text.push_str(&match (traffic.denied, traffic.would_deny) {
            (0, 0) => format!("<testcase classname=\"{kind}\" name=\"{name}\"/>\n"),
            (0, _) => format!(
                "<testcase classname=\"{kind}\" name=\"{name}\"><system-out>would be blocked: {why}</system-out></testcase>\n"
            ),
            _ => format!(
                "<testcase classname=\"{kind}\" name=\"{name}\"><failure message=\"blocked: {why}\"/></testcase>\n"
            ),
        });
    }
    text + "</testsuite>\n</testsuites>\n"
}

/// Shown texts are printable ASCII already.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

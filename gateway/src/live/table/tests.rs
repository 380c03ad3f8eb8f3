use super::*;

fn snapshot(bytes: u64, age_ms: u64) -> Snapshot {
    let text = format!(
        r#"{{"session":"0123456789abcdef","pid":812,"mode":"enforce","command":["npm","ci","a b"],
        "started":"2026-01-01T00:00:00Z","age_ms":{age_ms},"open":1,"begun":3,"bytes_up":10,"bytes_down":{bytes},
        "denied":2,"connections":[{{"id":4,"kind":"tls","host":"a.test","port":443,"pid":9,"exe":"/usr/bin/node",
        "bytes_up":10,"bytes_down":{bytes},"age_ms":1500}}],"connections_left_out":7,
        "destinations":[{{"host":"a.test","port":443,"kind":"tls","open":1,"allowed":2,"denied":0,"would_deny":0,
        "bytes_up":10,"bytes_down":{bytes}}}],"destinations_left_out":0,
        "denials":[{{"at":"2026-01-01T00:00:01Z","verdict":"deny","kind":"dns","host":"evil.test",
        "reason":"not-allowed","suggestion":"*.evil.test","count":2}}]}}"#
    );
    serde_json::from_str(&text).unwrap()
}

#[test]
fn shows_everything_once() {
    let shown = table(&snapshot(2000, 3000), None, 120).join("\n");
    assert_eq!(
        shown,
        "\
cijail-net 812: enforcing for 3.0s, session 0123456789abcdef
  npm ci 'a b'
  1 open of 3, 10 B up, 2.0 kB down, 2 denied

in flight
  program  destination  kind  up/down      age
  node[9]  a.test:443   tls   10 B/2.0 kB  1.5s
  and 7 more

denied last
  program  destination  kind  count  ago   why
  ?        evil.test    dns   2      2.0s  not-allowed; to allow: --allow '*.evil.test'

destinations
  destination  kind  open  allowed+denied  up/down
  a.test:443   tls   1     2+0             10 B/2.0 kB"
    );
}

#[test]
fn tells_octets_a_second() {
    let shown = table(&snapshot(6000, 5000), Some(&snapshot(2000, 3000)), 120).join("\n");
    assert!(shown.contains("; a second 0 B up, 2.0 kB down"), "{shown}");
    assert!(shown.contains("10 B/6.0 kB  0 B/2.0 kB  1.5s"), "{shown}");
}

#[test]
fn no_line_is_too_wide_or_obeyed_by_a_terminal() {
    let mut hostile = snapshot(u64::MAX, u64::MAX);
    let text = "\x1b]2;x\x07\r\n\u{202e}##[error]\u{e9}".repeat(100);
    for place in [&mut hostile.session, &mut hostile.mode, &mut hostile.started, &mut hostile.command[0]] {
        *place = text.clone();
    }
    let connection = &mut hostile.connections[0];
    for place in [&mut connection.host, &mut connection.kind] {
        *place = text.clone();
    }
    connection.exe = Some(text.clone());
    let denial = &mut hostile.denials[0];
    for place in [&mut denial.host, &mut denial.kind, &mut denial.at] {
        *place = text.clone();
    }
    (denial.reason, denial.suggestion) = (Some(text.clone()), Some(text.clone()));
    hostile.destinations[0].host = text.clone();
    (hostile.destinations[0].denied, hostile.destinations[0].would_deny) = (u64::MAX, u64::MAX);
    hostile.destinations[0].kind = text;
    for columns in [0, 41, 80, 1000] {
        for line in table(&hostile, Some(&snapshot(0, 0)), columns)
            .into_iter()
            .chain(list(&[hostile.clone()], columns))
        {
            assert!(line.len() <= columns.max(NARROWEST), "{line}");
            assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')) && !line.contains("##"), "{line}");
        }
    }
}

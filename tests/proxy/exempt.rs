//! `NO_PROXY`: whom the gateway reaches by itself.

use std::net::IpAddr;

use super::{behind, proxied_site};
use crate::suite::{Mode, Suite, both};
use crate::world::World;

pub(super) fn add(suite: &mut Suite) {
    both!(suite, names_and_suffixes, networks, everything, lower_case_wins);
}

fn names_and_suffixes(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let hosts = ["plain.test", "a.plain.test", "a.dot.test", "a.star.test", "notplain.test", "dot.test.test"];
    let sites: Vec<_> = hosts.iter().map(|name| proxied_site(&world, &proxy, name)).collect();
    let mut jail = behind(&world, mode).env("NO_PROXY", "localhost, Plain.test,.dot.test *.star.test");
    let mut script = String::new();
    for name in hosts {
        jail = jail.allow(name);
        script += &format!("curl -sS http://{name}/ https://{name}/ || exit 1\n");
    }
    jail.shell(&script).assert_success();
    let mut asked = proxy.asked();
    asked.sort();
    assert_eq!(
        asked,
        [
            "CONNECT dot.test.test:443",
            "CONNECT notplain.test:443",
            "GET http://dot.test.test/",
            "GET http://notplain.test/",
        ]
    );
    assert!(sites.iter().all(|site| site.requests().len() == 2));
}

fn networks(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let (heard, v4) = world.tcp_echo("echo.test", 7007, b"");
    let v6 = world.zone().v6_of("echo.test");
    let talk = |address: IpAddr| {
        format!(
            "import socket\ns = socket.create_connection(('{address}', 7007), 3)\ns.sendall(b'hi')\n\
             print(s.recv(9))\n"
        )
    };
    let rules = [format!("{v4}:7007"), format!("[{v6}]:7007")];
    let allowed = || rules.iter().fold(behind(&world, mode), |jail, rule| jail.allow(rule));
    let exempt = ["203.0.113.0/24,2001:db8::/32".to_owned(), format!("{v4} {v6}")];
    for networks in exempt {
        let jail = allowed().env("NO_PROXY", networks);
        for address in [v4.into(), v6.into()] {
            jail.python(&talk(address)).assert_success().assert_stdout("b'hi'\n");
        }
    }
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
    assert!(heard.connections() > 0);
    proxy.knows(&v4.to_string(), v4);
    let jail = allowed().env("NO_PROXY", "203.0.113.0/28,198.51.100.0/24,2001:db8:1::/48");
    jail.python(&talk(v4.into())).assert_success().assert_stdout("b'hi'\n");
    assert_eq!(proxy.asked(), [format!("CONNECT {v4}:7007")]);
}

fn everything(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let jail = behind(&world, mode).allow("good.test").env("NO_PROXY", "*");
    jail.shell("curl -sS http://good.test/ https://good.test/").assert_success();
    assert_eq!(site.requests().len(), 2);
    assert!(proxy.asked().is_empty(), "{:?}", proxy.asked());
}

fn lower_case_wins(mode: Mode) {
    let world = World::new();
    let proxy = world.proxy();
    let site = proxied_site(&world, &proxy, "good.test");
    let jail = behind(&world, mode).allow("good.test").env("NO_PROXY", "*").env("no_proxy", "other.test");
    jail.run(["curl", "-sS", "http://good.test/"]).assert_success();
    assert_eq!((proxy.asked().len(), site.requests().len()), (1, 1));
}

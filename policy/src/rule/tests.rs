//! The grammar: what rules become, and what is said of texts that are none.

use super::*;

fn parse(text: &str, effect: Effect) -> Result<Rule, RuleError> {
    Rule::parse(text, effect, Origin::option("--test"))
}

#[test]
fn canonical_texts() {
    for (text, canonical) in [
        ("Example.COM.", "example.com"),
        ("bücher.example:443", "xn--bcher-kva.example:443"),
        ("*.com", "*.com"),
        ("**.a.test:1-65535", "**.a.test:*"),
        ("a.test:0022", "a.test:22"),
        ("a.test:80-80/tcp", "a.test:80"),
        ("a.test:123/udp", "a.test:123/udp"),
        ("HTTPS://A.test", "https://a.test/"),
        ("https://a.test:443/p", "https://a.test/p"),
        ("http://a.test:443/p", "http://a.test:443/p"),
        ("GET,HEAD,GET \t https://*.a.test/p/", "GET,HEAD https://*.a.test/p/"),
        ("dns:**.a.test", "dns:**.a.test"),
        ("192.0.2.7/32:53", "192.0.2.7:53"),
        ("10.1.0.0/16:*", "10.1.0.0/16:*"),
        ("[2001:DB8::/32]:443/udp", "[2001:db8::/32]:443/udp"),
        ("[2001:db8:0::1]:443", "[2001:db8::1]:443"),
        ("[::ffff:10.0.0.0/104]:80", "10.0.0.0/8:80"),
        ("localhost:5432", "localhost:5432"),
        ("LOCALHOST.:*", "localhost:*"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("DNS:*", "dns.:*"),
        ("unix.:80/tcp", "unix.:80"),
    ] {
        let rule = parse(text, Effect::Allow).unwrap();
        assert_eq!(rule.text(), canonical, "{text}");
        assert_eq!(parse(canonical, Effect::Allow).unwrap().subject(), rule.subject(), "{text}");
    }
}

#[test]
fn deny_rules_need_no_port() {
    for text in ["192.0.2.7", "10.0.0.0/8", "[2001:db8::/32]", "127.0.0.0/8", "a.test"] {
        assert_eq!(parse(text, Effect::Deny).unwrap().text(), text);
    }
    let error = parse("2001:db8::/32", Effect::Deny).unwrap_err();
    assert_eq!(error.to_string(), "an IPv6 address goes in brackets: write [2001:db8::/32]");
}

/// Each with the offset that an error points to.
#[test]
fn errors_say_what_to_write() {
    for (text, offset, message) in [
        ("", 0, "an empty rule: write a host, an address or a URL, such as example.com"),
        ("*", 0, "`*` alone would allow every name: to see what a job asks for, use monitor mode"),
        (
            "a*.b:80",
            0,
            "`*` stands only for whole labels at the front: write *.example.com (one label) or **.example.com (one or more)",
        ),
        ("a.test:70000", 7, "port 70000 is not between 1 and 65535"),
        ("a.test:1-0", 9, "port 0 is not between 1 and 65535"),
        ("a.test:90-80", 7, "the port range 90-80 is empty: write 80-90"),
        ("a.test:", 7, "`` is not a port: write a number, a range such as 8000-8100, or `*` for all"),
        (
            "a.test:22/sctp",
            9,
            "`/sctp` cannot follow a port: write /udp for UDP, or a URL such as https://example.com/path/",
        ),
        ("a.test/udp", 6, "a protocol needs a port: write a.test:PORT/udp"),
        ("a.test/p", 6, "a path needs a scheme: write https://a.test/p"),
        ("192.0.2.7", 0, "an address needs a port: write 192.0.2.7:443, or 192.0.2.7:* for every TCP port"),
        ("10.1.2.3/8:80", 0, "the range has bits set beyond its prefix: write 10.0.0.0/8:80"),
        (
            "10.0.0.0/33:80",
            0,
            "`10.0.0.0/33` is not an address or range: write 192.0.2.7, 192.0.2.0/24, [2001:db8::1] or [2001:db8::/32]",
        ),
        ("2001:db8::1", 0, "an IPv6 address goes in brackets: write [2001:db8::1]:443"),
        ("[2001:db8::1", 0, "`[` has no `]`: write [2001:db8::1]:443"),
        ("[2001:db8::1/32]:9", 0, "the range has bits set beyond its prefix: write [2001:db8::/32]:9"),
        ("127.0.0.1:5432", 0, "the host's loopback is opened by port: write localhost:5432"),
        ("[::ffff:127.0.0.1]:80", 0, "the host's loopback is opened by port: write localhost:80"),
        ("[::1]:5432", 0, "the host's loopback is opened by port: write localhost:5432"),
        (
            "localhost",
            0,
            "the host's loopback is opened by port: write localhost:5432, or localhost:* for every port",
        ),
        ("localhost:5/udp", 10, "localhost rules are for TCP only: write localhost:5"),
        ("http://localhost:8080/x", 7, "the host's loopback is opened by port: write localhost:8080"),
        ("http://127.0.0.1/x", 7, "the host's loopback is opened by port: write localhost:80"),
        ("https://192.0.2.1/x", 8, "a URL rule needs a host name: write 192.0.2.1:443"),
        ("https://u:p@h.test/x", 8, "a URL rule has no user or password: write https://h.test/x"),
        (
            "https://h.test/x?q",
            16,
            "a URL rule ends with the path, queries are not compared: write https://h.test/x",
        ),
        (
            "https://h.test#f",
            14,
            "a URL rule ends with the path, fragments are never sent: write https://h.test/",
        ),
        ("https://h.test:*/x", 15, "a URL rule has one port: write https://h.test:443/x"),
        ("GET https://h.test/a/../b", 18, "the path is not in normal form: write GET https://h.test/b"),
        ("https://h.test/a/*", 14, "a path is a prefix and takes no `*`: write https://h.test/a/"),
        (
            "https://h.test/a%2Fb",
            14,
            "an encoded slash, backslash, dot or control character, or a stray `%`, is read differently by different servers: write the path up to it",
        ),
        (
            "get https://h.test",
            0,
            "`get` is not a method: write upper-case names joined by commas, such as GET,HEAD",
        ),
        ("GET h.test", 4, "methods need a URL: write GET https://h.test/"),
        ("a.test b.test", 0, "a rule has no white space but between methods and a URL"),
        (
            "ftp://h.test",
            0,
            "`ftp://` is not a scheme of URL rules: write https:// or http://, or a host with a port",
        ),
        (
            "unix:run/x",
            5,
            "a socket is named by an absolute path without `.`, `..`, `//` or a slash at the end: write unix:/run/x.sock",
        ),
        (
            "@set",
            0,
            "a set stands in the allow and deny lists of the policy file that has it, and behind --allow-set",
        ),
        ("a..b", 0, "empty label in name"),
        ("0x7f.1:80", 0, "a name that ends in a number is read as an address"),
        ("_a.test", 0, "name has a character other than letters, digits and inner hyphens"),
    ] {
        let error = parse(text, Effect::Allow).unwrap_err();
        assert_eq!((error.offset, error.to_string().as_str()), (offset, message), "{text}");
    }
}

#[test]
fn advice_is_accepted() {
    for text in
        ["10.1.2.3/8:80", "2001:db8::1", "192.0.2.7", "a.test/p", "127.0.0.1:5432", "https://u@h.test/x?q"]
    {
        let mut text = text.to_owned();
        // One piece of advice at a time.
        for _ in 0..3 {
            let Err(error) = parse(&text, Effect::Allow) else { break };
            let message = error.to_string();
            let advice = message.split("write ").nth(1).unwrap();
            text = advice.split(", or").next().unwrap().to_owned();
        }
        assert!(parse(&text, Effect::Allow).is_ok(), "{text}");
    }
}

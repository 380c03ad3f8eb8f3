//! Time of one verdict with 10, 10^3 and 10^5 rules: `cargo bench -p policy`.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its table, and stops where it cannot"
)]

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use policy::{Name, Policy, PolicyBuilder, Request, Scheme, Verdict};

const ROUNDS: u32 = 200_000;

fn main() {
    let sizes = [10, 1000, 100_000];
    let built: Vec<(Duration, Policy)> = sizes.iter().map(|&size| timed(|| policy(size))).collect();
    print!("{:<28}", "ns a verdict, by rules");
    sizes.iter().for_each(|size| print!("{size:>10}"));
    println!();

    let name = |text: &str| Name::parse(text).unwrap();
    let (known, below, deep) = (name("h3.test"), name("x.w4.test"), name("a.b.c.d.d5.test"));
    let (denied, foreign) = (name("a.bad.d5.test"), name("www.some.other.example"));
    let worst = name(&"a.".repeat(126));
    let tcp = |text: &str| Request::TcpAddress { destination: text.parse::<SocketAddr>().unwrap() };
    let http = |path| Request::Http { scheme: Scheme::Https, host: &known, port: 443, method: "GET", path };
    let rows = [
        ("allow: exact name", true, Request::Tls { name: &known, port: 443 }),
        ("allow: one label", true, Request::Tls { name: &below, port: 443 }),
        ("allow: any depth", true, Request::Resolve { name: &deep }),
        ("allow: request", true, http("/some/longer/path/to/a/package-1.2.3.tgz")),
        ("allow: address", true, tcp("10.0.2.9:443")),
        (
            "allow: private answer",
            true,
            Request::Resolved { name: &known, address: "10.0.2.9".parse().unwrap() },
        ),
        ("deny: deny rule", false, Request::Tls { name: &denied, port: 443 }),
        ("deny: unknown name", false, Request::Resolve { name: &foreign }),
        ("deny: 126 labels", false, Request::Resolve { name: &worst }),
        ("deny: port", false, Request::Tcp { name: &known, port: 22 }),
        ("deny: address", false, tcp("192.0.2.1:443")),
        ("deny: IPv6 address", false, tcp("[2001:db8::1]:443")),
    ];
    for (what, wanted, request) in rows {
        print!("{what:<28}");
        for (_, policy) in &built {
            assert_eq!(matches!(policy.judge(&request), Verdict::Allow(_)), wanted, "{what}");
            let (time, ()) = timed(|| {
                for _ in 0..ROUNDS {
                    black_box(policy.judge(black_box(&request)));
                }
            });
            print!("{:>10}", time.as_nanos() / u128::from(ROUNDS));
        }
        println!();
    }
    print!("{:<28}", "ms to read and index");
    built.iter().for_each(|(time, _)| print!("{:>10}", time.as_millis()));
    println!();
}

/// A mix: half exact names, the rest wildcards, address ranges of several lengths and deny rules.
fn policy(rules: u32) -> Policy {
    let mut text = String::from("allow = [\n");
    for number in 0..rules {
        let rule = match number % 10 {
            4 => format!("*.w{number}.test"),
            5 => format!("**.d{number}.test"),
            6 => format!("198.18.{}.{}:443", number / 256 % 256, number % 256),
            7 => format!(
                "10.{}.{}.0/24:443",
                number / 10 / 256 % 256,
                if number == 7 { 2 } else { number / 10 % 256 }
            ),
            8 => format!("[fd00:{:x}:{:x}::/{}]:443", number >> 16, number & 0xffff, 48),
            _ => format!("h{number}.test"),
        };
        text.push_str(&format!("'{rule}',\n"));
    }
    text.push_str("]\ndeny = [\n");
    for number in (5..rules).step_by(10) {
        text.push_str(&format!("'**.bad.d{number}.test',\n"));
    }
    text.push_str("]\n");
    let mut builder = PolicyBuilder::new();
    builder.add_file("bench.toml", text.as_bytes());
    builder.build().unwrap()
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let done = work();
    (start.elapsed(), done)
}

//! Denied questions per second on one core, from the datagram to the response and its record.

use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use dns::{Dns, HostFiles, Transport};
use policy::{Opinion, PolicyBuilder};

#[expect(clippy::print_stdout, reason = "a bench reports on stdout")]
fn main() {
    let mut builder = PolicyBuilder::new();
    for number in 0..1000 {
        builder.add_allow(&format!("host{number}.example"));
    }
    let policy = builder.build().expect("the rules are right");
    let own = SocketAddr::from(([10, 0, 0, 1], 53));
    let began = Instant::now();
    let dns = Dns::new(policy.into(), vec![own.ip()], HostFiles::default());
    println!("made in {:?}", began.elapsed());
    for (what, opt) in [("plain", false), ("with EDNS", true)] {
        let query = query("s3cret-s3cret-s3cret.evil.example", opt);
        let (began, mut answered) = (Instant::now(), 0_u32);
        while began.elapsed() < Duration::from_secs(2) {
            for _ in 0..1000 {
                let _ = black_box(dns.answer_now(black_box(&query), own, Transport::Udp, Opinion::default()));
            }
            answered += 1000;
        }
        println!("denied, {what}: {:.0} answers/s", f64::from(answered) / began.elapsed().as_secs_f64());
    }
}

fn query(name: &str, opt: bool) -> Vec<u8> {
    let mut bytes = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(opt)];
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.extend([0, 0, 1, 0, 1]);
    if opt {
        bytes.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

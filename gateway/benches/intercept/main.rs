//! The cost of opening TLS, beside the direct figure, `mitmproxy` and `squid` with ssl-bump.
//!
//! As in the bench `peers`, everything happens in network namespaces of its own and variants take
//! turns. Each verifies the server's certificate. Run it as root:
//! `cargo bench -p gateway --bench intercept`.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

mod load;
#[path = "../peers/names.rs"]
mod names;
mod server;
#[path = "../peers/tls.rs"]
#[expect(dead_code, reason = "the other bench has other requests")]
mod tls;
mod variants;
#[path = "../peers/world.rs"]
mod world;

use std::error::Error;
use std::process::ExitCode;

use load::Load;
use variants::Variant;
use world::World;

const ROUNDS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("serve") => server::main(),
        Some("load") => load::main(arguments.get(1).and_then(|port| port.parse().ok())),
        _ => compare(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("intercept: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<()> {
    let scratch = server::Scratch::make()?;
    let _world = World::build()?;
    let mut table = Vec::new();
    for variant in Variant::ALL {
        match variant.missing() {
            None => table.push((variant, variant.start(scratch.path())?, Vec::new())),
            Some(why) => println!("skipped: {}: {why}", variant.name()),
        }
    }
    for _ in 0..ROUNDS {
        for (variant, _, loads) in &mut table {
            loads.push(variant.load(scratch.path())?);
        }
    }
    report(&table.into_iter().map(|(variant, _, loads)| (variant, loads)).collect::<Vec<_>>());
    Ok(())
}

type Figure = fn(&Load) -> f64;

/// What a row shows, with how many digits.
const ROWS: [(&str, usize, Figure); 4] = [
    ("new connections/s", 0, |load| load.connections),
    ("new connection, p50 ms", 2, |load| load.first),
    ("next request, p50 ms", 3, |load| load.next),
    ("download, Gbit/s", 2, |load| load.bulk),
];

fn report(table: &[(Variant, Vec<Load>)]) {
    print!("{:<24}", "median");
    for (variant, _) in table {
        print!("{:>14}", variant.name());
    }
    println!();
    let of = |variant: Variant, figure: Figure| {
        let (_, loads) = table.iter().find(|(other, _)| *other == variant)?;
        Some(median(loads.iter().map(figure).collect()))
    };
    for (what, digits, figure) in ROWS {
        print!("{what:<24}");
        for (variant, _) in table {
            print!("{:>14.*}", digits, of(*variant, figure).unwrap_or(f64::NAN));
        }
        println!();
    }
    let peers = |figure: Figure| [Variant::Mitmproxy, Variant::Squid].map(|peer| of(peer, figure));
    let (Some(ours), Some(direct)) = (of(Variant::Jail, ROWS[0].2), of(Variant::Direct, ROWS[1].2)) else {
        return;
    };
    let best = |figure: Figure| peers(figure).into_iter().flatten().fold(f64::NAN, f64::max);
    let least = |figure: Figure| peers(figure).into_iter().flatten().fold(f64::NAN, f64::min);
    bound("connections/s, over the better peer", ours / best(ROWS[0].2), 3.0, f64::ge);
    let added = of(Variant::Jail, ROWS[1].2).unwrap_or(f64::NAN) - direct;
    bound("added latency, over the better peer", added / (least(ROWS[1].2) - direct), 1.0 / 3.0, f64::le);
    let bulk = of(Variant::Jail, ROWS[3].2).unwrap_or(f64::NAN);
    bound("download, over the better peer", bulk / best(ROWS[3].2), 1.5, f64::ge);
}

fn bound(what: &str, value: f64, bound: f64, holds: fn(&f64, &f64) -> bool) {
    let word = if holds(&value, &bound) { "holds " } else { "BROKEN" };
    println!("{word} {what}: {value:.2} (bound {bound:.2})");
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

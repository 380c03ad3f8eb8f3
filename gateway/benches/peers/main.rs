//! The cost of `cijail-net run`, beside the direct figure, a relay that only copies, `pasta` and `slirp4netns`.
//!
//! Everything happens in network namespaces of its own: one stands for the machine, the other for
//! the internet. The program starts itself again as the server and as the client, so that the load
//! is the same whatever carries it. Variants take turns within each round: ratios hold on a busy
//! machine where single figures do not. Run it as root: `cargo bench -p gateway --bench peers`.
#![expect(clippy::print_stdout, reason = "a bench reports on stdout")]

mod attribution;
mod client;
mod figures;
mod installed;
mod names;
mod relay;
mod server;
mod tls;
mod variants;
mod world;

use std::error::Error;
use std::process::ExitCode;

use figures::Samples;
use installed::Installed;
use variants::Variant;
use world::World;

/// Rounds of start-ups; each variant once a round.
const START_UPS: usize = 40;
/// Rounds of traffic; each variant once a round.
const ROUNDS: usize = 5;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.first().map(String::as_str) {
        Some("serve") => server::main(),
        Some("load") => client::main(&arguments[1..]),
        Some("attribution") => attribution::compare(),
        Some("exchanges") => attribution::load(),
        Some("wait") => variants::wait_and_exec(&arguments[1..]),
        _ => compare(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("peers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<()> {
    let _installed = Installed::copy()?;
    let _world = World::build()?;
    relay::start()?;
    let mut table = Vec::new();
    for variant in Variant::ALL {
        match variant.missing() {
            None => table.push((variant, Samples::default())),
            Some(why) => println!("skipped: {}: {why}", variant.name()),
        }
    }
    for _ in 0..START_UPS {
        for (variant, samples) in table.iter_mut().filter(|(variant, _)| variant.has_start_up()) {
            samples.start_up.push(variant.start_up()?.as_secs_f64() * 1e3);
        }
    }
    for _ in 0..ROUNDS {
        for (variant, samples) in table.iter_mut().filter(|(variant, _)| variant.carries_traffic()) {
            samples.add(variant.load()?);
        }
    }
    figures::report(&table)
}

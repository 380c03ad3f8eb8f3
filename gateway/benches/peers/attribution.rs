//! What it costs to tell which program a connection is of: `cargo bench -p gateway --bench peers -- attribution`.
//!
//! A run that tells nobody anything (`--quiet`) asks for no program; one with a report does, and adds its
//! events up. So the difference is an upper bound. Both take turns; what counts is the processor time of
//! the jail and its job, as it is steadier than the clock on a machine that does something else as well.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::Result;
use crate::client::Server;
use crate::figures::median;
use crate::installed::{Installed, program};
use crate::server::SMALL;
use crate::world::{SERVER, World};

/// Pairs of runs.
const PAIRS: usize = 40;
/// Connections of a run, and how many of them begin in a second.
const CONNECTIONS: u32 = 3000;
const RATE: u32 = 2000;
/// Threads of the job that connect.
const CLIENTS: u32 = 4;
/// The most that it may cost.
const BOUND: f64 = 0.03;

/// Processor time, in microseconds a connection.
struct Cost {
    silent: f64,
    told: f64,
}

/// The job: so many connections, at this rate.
pub(crate) fn load() -> Result<()> {
    let start = Instant::now();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                scope.spawn(move || {
                    (client..CONNECTIONS).step_by(CLIENTS as usize).try_for_each(|number| {
                        let due = start + Duration::from_secs(1) * number / RATE;
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        Server(SERVER).exchange()
                    })
                })
            })
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| client.join().map_err(|_| "a client panicked")?.map_err(Into::into))
    })
}

pub(crate) fn compare() -> Result<()> {
    let _installed = Installed::copy()?;
    let _world = World::build()?;
    let mut costs = Vec::with_capacity(PAIRS);
    for pair in 0..PAIRS {
        // Whoever is first is not always the same.
        let first_told = pair % 2 == 1;
        let (first, second) = (run(first_told)?, run(!first_told)?);
        let (silent, told) = if first_told { (second, first) } else { (first, second) };
        costs.push(Cost { silent, told });
    }
    let of = |value: fn(&Cost) -> f64| costs.iter().map(value).collect::<Vec<f64>>();
    let shares = of(|cost| (cost.told - cost.silent) / cost.silent);
    let (low, high) = confidence(&shares);
    println!(
        "processor time a connection, at {RATE} a second: {:.1} µs untold, {:.1} µs told",
        median(&of(|cost| cost.silent)),
        median(&of(|cost| cost.told))
    );
    println!(
        "{} told, over untold: {:+.1} % (95 %: {:+.1} to {:+.1}; bound {:.0})",
        if median(&shares) <= BOUND { "holds " } else { "BROKEN" },
        median(&shares) * 100.0,
        low * 100.0,
        high * 100.0,
        BOUND * 100.0
    );
    Ok(())
}

/// Microseconds a connection of the processor's time, the jail's and the job's.
fn run(told: bool) -> Result<f64> {
    let before = used()?;
    let mut command = Command::new(program());
    command.args(["run", "--quiet", "--allow", &format!("{SERVER}:{SMALL}")]);
    if told {
        command.args(["--report", "json=/dev/null"]);
    }
    command.arg("--").arg(std::env::current_exe()?).arg("exchanges").stdin(Stdio::null());
    let status = command.status()?;
    if !status.success() {
        return Err(format!("the jail ended with {status}").into());
    }
    Ok((used()? - before) / f64::from(CONNECTIONS))
}

/// Microseconds of all children that have ended, and of theirs. The server has not.
fn used() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    Ok((usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64)
}

/// Between which the median is with 95 %, by the order of the values (normal approximation of the
/// binomial distribution).
fn confidence(values: &[f64]) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (half, spread) = (sorted.len() as f64 / 2.0, 0.98 * (sorted.len() as f64).sqrt());
    let at = |place: f64| sorted.get(place as usize).copied().unwrap_or(f64::NAN);
    (at((half - spread).max(0.0)), at((half + spread).min(sorted.len() as f64 - 1.0)))
}

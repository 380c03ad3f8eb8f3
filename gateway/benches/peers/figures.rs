//! Samples, medians, the table and the bounds.

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::variants::Variant;

/// What `run -- true` may add to `true`, in milliseconds.
const START_UP_BOUND: f64 = 5.0;
/// The least share of a plain veth's throughput.
const BULK_BOUND: f64 = 0.85;
/// The most that a TLS request may take, over the direct one.
const TLS_BOUND: f64 = 1.15;

/// What one run of the client measured; absent is what did not come through.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Gbit/s.
    pub(crate) up: Option<f64>,
    /// Gbit/s.
    pub(crate) down: Option<f64>,
    /// A second.
    pub(crate) connections: Option<f64>,
    /// Milliseconds, as all that follow.
    pub(crate) tls: Option<f64>,
    pub(crate) curl: Option<f64>,
    pub(crate) denied_tls: Option<f64>,
    pub(crate) denied_address: Option<f64>,
    pub(crate) denied_name: Option<f64>,
    /// MiB.
    pub(crate) memory: Option<f64>,
}

/// Everything that was measured of one variant.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Milliseconds.
    pub(crate) start_up: Vec<f64>,
    loads: Vec<Load>,
}

impl Samples {
    pub(crate) fn add(&mut self, load: Load) {
        self.loads.push(load);
    }

    fn load(&self, of: impl Fn(&Load) -> Option<f64>) -> Option<f64> {
        let values: Vec<f64> = self.loads.iter().filter_map(of).collect();
        some_median(&values)
    }
}

fn some_median(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| median(values))
}

/// The middle value; NaN of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Row {
    what: &'static str,
    digits: usize,
    of: fn(&Samples) -> Option<f64>,
}

const ROWS: [Row; 10] = [
    Row { what: "start-up of true, ms", digits: 2, of: |samples| some_median(&samples.start_up) },
    Row { what: "bulk up, Gbit/s", digits: 1, of: |samples| samples.load(|load| load.up) },
    Row { what: "bulk down, Gbit/s", digits: 1, of: |samples| samples.load(|load| load.down) },
    Row { what: "TLS request, ms", digits: 3, of: |samples| samples.load(|load| load.tls) },
    Row { what: "TLS request by curl, ms", digits: 2, of: |samples| samples.load(|load| load.curl) },
    Row { what: "new connections/s", digits: 0, of: |samples| samples.load(|load| load.connections) },
    Row { what: "TLS denied, ms", digits: 3, of: |samples| samples.load(|load| load.denied_tls) },
    Row { what: "address denied, ms", digits: 3, of: |samples| samples.load(|load| load.denied_address) },
    Row { what: "name denied, ms", digits: 3, of: |samples| samples.load(|load| load.denied_name) },
    Row { what: "peak memory, MiB", digits: 1, of: |samples| samples.load(|load| load.memory) },
];

/// Prints the table, the ratios to the direct figure in brackets, and the three bounds.
pub(crate) fn report(table: &[(Variant, Samples)]) -> Result<()> {
    print!("{:<24}", "median (ratio)");
    for (variant, _) in table {
        print!("{:>19}", variant.name());
    }
    println!();
    for row in &ROWS {
        let direct = of(table, Variant::Direct).and_then(row.of);
        print!("{:<24}", row.what);
        for (_, samples) in table {
            let cell = match ((row.of)(samples), direct) {
                (Some(value), Some(direct)) => format!("{value:.*} ({:.2})", row.digits, value / direct),
                (Some(value), None) => format!("{value:.*}", row.digits),
                (None, _) => "-".to_owned(),
            };
            print!("{cell:>19}");
        }
        println!();
    }
    let (Some(direct), Some(jail)) = (of(table, Variant::Direct), of(table, Variant::Jail)) else {
        return Err("no figures to compare".into());
    };
    let both =
        |row: usize| ((ROWS[row].of)(jail).unwrap_or(f64::NAN), (ROWS[row].of)(direct).unwrap_or(f64::NAN));
    let (ours, plain) = both(0);
    bound("start-up added, ms", ours - plain, START_UP_BOUND, ours - plain <= START_UP_BOUND);
    for (what, row) in [("bulk up, share of the plain veth", 1), ("bulk down, share of the plain veth", 2)] {
        let (ours, plain) = both(row);
        bound(what, ours / plain, BULK_BOUND, ours / plain >= BULK_BOUND);
    }
    for (what, row) in
        [("TLS request, over the direct one", 3), ("TLS request by curl, over the direct one", 4)]
    {
        let (ours, plain) = both(row);
        bound(what, ours / plain, TLS_BOUND, ours / plain <= TLS_BOUND);
    }
    Ok(())
}

fn of(table: &[(Variant, Samples)], wanted: Variant) -> Option<&Samples> {
    table.iter().find(|(variant, _)| *variant == wanted).map(|(_, samples)| samples)
}

fn bound(what: &str, value: f64, bound: f64, holds: bool) {
    println!("{} {what}: {value:.2} (bound {bound})", if holds { "holds " } else { "BROKEN" });
}

//! One run from the packages to the table.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::debian;
use crate::guest::{self, Parts};
use crate::machine::{self, Accelerator, End, Hardware};
use crate::plan::{self, Boot};
use crate::product;
use crate::report;
use crate::results::{self, Results};

/// How long a machine that works takes at most to show it.
const PROBE_LIMIT: Duration = Duration::from_secs(15);
/// What the disk holds, again and again, and has to hold afterwards.
const DISK_CONTENT: &[u8; 16] = b"nothing is here\n";
const DISK_SIZE: usize = 1 << 20;

type Failure = Box<dyn Error>;

/// Whether all that was asked for has run and passed.
pub(crate) fn run(words: &[String]) -> Result<bool, Failure> {
    let started = Instant::now();
    let boots = plan::choose(words)?;
    let cache = cache()?;
    // Images and the disk are there once: another run waits.
    let only = fs::File::create(cache.join("lock"))?;
    only.lock()?;
    let (busybox, busybox_program) = debian::busybox(&cache)?;
    let kernel = debian::kernel(&cache, &busybox_program)?;
    report::package(&busybox);
    report::package(&kernel.package);

    let building = Instant::now();
    let cijail_net = product::cijail_net()?;
    report::built("cijail-net", building.elapsed());
    let parts = Parts { kernel: &kernel, busybox: &busybox_program, cijail_net: &cijail_net };
    let small = guest::small(&parts, cache.join("small.cpio"))?;
    report::image("with busybox alone", &small);
    let full = if boots.iter().any(|boot| !boot.words.is_empty()) {
        let building = Instant::now();
        let tests = product::tests()?;
        report::built("the black-box tests", building.elapsed());
        let (image, packages) = guest::full(&parts, &tests, cache.join("full.cpio"))?;
        report::image(&format!("with the files of {packages} packages of this machine"), &image);
        Some(image)
    } else {
        None
    };

    let disk = cache.join("disk");
    fs::write(&disk, DISK_CONTENT.repeat(DISK_SIZE / DISK_CONTENT.len()))?;
    let hardware = |accelerator, image| Hardware { accelerator, kernel: &kernel.image, image, disk: &disk };
    let kvm = Path::new("/dev/kvm").exists() && comes_up(hardware(Accelerator::Kvm, &small.path))?;
    let accelerator = if kvm { Accelerator::Kvm } else { Accelerator::Tcg };
    report::accelerator(accelerator);

    let mut all = Outcome::default();
    for boot in &boots {
        let image = full.as_ref().filter(|_| !boot.words.is_empty()).unwrap_or(&small);
        all.add(boot, hardware(accelerator, &image.path))?;
    }
    if fs::read(&disk)?.chunks(DISK_CONTENT.len()).any(|part| part != DISK_CONTENT) {
        all.complaints.push("the machine's disk has been written to".to_owned());
    }
    report::summary(&all.rows, &all.complaints, &all.missing, &all.releases, started.elapsed());
    Ok(all.is_good())
}

#[derive(Default)]
struct Outcome {
    rows: Vec<results::Row>,
    complaints: Vec<String>,
    missing: Vec<String>,
    releases: Vec<String>,
}

impl Outcome {
    fn add(&mut self, boot: &Boot, hardware: Hardware<'_>) -> Result<(), Failure> {
        let started = Instant::now();
        let mut results = Results::new(boot, started);
        let end = machine::run(hardware, boot, results::limit(boot), |line, heard| {
            if let Some(row) = results.hear(line, heard) {
                report::row(row);
            }
        })?;
        report::machine(&results, end, started.elapsed());
        self.missing.extend(results.missing());
        self.complaints.extend(results.complaints);
        self.rows.extend(results.rows);
        self.releases.extend(results.release);
        self.releases.dedup();
        Ok(())
    }

    fn is_good(&self) -> bool {
        let passed = self.rows.iter().all(|row| row.passed);
        passed && !self.rows.is_empty() && self.complaints.is_empty() && self.missing.is_empty()
    }
}

/// Whether a guest prints a line. A device that can be opened says little.
fn comes_up(hardware: Hardware<'_>) -> Result<bool, Failure> {
    let boot = plan::probe();
    let mut results = Results::new(&boot, Instant::now());
    let end = machine::run(hardware, &boot, PROBE_LIMIT, |line, heard| {
        results.hear(line, heard);
    })?;
    Ok(end == End::Off && results.missing().is_empty())
}

/// Below cargo's target directory, where this program is.
fn cache() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("this program is not where cargo puts it")?;
    let cache = target.join("vm");
    fs::create_dir_all(&cache)?;
    Ok(cache)
}

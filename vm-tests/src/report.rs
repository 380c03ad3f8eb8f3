//! What the runner prints. All of its output is here.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command that people read")]

use std::error::Error;
use std::time::Duration;

use crate::debian::Package;
use crate::guest::Image;
use crate::machine::{Accelerator, End};
use crate::results::{Results, Row};

/// The widths of the columns of boots, stories and users.
const WIDTHS: [usize; 3] = [19, 52, 5];

pub(crate) fn package(package: &Package) {
    let where_from = if package.is_new { "downloaded" } else { "at hand" };
    println!("package {} ({}, {where_from})", package.name, mebibytes(package.size));
}

pub(crate) fn built(what: &str, took: Duration) {
    println!("built {what} in {:.1} s", took.as_secs_f64());
}

pub(crate) fn image(what: &str, image: &Image) {
    println!("image {what}: {}", mebibytes(image.size as u64));
}

pub(crate) fn accelerator(accelerator: Accelerator) {
    match accelerator {
        Accelerator::Kvm => println!("processor: the host's, by KVM"),
        Accelerator::Tcg => println!("processor: emulated; no guest comes up with KVM here"),
    }
}

pub(crate) fn row(row: &Row) {
    let Row { boot, story, user, passed, seconds } = row;
    let [boots, stories, users] = WIDTHS;
    let result = if *passed { "ok" } else { "FAILED" };
    println!("{boot:<boots$} {story:<stories$} {:<users$} {result:<6} {seconds:7.1} s", user.word());
}

/// The end of one machine.
pub(crate) fn machine(results: &Results<'_>, end: End, took: Duration) {
    if end == End::Killed {
        println!("killed after {:.0} s; the end of its console:", took.as_secs_f64());
        results.tail.iter().for_each(|line| println!("    {line}"));
    } else if !results.missing().is_empty() {
        println!("it went off early; the end of its console:");
        results.tail.iter().for_each(|line| println!("    {line}"));
    }
}

/// What failed, and the last line.
pub(crate) fn summary(
    rows: &[Row],
    complaints: &[String],
    missing: &[String],
    releases: &[String],
    took: Duration,
) {
    for complaint in complaints {
        println!("\n--- {complaint}");
    }
    for missing in missing {
        println!("not run: {missing}");
    }
    let failed = rows.iter().filter(|row| !row.passed).count();
    println!(
        "\n{} ok, {failed} failed, {} not run, on Linux {}, in {:.0} s",
        rows.len() - failed,
        missing.len(),
        releases.join(", "),
        took.as_secs_f64()
    );
}

/// An error and what caused it.
pub(crate) fn failure(error: &dyn Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    eprintln!("vm-tests: {text}");
}

fn mebibytes(octets: u64) -> String {
    format!("{:.1} MiB", octets as f64 / f64::from(1 << 20))
}

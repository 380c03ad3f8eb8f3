//! Boots a distribution's kernel in a virtual machine, and runs `cijail-net` and its tests there.

mod cpio;
mod debian;
mod guest;
mod host;
mod machine;
mod modules;
mod plan;
mod product;
mod programs;
mod protocol;
mod report;
mod results;
mod session;
mod tool;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match session::run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            report::failure(&*error);
            ExitCode::from(2)
        }
    }
}

//! The command line: typed arguments first, a resolved plan second, the work elsewhere.

mod args;
mod doctor;
mod learn;
mod policy;
mod rego;
mod run;
mod sets;
mod sources;
mod top;
mod write;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, Start};

use crate::app::AppError;
use crate::demo::{self, DemoError};
use crate::exit;
use crate::schema::schema;
use crate::stderr;

/// Runs the program with the process's own arguments.
pub fn main() -> ExitCode {
    let command = match parse() {
        Ok(command) => command,
        Err(error) => {
            // Nobody may read it; the status tells all the same.
            if !error.use_stderr() || stderr::has_room(stderr::PATIENCE) {
                let _ = error.print();
            }
            return ExitCode::from(if error.use_stderr() { exit::FAILED } else { 0 });
        }
    };
    let result = match command {
        Command::Start(Start::Run(args)) => run::main(*args),
        Command::Demo => demo::main().map_err(Failure::from),
        Command::DemoPostinstall => demo::postinstall().map_err(Failure::from),
        Command::Doctor => doctor::main(),
        Command::Top(args) => top::main(&args),
        Command::Policy(command) => policy::main(command),
        Command::Schema { subject } => answer(schema(subject)).map(|()| 0),
    };
    match result {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            complain(&*error);
            ExitCode::from(exit::FAILED)
        }
    }
}

/// Reads the arguments; those of a run without the description of all other commands.
fn parse() -> Result<Command, clap::Error> {
    if std::env::args_os().nth(1).is_some_and(|word| word == "run") {
        return Ok(Command::Start(Cli::try_parse()?.command));
    }
    Ok(Cli::try_parse()?.command)
}

/// What a command may fail with; it is shown with its causes.
type Failure = Box<dyn std::error::Error>;

/// Tells what went wrong on standard error, every line with our name in front.
fn complain(error: &(dyn std::error::Error + 'static)) {
    let mut text = crate::causes::chain(error);
    if let Some(error) = error.downcast_ref::<AppError>() {
        for missing in error.missing() {
            text.push_str("\nmissing: ");
            text.push_str(missing);
        }
        for remedy in error.remedies() {
            text.push_str("\nremedy: ");
            text.push_str(remedy);
        }
    }
    if let Some(remedy) = error.downcast_ref::<DemoError>().and_then(DemoError::remedy) {
        text.push_str("\nremedy: ");
        text.push_str(&remedy);
    }
    say(&text);
}

/// Writes a text to standard error, every line with our name in front.
fn say(text: &str) {
    let text: String = text.lines().map(|line| format!("cijail-net: {line}\n")).collect();
    stderr::say(&text);
}

/// Writes a command's answer to standard output. A reader that has read enough is no error.
fn answer(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

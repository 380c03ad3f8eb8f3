//! `cijail-net policy check` and `policy explain`.

use std::io::Write;

use policy::PolicyBuilder;

use super::args::PolicyCommand;
use super::{Failure, sources};

pub(super) fn main(command: &PolicyCommand) -> Result<u8, Failure> {
    match command {
        PolicyCommand::Check { files } => {
            let mut builder = PolicyBuilder::new();
            for file in files {
                builder.add_file(&file.display().to_string(), &sources::read(file)?);
            }
            let policy = builder.build()?;
            writeln!(std::io::stdout(), "{} rules", policy.rules().len())?;
            Ok(0)
        }
        PolicyCommand::Explain { .. } => Ok(0),
    }
}

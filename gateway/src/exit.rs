//! Exit statuses of `cijail-net` that are not the job's own. The README has the same table.

/// The answer of `doctor`, `policy explain`, `policy check --strict` or `policy diff` is no; `top` finds no run, or
/// several.
pub const NO: u8 = 1;
/// The job succeeded, but something was blocked and `--fail-on-blocked` was given, or something was
/// new and `--fail-on-new`.
pub const BLOCKED: u8 = 122;
/// cijail-net itself failed, before or after the job.
pub const FAILED: u8 = 125;
/// The command was found and cannot be run.
pub const CANNOT_RUN: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that killed the job.
pub const SIGNAL_BASE: u8 = 128;

/// The status after a command with this one, of which something may be objected to.
pub fn after(command: u8, objected: bool) -> u8 {
    if command == 0 && objected { BLOCKED } else { command }
}

/// The demo: something got out of the jail, or the honest part of the job failed.
pub const LEAKED: u8 = 1;

//! Black-box tests: `cijail-net` run inside a private miniature internet, judged from the outside.
//!
//! The binary has a `main` of its own because namespaces have to be entered while there is one thread only.
//! From there on it behaves like any other test binary: names, filters, threads and the closing line are
//! those of `cargo test`.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails by a panic")]

mod enter;
mod helper;
mod jail;
mod outcome;
mod private_user;
mod running;
mod suite;
mod wait;
mod world;

mod bad_input;
mod clients;
mod dns;
mod escapes;
mod exit;
mod guard;
mod http;
mod leaks;
mod modes;
mod opaque;
mod proof;
mod self_test;
mod tls;
mod udp;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = helper::dispatch() {
        return code;
    }
    let arguments = libtest_mimic::Arguments::from_args();
    if !arguments.list {
        enter::private_machine();
    }
    let mut suite = suite::Suite::default();
    for add in [
        self_test::add,
        dns::add,
        tls::add,
        http::add,
        opaque::add,
        udp::add,
        exit::add,
        bad_input::add,
        modes::add,
        escapes::add,
        guard::add,
        proof::add,
        leaks::add,
        clients::add,
    ] {
        add(&mut suite);
    }
    libtest_mimic::run(&arguments, suite.into_trials()).exit_code()
}

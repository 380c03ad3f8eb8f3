//! Black-box tests: `cijail-net` run inside a private miniature internet, judged from the outside.
//!
//! The binary has a `main` of its own because namespaces have to be entered while there is one thread only.
//! From there on it behaves like any other test binary: names, filters, threads and the closing line are
//! those of `cargo test`.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on fails by a panic")]

mod enter;
mod flood;
mod helper;
mod jail;
mod load;
mod names;
mod namespace;
mod outcome;
mod private_user;
mod raw;
mod running;
mod suite;
mod wait;
mod world;

mod bad_input;
mod broken_off;
mod clients;
mod dns;
mod endurance;
mod escapes;
mod events;
mod exit;
mod frames;
mod guard;
mod held;
mod http;
mod intercept;
mod ipv6;
mod keyboard;
mod last_words;
mod leaks;
mod learn;
mod masks;
mod modes;
mod opaque;
mod other_jails;
mod proof;
mod proxy;
mod reach;
mod refused;
mod rego;
mod report;
mod requests;
mod sandbox;
mod schemas;
mod self_test;
mod sensor;
mod sets;
mod stderr;
mod story;
mod tampering;
mod threat_model;
mod tls;
mod top;
mod trust;
mod udp;
mod unix_sockets;
mod user;
mod volume;
mod who;
mod wildcards;

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
        intercept::add,
        opaque::add,
        udp::add,
        exit::add,
        keyboard::add,
        stderr::add,
        bad_input::add,
        broken_off::add,
        modes::add,
        ipv6::add,
        proxy::add,
        escapes::add,
        masks::add,
        user::add,
        volume::add,
        events::add,
        report::add,
        schemas::add,
        sandbox::add,
        unix_sockets::add,
        guard::add,
        held::add,
        proof::add,
        tampering::add,
        leaks::add,
        learn::add,
        top::add,
        story::add,
        sets::add,
        rego::add,
        last_words::add,
        wildcards::add,
        endurance::add,
        other_jails::add,
        reach::add,
        refused::add,
        names::add,
        requests::add,
        frames::add,
        clients::add,
        trust::add,
        who::add,
        sensor::add,
        // Looks at the names of the others.
        threat_model::add,
    ] {
        add(&mut suite);
    }
    libtest_mimic::run(&arguments, suite.into_trials()).exit_code()
}

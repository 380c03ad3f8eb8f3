//! `cijail-net demo`: a hostile program in a miniature internet, without the jail and with it.
//!
//! ```text
//! internet namespace              host namespace
//! servers, frame recorder ─veth─  the postinstall, or `cijail-net run` around it
//! ```
//!
//! The servers are threads of this process; the postinstall is this program again. Who sees what got
//! out is the outside alone: the servers, and a recorder of every frame that reaches their namespace.

mod authority;
mod internet;
mod jobs;
mod ledger;
mod message;
mod postinstall;
mod reasons;
mod screen;
mod token;
mod way;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::net::Ipv4Addr;
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use netns::net::World;

use authority::{Authority, AuthorityError};
use ledger::{Outside, Seen};
use screen::{Screen, Summary, Tone};
use token::{RANDOM, Token};
use way::{Step, Told, Way};

use crate::exit;

/// The package registry, which the policy allows.
const REGISTRY: &str = "registry.example";
const REGISTRY_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
/// The resolver of the demo's host.
const RESOLVER_V4: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 53);
/// What a thief's names end with.
const EVIL_ZONE: &str = ".evil.example";
/// Where a thief collects tokens.
const COLLECTOR: &str = "collect.evil.example";
const COLLECTOR_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 66);
/// A thief's own name server.
const EVIL_DNS_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 53);
/// Where the collector takes plain TCP.
const LITERAL_PORT: u16 = 4444;
/// What the honest part of the job fetches.
const PACKAGE_PATH: &str = "/left-pad.tgz";
const PACKAGE: &[u8] = &[b'x'; 2048];

/// What the postinstall says where the kernel refuses it a socket.
const NOT_PERMITTED: &str = "not permitted";

/// Where the postinstall finds the token, as publishing jobs have it.
const TOKEN_VARIABLE: &str = "NPM_TOKEN";
/// The certificate that its TLS trusts: DER in Base64.
const AUTHORITY_VARIABLE: &str = "DEMO_AUTHORITY";
/// The resolver of a host that has no file of its own to name it.
const RESOLVER_VARIABLE: &str = "DEMO_RESOLVER";

/// The demo could not be shown.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The kernel or a policy of the machine refused part of the set-up.
    #[error("setting up the demo's network")]
    Setup(#[from] netns::Error),
    /// A server or the recorder of the miniature internet could not work.
    #[error("running the demo's internet")]
    Internet(#[source] io::Error),
    /// Frames on their way were not seen in time.
    #[error("the demo's recorder does not see what is sent; nothing can be said about the jail")]
    Blind,
    /// Certificates could not be made.
    #[error("preparing the demo's TLS: {0}")]
    Authority(String),
    /// The job could not be started or waited for.
    #[error("running the demo's job")]
    Job(#[source] io::Error),
    /// The job said nothing for too long.
    #[error("the demo's job does not go on")]
    Silent,
    /// `cijail-net run` or the postinstall failed.
    #[error("the demo's job failed ({status})\n{log}")]
    Failed {
        /// How it ended.
        status: String,
        /// What it wrote.
        log: String,
    },
    /// The postinstall was started by hand.
    #[error("{0} is not set; `cijail-net demo` starts this program")]
    Variable(&'static str),
    /// Random numbers could not be read.
    #[error("making up a token")]
    Random(#[source] io::Error),
    /// Standard output is gone.
    #[error("writing to standard output")]
    Output(#[source] io::Error),
}

impl From<AuthorityError> for DemoError {
    fn from(error: AuthorityError) -> DemoError {
        DemoError::Authority(crate::causes::chain(&error))
    }
}

impl DemoError {
    /// What a user can do about it, if that is known.
    pub fn remedy(&self) -> Option<String> {
        match self {
            DemoError::Setup(error) => error.remedy().map(str::to_owned),
            _ => None,
        }
    }
}

/// The hostile program itself.
///
/// # Errors
/// It was not started by the demo, or nobody reads what it tells.
pub fn postinstall() -> Result<u8, DemoError> {
    postinstall::run().map(|()| 0)
}

/// Shows the demo and returns the exit status: zero if nothing got out of the jail and the honest
/// part of the job worked.
///
/// # Errors
/// The demo could not be shown.
pub fn main() -> Result<u8, DemoError> {
    let started = Instant::now();
    netns::acquire()?;
    let world = World::build(&internet::ADDRESSES)?;
    let mut outside = Outside::start(&world)?;
    let authority = Authority::new()?;
    internet::start(&world, &authority, &outside.ledger)?;
    let certificate = BASE64_STANDARD.encode(authority.certificate());
    // The link is up once something has come over it.
    outside.seen()?;
    let mut stage = Stage { world, outside, certificate, screen: Screen::new() };

    stage.say("cijail-net demo: a package's postinstall script steals the job's NPM_TOKEN", Tone::Strong)?;
    stage.say("The internet is a miniature in this process; nothing leaves this machine.", Tone::Plain)?;
    stage.say(&format!("\n  {REGISTRY:<21} {REGISTRY_V4:<14} sells packages"), Tone::Plain)?;
    stage.say(&format!("  {COLLECTOR:<21} {COLLECTOR_V4:<14} collects tokens"), Tone::Plain)?;

    stage.say("\nWithout a jail", Tone::Strong)?;
    stage.say("$ cijail-net demo-postinstall", Tone::Faint)?;
    let resolver = [(RESOLVER_VARIABLE, RESOLVER_V4.to_string())];
    let without = stage.pass(&["demo-postinstall"], &resolver)?;

    let resolver = RESOLVER_V4.to_string();
    let options = ["--resolver", &resolver, "--allow", REGISTRY, "--log-format", "json"];
    stage.say("\nIn the jail", Tone::Strong)?;
    stage.say(&format!("$ cijail-net run {} \\", options[..4].join(" ")), Tone::Faint)?;
    stage.say(&format!("      {} -- cijail-net demo-postinstall", options[4..].join(" ")), Tone::Faint)?;
    let command = ["--", "/proc/self/exe", "demo-postinstall"];
    let with = stage.pass(&[&["run"], &options[..], &command].concat(), &[])?;

    stage.say("", Tone::Plain)?;
    stage.screen.summary(&summary(&without, &with)).map_err(DemoError::Output)?;
    let (verdict, status) = verdict(&without, &with);
    let tone = if status == 0 { Tone::Good } else { Tone::Bad };
    stage.say(&format!("\n{verdict} ({:.1} s)", started.elapsed().as_secs_f32()), tone)?;
    Ok(status)
}

/// What one pass of the postinstall showed.
#[derive(Debug)]
struct Pass {
    /// What the outside saw.
    seen: Seen,
    /// What the job said that it saw.
    said: Vec<(Step, Result<String, String>)>,
    /// Why the jail refused, by its own log.
    reasons: BTreeMap<Way, String>,
}

impl Pass {
    /// Whether the package went all the way.
    fn fetched(&self) -> bool {
        self.seen.packages > 0 && self.said.iter().any(|(step, saw)| *step == Step::Package && saw.is_ok())
    }

    fn failure(&self, way: Way) -> Option<&str> {
        let (_, saw) = self.said.iter().find(|(step, _)| *step == Step::Steal(way))?;
        saw.as_ref().err().map(String::as_str)
    }
}

struct Stage {
    world: World,
    outside: Outside,
    certificate: String,
    screen: Screen,
}

impl Stage {
    fn say(&self, text: &str, tone: Tone) -> Result<(), DemoError> {
        let (blank, text) = text.strip_prefix('\n').map_or(("", text), |rest| ("\n", rest));
        self.screen.line(blank, text, tone).map_err(DemoError::Output)
    }

    /// Runs the postinstall once, with a token of its own, so that what one pass lets out cannot be
    /// taken for the other's.
    fn pass(&mut self, arguments: &[&str], variables: &[(&str, String)]) -> Result<Pass, DemoError> {
        let token = Token::new(random().map_err(DemoError::Random)?);
        self.outside.ledger.begin(&token);
        let mut variables = variables.to_vec();
        variables.push((TOKEN_VARIABLE, token.as_str().to_owned()));
        variables.push((AUTHORITY_VARIABLE, self.certificate.clone()));
        self.screen.pass_head().map_err(DemoError::Output)?;
        let (screen, outside, mut said) = (&self.screen, &mut self.outside, Vec::new());
        let ended = jobs::run(&self.world, arguments, &variables, |told| match told {
            Told::Trying(step, what) => screen.trying(step, &what).map_err(DemoError::Output),
            Told::Saw(step, saw) => {
                let seen = outside.seen()?;
                let text = saw.as_ref().unwrap_or_else(|failed| failed);
                screen.saw((text, Tone::Plain), outside_cell(step, &seen)).map_err(DemoError::Output)?;
                said.push((step, saw));
                Ok(())
            }
        })?;
        if !ended.status.success() || said.len() != Step::all().count() {
            let lines = ended.log.lines().map(|line| line.trim_start_matches("cijail-net: "));
            let log = lines.collect::<Vec<_>>().join("\n");
            return Err(DemoError::Failed { status: ended.status.to_string(), log });
        }
        // The job and its gateway are gone: whatever they sent has been sent.
        Ok(Pass { seen: outside.seen()?, said, reasons: reasons::read(&ended.log) })
    }
}

fn outside_cell(step: Step, seen: &Seen) -> (&'static str, Tone) {
    match step {
        Step::Package if seen.packages > 0 => ("a download", Tone::Good),
        Step::Package => ("no download", Tone::Bad),
        Step::Steal(way) if seen.ways.contains_key(&way) => ("THE TOKEN", Tone::Bad),
        Step::Steal(_) => ("nothing", Tone::Good),
    }
}

fn summary(without: &Pass, with: &Pass) -> Vec<Summary> {
    let cell = |text: &str, tone| (text.to_owned(), tone);
    let fetched =
        |pass: &Pass| if pass.fetched() { cell("works", Tone::Good) } else { cell("FAILS", Tone::Bad) };
    let honest = Summary {
        step: Step::Package,
        without: fetched(without),
        with: fetched(with),
        reason: format!("allowed: {REGISTRY}"),
    };
    let stolen = Way::ALL.map(|way| {
        let state = |pass: &Pass| match (pass.seen.ways.contains_key(&way), pass.failure(way)) {
            (true, _) => cell("TOKEN OUT", Tone::Bad),
            (false, Some(NOT_PERMITTED)) => cell("refused", Tone::Good),
            (false, _) => cell("nothing out", Tone::Good),
        };
        // What the kernel refused never reached the gateway, so its log has nothing of it.
        let sandbox =
            || with.failure(way).filter(|why| *why == NOT_PERMITTED).map(|why| format!("sandbox: {why}"));
        let reason = with.reasons.get(&way).cloned().or_else(sandbox).unwrap_or_default();
        Summary { step: Step::Steal(way), without: state(without), with: state(with), reason }
    });
    std::iter::once(honest).chain(stolen).collect()
}

/// The last line and the exit status.
fn verdict(without: &Pass, with: &Pass) -> (String, u8) {
    let open: Vec<&str> = with.seen.ways.keys().map(|&way| Step::Steal(way).title()).collect();
    // What the outside cannot see without the jail, it could not have seen with it.
    let unseen =
        Way::ALL.into_iter().filter(|way| !way.needs_right() && !without.seen.ways.contains_key(way));
    let unseen: Vec<&str> = unseen.map(|way| Step::Steal(way).title()).collect();
    if with.seen.anything() {
        let by = if open.is_empty() { "an unknown way".to_owned() } else { open.join(", ") };
        (format!("FAILED: the token got out of the jail by {by}."), exit::LEAKED)
    } else if !with.fetched() || !without.fetched() {
        let place = if with.fetched() { "without the jail" } else { "in the jail" };
        (format!("FAILED: the honest fetch does not work {place}."), exit::LEAKED)
    } else if !unseen.is_empty() {
        let text = format!("FAILED: without a jail the token should have got out by {}.", unseen.join(", "));
        (text, exit::LEAKED)
    } else {
        let (out, all) = (without.seen.ways.len(), Way::ALL.len());
        (format!("Without a jail the token got out by {out} ways of {all}, in the jail by none."), 0)
    }
}

fn random() -> io::Result<[u8; RANDOM]> {
    let mut bytes = [0; RANDOM];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(ways: &[Way], packages: usize) -> Pass {
        let seen = Seen { ways: ways.iter().map(|&way| (way, 1)).collect(), elsewhere: 0, packages };
        Pass { seen, said: vec![(Step::Package, Ok(String::new()))], reasons: BTreeMap::new() }
    }

    #[test]
    fn only_a_tight_jail_with_a_working_fetch_passes() {
        let (open, tight) = (pass(&Way::ALL, 1), pass(&[], 1));
        assert_eq!(verdict(&open, &tight).1, 0);
        assert_eq!(verdict(&pass(&Way::ALL[..5], 1), &tight).1, 0);
        assert!(verdict(&open, &pass(&[Way::Quic], 1)).0.contains("got out of the jail by QUIC"));
        assert_eq!(verdict(&open, &pass(&[Way::Quic], 1)).1, exit::LEAKED);
        assert!(verdict(&open, &pass(&[], 0)).0.contains("fetch does not work in the jail"));
        assert!(verdict(&pass(&[], 1), &tight).0.contains("should have got out by HTTPS POST, DNS labels"));
        let mut elsewhere = pass(&[], 1);
        elsewhere.seen.elsewhere = 1;
        assert_eq!(verdict(&open, &elsewhere).1, exit::LEAKED);
    }
}

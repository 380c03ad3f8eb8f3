//! Serves a running job: every socket of its network, until it ends.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use dns::{Dns, HostFiles};
use netns::guard::{Guard, Remaining};
use netns::job::Job;
use netns::net::{Building, GATEWAY_V4, GATEWAY_V6, Network};
use policy::Policy;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use super::supervise::{Caller, End, Supervisor};
use super::title::Title;
use super::{AppError, proof};
use crate::audit::Audit;
use crate::connection::{Context, Interception};
use crate::intercept::{Intercept, InterceptError, Outline};
use crate::listener::{
    Captured, Datagrams, Drops, Loopback, Questions, Queue, serve_connections, serve_datagrams,
};
use crate::live::serve::Door;
use crate::live::snapshot::Run;
use crate::rego::{Rego, Rules};
use crate::relay::Uploads;
use crate::relay::udp::Flows;
use crate::sensor::Sensing;
use crate::trust::system_bundle;
use crate::upstream::{Dialer, ParentProxies};
use crate::who::Who;

/// How long the job's last bytes may take to be sent on after its end.
const DRAIN: Duration = Duration::from_secs(1);
/// The state of a listening socket in `/proc/net/tcp` (include/net/tcp_states.h).
const TCP_LISTEN: &str = "0A";

/// A started job and what serves it.
pub(super) struct Serving<'a> {
    pub(super) policy: Policy,
    /// Rules beside the policy's.
    pub(super) rego: Option<Rules>,
    pub(super) proxies: ParentProxies,
    pub(super) network: netns::Result<Building>,
    pub(super) audit: Audit,
    pub(super) job: &'a Job,
    pub(super) caller: Caller,
    /// Whether the terminal's title tells of the run.
    pub(super) titled: bool,
    /// Where others ask what the run does, if they can.
    pub(super) door: Option<(Door, Run)>,
    /// What URL rules inside TLS take.
    pub(super) interception: Option<Completing>,
    /// Set once the process is confined, and can examine the machine no more.
    pub(super) confined: &'a mut bool,
}

/// Interception whose last part is read while the network is built.
pub(super) struct Completing(JoinHandle<Result<Intercept, InterceptError>>);

impl Completing {
    pub(super) fn start(outline: Outline) -> Result<Completing, AppError> {
        let thread = std::thread::Builder::new().name("roots".to_owned());
        thread.spawn(|| outline.complete(system_bundle())).map(Completing).map_err(AppError::Gateway)
    }

    fn finish(self) -> Result<Arc<Interception>, AppError> {
        let broken = |_| AppError::Gateway(io::Error::other("reading the machine's roots broke off"));
        Ok(Arc::new(Interception::new(self.0.join().map_err(broken)??)))
    }
}

/// Runs the event loop until the job has ended.
pub(super) fn run(serving: Serving<'_>) -> Result<End, AppError> {
    let job = serving.job;
    let result = netns::raise_descriptor_limit()
        .and_then(|()| Builder::new_current_thread().enable_all().build())
        .map_err(AppError::Gateway)
        // Dropping the runtime ends every connection and writes its record.
        .and_then(|runtime| runtime.block_on(Box::pin(serve(serving))));
    if result.is_err() {
        job.kill();
    }
    result
}

/// Completes the network, lets the job go, and serves it until it has ended.
async fn serve(serving: Serving<'_>) -> Result<End, AppError> {
    let Serving { policy, rego, proxies, network, audit, job, caller, titled, door, interception, confined } =
        serving;
    let uploads = Uploads::default();
    let keyboard = caller.terminal.is_some();
    let live = audit.live().clone();
    let title = caller.terminal.clone().filter(|_| titled);
    let title = title.map(|terminal| Title::new(terminal, live.clone()));
    let mut supervisor = Supervisor::new(job, caller, title).map_err(AppError::Gateway)?;
    let guard = Guard::prepare(job);
    let mut network = network?.finish()?;
    let prepared = job.prepared()?;
    let interception = interception.map(Completing::finish).transpose()?;
    let needy = rego.as_ref().is_some_and(Rules::looks_at_process);
    let who = Who::new(job.witness()?, audit.clone(), needy).map_err(AppError::Gateway)?;
    let rego = rego.map(Rego::start).transpose().map_err(AppError::Gateway)?.map(Arc::new);
    let observer = job.observer()?.map(|observer| Sensing::new(observer, audit.clone()));
    let sensing = observer.transpose().map_err(AppError::Gateway)?.map(Arc::new);
    let context = context(policy, proxies, audit, who.clone(), uploads.clone(), interception, rego);
    job.go(&network)?;
    let attempts = std::mem::take(&mut network.proof);
    let answering = who.clone();
    tokio::spawn(async move { answering.serve().await });
    if let Some(sensing) = sensing.clone() {
        tokio::spawn(async move { sensing.serve().await });
    }
    let (queues, mut drops) = listen(network, &context).map_err(AppError::Gateway)?;
    // The command's probe waits for our answers, so it is not executed before this is done. A
    // job that is gone has failed for a reason that the machine may have to be asked about.
    if prepared {
        guard.confine(Remaining { keyboard })?;
        *confined = true;
    }
    if let Some((door, run)) = door {
        tokio::spawn(door.serve(run, live));
    }
    let end = tokio::select! {
        end = supervisor.run() => end,
        error = drops.serve() => Err(AppError::Gateway(error)),
        error = proof::run(&attempts) => Err(error.into()),
    };
    // What the job said last may have come with its end.
    queues.iter().for_each(|queue| queue.read_to_the_end());
    drops.finish();
    if let Some(sensing) = sensing {
        sensing.finish();
    }
    let end = end.inspect_err(|_| supervisor.take_back_terminal())?;
    tokio::select! {
        () = uploads.drained(DRAIN) => {}
        () = supervisor.signalled() => {}
    }
    who.finish();
    Ok(end)
}

fn context(
    policy: Policy,
    proxies: ParentProxies,
    audit: Audit,
    who: Who,
    uploads: Uploads,
    interception: Option<Arc<Interception>>,
    rego: Option<Arc<Rego>>,
) -> Context {
    let policy = Arc::new(policy);
    let own = vec![GATEWAY_V4.into(), GATEWAY_V6.into(), std::net::Ipv4Addr::LOCALHOST.into()];
    let dns = Arc::new(Dns::new(policy.clone(), own, HostFiles::default()));
    let dialer = Dialer::new(dns.clone(), proxies, policy.limits().connect_timeout);
    let budgets = Arc::default();
    Context { policy, dns, dialer, audit, who, uploads, budgets, interception, rego }
}

/// Serves every socket but the one of dropped packets, which is served to the very end.
fn listen(network: Network, context: &Context) -> io::Result<(Vec<Arc<dyn Queue>>, Drops)> {
    let mut queues = Vec::new();
    let slots = Arc::new(Semaphore::new(context.policy.limits().connections));
    for listener in network.tcp {
        let handler = Captured { context: context.clone(), slots: slots.clone() };
        queues.push(serve_connections(listener, context.audit.clone(), handler)?);
    }
    for socket in network.dns {
        let handler = Questions {
            dns: context.dns.clone(),
            audit: context.audit.clone(),
            who: context.who.clone(),
            uploads: context.uploads.clone(),
            rego: context.rego.clone(),
        };
        queues.push(serve_datagrams(socket, handler)?);
    }
    let raw = Arc::new(network.raw);
    let flows = Flows::default();
    for socket in network.udp {
        let handler = Datagrams::new(context.clone(), raw.clone(), flows.clone());
        queues.push(serve_datagrams(socket, handler)?);
    }
    for offered in network.loopback {
        let handler = Loopback { context: context.clone(), port: offered.port };
        queues.push(serve_connections(offered.listener, context.audit.clone(), handler)?);
    }
    Ok((queues, Drops::new(network.drops, context.audit.clone())?))
}

/// The ports of the host's loopback that the job gets on its own: those of the rules, and with
/// `localhost:*` those that something listens on now.
pub(super) fn loopback_ports(policy: &Policy) -> Result<Vec<u16>, AppError> {
    let ports = policy.loopback_ports();
    if !ports.is_all() {
        return Ok(ports.iter().collect());
    }
    let mut listening = Vec::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        // A kernel without IPv6 has no second file.
        if let Ok(table) = std::fs::read_to_string(path) {
            listening.extend(listening_ports(&table));
        }
    }
    listening.sort_unstable();
    listening.dedup();
    Ok(listening)
}

/// Local ports of listening sockets (proc_net_tcp(5)).
fn listening_ports(table: &str) -> impl Iterator<Item = u16> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (local, state) = (fields.next()?, fields.nth(1)?);
        let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
        (state == TCP_LISTEN).then_some(port)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_listening_ports() {
        let table = "  sl  local_address rem_address   st\n\
                     0: 0100007F:1538 00000000:0000 0A 00000000:00000000\n\
                     1: 0100007F:1F90 0100007F:9999 01 00000000:00000000\n";
        assert_eq!(listening_ports(table).collect::<Vec<_>>(), [5432]);
    }
}

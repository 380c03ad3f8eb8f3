//! Asks the real resolvers: the host's, the policy's, or one server that the job named.
//!
//! Nothing is read or opened before the first question, as most of a short job's start-up budget
//! would go into it. Questions are sent one for one: no search list, and no question for the
//! target of a CNAME, so that only decided names are ever asked for.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hickory_proto::op::{DnsRequestOptions, Query, ResponseCode};
use hickory_proto::rr::{Record, RecordType};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::{Hosts, NameServerPool, PoolContext, TlsConfig};
use policy::Resolver;
use tokio::sync::OnceCell;

use crate::response::Rcode;

/// Resolution as a whole; below the five seconds after which glibc asks again.
const DEADLINE: Duration = Duration::from_millis(4500);
/// One attempt, retransmissions included; there are two.
const ATTEMPT: Duration = Duration::from_secs(2);
/// Resolvers that glibc reads from a file (resolv.conf(5), MAXNS).
const MAX_HOST_RESOLVERS: usize = 3;
/// Servers named by the job that keep their sockets and timings.
const MAX_SERVERS: usize = 64;

/// The host's own resolver configuration.
#[derive(Debug, Clone)]
pub struct HostFiles {
    /// resolv.conf(5); only its `nameserver` lines are used.
    pub resolv_conf: PathBuf,
    /// hosts(5); its names need no question.
    pub hosts: PathBuf,
}

impl Default for HostFiles {
    fn default() -> Self {
        HostFiles { resolv_conf: "/etc/resolv.conf".into(), hosts: "/etc/hosts".into() }
    }
}

/// Why upstream gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum AskError {
    #[error("no resolver is configured; add a nameserver to {}, or use --resolver", .0.display())]
    NoResolver(PathBuf),
    #[error("no resolver answered within {} seconds", DEADLINE.as_secs_f32())]
    Timeout,
    #[error("the resolver answered {0}")]
    Code(ResponseCode),
    #[error("could not ask the resolver")]
    Net(#[source] NetError),
    #[error("could not set up the resolver's TLS; check the host's certificate store")]
    Tls(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// What upstream said; nothing in it has been judged yet.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) rcode: Rcode,
    pub(crate) answers: Vec<Record>,
    /// Seconds that a negative reply holds (RFC 2308 section 5).
    pub(crate) negative_ttl: u32,
}

type Pool = RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>;

pub(crate) struct Upstream {
    files: HostFiles,
    resolvers: Vec<Resolver>,
    in_flight: usize,
    main: OnceCell<Result<Pool, AskError>>,
    hosts: OnceCell<Hosts>,
    servers: Mutex<VecDeque<(SocketAddr, Pool)>>,
}

impl Upstream {
    pub(crate) fn new(files: HostFiles, resolvers: Vec<Resolver>, in_flight: usize) -> Upstream {
        Upstream {
            files,
            resolvers,
            in_flight,
            main: OnceCell::new(),
            hosts: OnceCell::new(),
            servers: Mutex::default(),
        }
    }

    /// Asks the named server, or else the host's file of names and then the resolvers.
    pub(crate) async fn ask(&self, server: Option<SocketAddr>, query: Query) -> Result<Reply, AskError> {
        let pool = match server {
            Some(server) => self.server(server)?,
            None => {
                if let Some(reply) = self.host_file(&query).await {
                    return Ok(reply);
                }
                self.main.get_or_init(|| self.connect()).await.clone()?
            }
        };
        tokio::time::timeout(DEADLINE, ask(&pool, query)).await.unwrap_or(Err(AskError::Timeout))
    }

    /// What the host's file of names says, if it knows the name.
    async fn host_file(&self, query: &Query) -> Option<Reply> {
        let hosts = self.hosts.get_or_init(async || read_hosts(&self.files)).await;
        let addresses = [RecordType::A, RecordType::AAAA];
        if !addresses.contains(&query.query_type()) {
            return None;
        }
        // A name with an address of one family only has none of the other: as with glibc, the
        // file answers for the name as a whole.
        let of = |kind| hosts.lookup_static_host(&Query::query(query.name().clone(), kind));
        let known = addresses.iter().any(|&kind| of(kind).is_some());
        known.then(|| {
            let answers = of(query.query_type()).map(|lookup| lookup.answers().to_vec());
            Reply { rcode: Rcode::NoError, answers: answers.unwrap_or_default(), negative_ttl: u32::MAX }
        })
    }

    async fn connect(&self) -> Result<Pool, AskError> {
        if self.resolvers.is_empty() {
            let addresses = host_resolvers(&self.files);
            if addresses.is_empty() {
                let error = AskError::NoResolver(self.files.resolv_conf.clone());
                tracing::warn!("{error}");
                return Err(error);
            }
            let servers = addresses.into_iter().map(|address| plain(SocketAddr::new(address, 53)));
            return Ok(pool(servers.collect(), no_tls()?, self.in_flight));
        }
        let encrypted = self.resolvers.iter().any(|resolver| !matches!(resolver, Resolver::Plain { .. }));
        let tls = if encrypted { host_tls().await? } else { no_tls()? };
        Ok(pool(self.resolvers.iter().map(configure).collect(), tls, self.in_flight))
    }

    fn server(&self, server: SocketAddr) -> Result<Pool, AskError> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pool)) = servers.iter().find(|(known, _)| *known == server) {
            return Ok(pool.clone());
        }
        let new = pool(vec![plain(server)], no_tls()?, self.in_flight);
        if servers.len() >= MAX_SERVERS {
            servers.pop_front();
        }
        servers.push_back((server, new.clone()));
        Ok(new)
    }
}

/// With random upper and lower case in the name, which a forger has to guess
/// (draft-vixie-dnsext-dns0x20). Resolvers that do not keep the case are asked over TCP, and those
/// that have no TCP either without that defence.
async fn ask(pool: &Pool, query: Query) -> Result<Reply, AskError> {
    let mut options = DnsRequestOptions::default();
    options.case_randomization = true;
    match read(pool.lookup(query.clone(), options).first_answer().await) {
        Err(AskError::Net(_)) => {
            options.case_randomization = false;
            read(pool.lookup(query, options).first_answer().await)
        }
        read => read,
    }
}

fn pool(servers: Vec<NameServerConfig>, tls: TlsConfig, in_flight: usize) -> Pool {
    let mut options = ResolverOpts::default();
    options.timeout = ATTEMPT;
    // After the first attempt.
    options.attempts = 1;
    options.max_active_requests = in_flight.max(1);
    options.case_randomization = true;
    let context = Arc::new(PoolContext::new(options, tls));
    let pool = NameServerPool::from_config(servers, context, TokioRuntimeProvider::default());
    RetryDnsHandle::new(pool, 1)
}

/// UDP, and TCP for what does not fit or looks forged.
fn plain(server: SocketAddr) -> NameServerConfig {
    named(server, vec![ProtocolConfig::Udp, ProtocolConfig::Tcp])
}

fn named(server: SocketAddr, protocols: Vec<ProtocolConfig>) -> NameServerConfig {
    let connect = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = server.port();
        connection
    };
    NameServerConfig::new(server.ip(), true, protocols.into_iter().map(connect).collect())
}

fn no_tls() -> Result<TlsConfig, AskError> {
    TlsConfig::new().map_err(AskError::Net)
}

/// TLS that trusts the host's roots. Reading them takes milliseconds, so off the runtime's thread.
async fn host_tls() -> Result<TlsConfig, AskError> {
    let read = || {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = rustls::RootCertStore::empty();
        match (roots.add_parsable_certificates(found.certs), found.errors.into_iter().next()) {
            ((0, _), Some(error)) => Err(AskError::Tls(Arc::new(error))),
            _ => Ok(roots),
        }
    };
    let roots = tokio::task::spawn_blocking(read).await.map_err(|error| AskError::Tls(Arc::new(error)))??;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| AskError::Tls(Arc::new(error)))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConfig { config })
}

fn read(result: Result<hickory_proto::op::DnsResponse, NetError>) -> Result<Reply, AskError> {
    match result {
        Ok(mut response) => match response.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => {
                let rcode = rcode_of(response.response_code);
                let answers = std::mem::take(&mut response.answers);
                Ok(Reply { rcode, answers, negative_ttl: 0 })
            }
            code => Err(AskError::Code(code)),
        },
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => match none.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => Ok(Reply {
                rcode: rcode_of(none.response_code),
                answers: Vec::new(),
                negative_ttl: none.negative_ttl.unwrap_or(0),
            }),
            code => Err(AskError::Code(code)),
        },
        Err(NetError::Dns(DnsError::ResponseCode(code))) => Err(AskError::Code(code)),
        Err(NetError::Timeout) => Err(AskError::Timeout),
        Err(error) => Err(AskError::Net(error)),
    }
}

fn rcode_of(code: ResponseCode) -> Rcode {
    if code == ResponseCode::NXDomain { Rcode::NxDomain } else { Rcode::NoError }
}

fn read_hosts(files: &HostFiles) -> Hosts {
    let mut hosts = Hosts::default();
    let read = fs::File::open(&files.hosts).and_then(|file| hosts.read_hosts_conf(file));
    match read {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("could not read all of {}: {error}", files.hosts.display());
        }
        _ => {}
    }
    hosts
}

/// The addresses in `nameserver` lines. Scoped link-local ones are left out, as the scope would
/// be lost.
fn host_resolvers(files: &HostFiles) -> Vec<IpAddr> {
    let text = fs::read_to_string(&files.resolv_conf).unwrap_or_default();
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        (words.next() == Some("nameserver")).then(|| words.next()?.parse().ok()).flatten()
    };
    text.lines().filter_map(address).take(MAX_HOST_RESOLVERS).collect()
}

fn configure(resolver: &Resolver) -> NameServerConfig {
    let protocols = match resolver {
        Resolver::Plain { address } => return plain(*address),
        Resolver::Tls { name, .. } => ProtocolConfig::Tls { server_name: name.as_str().into() },
        Resolver::Https { name, path, .. } => {
            ProtocolConfig::Https { server_name: name.as_str().into(), path: path.as_str().into() }
        }
    };
    named(resolver.address(), vec![protocols])
}

//! Asks the real resolvers: the host's, the policy's, or one server that the job named.
//!
//! The host's files are read at once, as the job may be able to write them. What they mean is found out
//! by the first question: most of a short job's start-up budget would go into it. Questions are sent one for one: no search list, and no question for the
//! target of a CNAME, so that only decided names are ever asked for.

mod files;
mod hosts;
mod pool;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use hickory_proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use policy::{Name, Resolver};
use tokio::sync::OnceCell;

pub use self::files::HostFiles;
use self::files::Texts;
use self::hosts::Hosts;
use self::pool::{Pool, Roots, configure, host_roots, no_tls, plain, pool, tls};
use crate::asides::Asides;
use crate::response::Rcode;

/// Resolution as a whole; below the five seconds after which glibc asks again.
const DEADLINE: Duration = Duration::from_millis(4500);
/// Servers named by the job that keep their sockets and timings.
const MAX_SERVERS: usize = 64;

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

/// Characters of a cause that are kept.
const CAUSE: usize = 200;

impl AskError {
    /// What led to it, which may be in somebody else's words, and is cut.
    pub(crate) fn cause(&self) -> Option<String> {
        let cause = std::error::Error::source(self)?;
        Some(cause.to_string().chars().take(CAUSE).collect())
    }
}

/// What upstream said; nothing in it has been judged yet.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) rcode: Rcode,
    pub(crate) answers: Vec<Record>,
    /// Seconds that a negative reply holds (RFC 2308 section 5).
    pub(crate) negative_ttl: u32,
}

pub(crate) struct Upstream {
    files: HostFiles,
    texts: Texts,
    /// Whom to trust, if a resolver has to show a certificate.
    roots: Option<Result<Roots, AskError>>,
    resolvers: Vec<Resolver>,
    in_flight: usize,
    main: OnceCell<Result<Pool, AskError>>,
    hosts: OnceLock<Hosts>,
    asides: OnceLock<Asides>,
    servers: Mutex<VecDeque<(SocketAddr, Pool)>>,
}

impl Upstream {
    pub(crate) fn new(files: HostFiles, resolvers: Vec<Resolver>, in_flight: usize) -> Upstream {
        let encrypted = resolvers.iter().any(|resolver| !matches!(resolver, Resolver::Plain { .. }));
        Upstream {
            texts: files.read(),
            roots: encrypted.then(|| host_roots(&files.roots)),
            files,
            resolvers,
            in_flight,
            main: OnceCell::new(),
            hosts: OnceLock::new(),
            asides: OnceLock::new(),
            servers: Mutex::default(),
        }
    }

    /// Asks the named server, or else the host's file of names and then the resolvers.
    pub(crate) async fn ask(&self, server: Option<SocketAddr>, query: Query) -> Result<Reply, AskError> {
        let pool = match server {
            Some(server) => self.server(server)?,
            None => {
                if let Some(reply) = self.host_file(&query) {
                    return Ok(reply);
                }
                self.main.get_or_init(async || self.connect()).await.clone()?
            }
        };
        tokio::time::timeout(DEADLINE, ask(&pool, query)).await.unwrap_or(Err(AskError::Timeout))
    }

    /// Names that programs ask for by themselves, by the host's files.
    pub(crate) fn asides(&self) -> &Asides {
        self.asides.get_or_init(|| self.texts.asides())
    }

    /// The names that the host's file gives an address; nothing about them has been judged.
    pub(crate) fn names_of(&self, address: IpAddr) -> &[Name] {
        self.hosts().names(address)
    }

    fn hosts(&self) -> &Hosts {
        self.hosts.get_or_init(|| self.texts.hosts())
    }

    /// What the host's file of names says, if it knows the name.
    fn host_file(&self, query: &Query) -> Option<Reply> {
        let kind = query.query_type();
        if !matches!(kind, RecordType::A | RecordType::AAAA) {
            return None;
        }
        // A name with an address of one family only has none of the other: as with glibc, the
        // file answers for the name as a whole.
        let known = self.hosts().addresses(&query.name().to_ascii());
        let record = |&address| Record::from_rdata(query.name().clone(), u32::MAX, RData::from(address));
        let answers = known.iter().map(record).filter(|record| record.record_type() == kind).collect();
        let reply = Reply { rcode: Rcode::NoError, answers, negative_ttl: u32::MAX };
        (!known.is_empty()).then_some(reply)
    }

    fn connect(&self) -> Result<Pool, AskError> {
        if self.resolvers.is_empty() {
            let addresses = self.texts.resolvers();
            if addresses.is_empty() {
                return Err(AskError::NoResolver(self.files.resolv_conf.clone()));
            }
            let servers = addresses.into_iter().map(|address| plain(SocketAddr::new(address, 53)));
            return Ok(pool(servers.collect(), no_tls()?, self.in_flight));
        }
        let tls = match &self.roots {
            Some(roots) => tls(roots.clone()?)?,
            None => no_tls()?,
        };
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

fn read(result: Result<DnsResponse, NetError>) -> Result<Reply, AskError> {
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

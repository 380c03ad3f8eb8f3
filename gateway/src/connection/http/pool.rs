//! Connections to intercepted hosts between requests, for all connections of the job: TLS with a host
//! is set up once, not once for each connection of the job.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use policy::Name;
use tokio::time::timeout;

use super::upstream::{Unreached, Upstream, Way, Whom};
use crate::upstream::Destination;

/// After so long servers are likely to have closed the connection.
const MAX_IDLE: Duration = Duration::from_secs(30);
/// Idle connections kept of one host.
const MOST_IDLE: usize = 64;
/// How long a connection may take to be done with its last request.
const SETTLING: Duration = Duration::from_secs(1);

/// A connection to send a request over.
pub(super) struct Acquired {
    pub(super) upstream: Upstream,
    /// It has carried a request before, so that its host may just be closing it.
    pub(super) used: bool,
}

/// The connections of a run.
#[derive(Default)]
pub(crate) struct Pool(Mutex<HashMap<Key, Arc<Host>>>);

/// Name, port and as whom.
type Key = (Name, u16, Option<PathBuf>);

#[derive(Default)]
struct Host {
    /// HTTP/1 connections without a request, and since when.
    idle: Mutex<Vec<(Upstream, Instant)>>,
    /// Locked while a connection is set up, so that requests at the same time share one.
    http2: tokio::sync::Mutex<Http2>,
}

#[derive(Default)]
enum Http2 {
    #[default]
    Unknown,
    Connected(Upstream),
    /// The host speaks HTTP/1 only.
    Refused,
}

impl Pool {
    /// A connection for a request: one that is there, or a new one. A request of HTTP/2 takes either
    /// version.
    pub(super) async fn acquire(&self, way: &Way<'_>, http2: bool) -> Result<Acquired, Unreached> {
        let Some(host) = self.host(&way.whom) else {
            return Ok(Acquired { upstream: way.connect(http2).await?, used: false });
        };
        if http2 {
            let mut shared = host.http2.lock().await;
            if let Http2::Connected(upstream) = &mut *shared
                && upstream.is_usable().await
                && let Some(upstream) = upstream.share()
            {
                return Ok(Acquired { upstream, used: true });
            }
            if !matches!(*shared, Http2::Refused) {
                let upstream = way.connect(true).await?;
                *shared = upstream.share().map_or(Http2::Refused, Http2::Connected);
                return Ok(Acquired { upstream, used: false });
            }
        }
        match host.take_idle() {
            Some(upstream) => Ok(Acquired { upstream, used: true }),
            None => Ok(Acquired { upstream: way.connect(false).await?, used: false }),
        }
    }

    /// Takes a connection back once it is done with its last request.
    pub(super) fn put(&self, mut upstream: Upstream) {
        let Some(host) = self.host(&upstream.whom) else { return };
        tokio::spawn(async move {
            if timeout(SETTLING, upstream.is_usable()).await == Ok(true) {
                host.put_idle(upstream);
            }
        });
    }

    /// An address of its own has no connections to share.
    fn host(&self, whom: &Whom) -> Option<Arc<Host>> {
        let Destination::Name { name, port, .. } = &whom.destination else { return None };
        let mut hosts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Some(hosts.entry((name.clone(), *port, whom.identity.clone())).or_default().clone())
    }
}

impl Host {
    fn take_idle(&self) -> Option<Upstream> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((upstream, since)) = idle.pop() {
            if since.elapsed() < MAX_IDLE && upstream.is_ready() {
                return Some(upstream);
            }
        }
        None
    }

    fn put_idle(&self, upstream: Upstream) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|(upstream, since)| since.elapsed() < MAX_IDLE && upstream.is_ready());
        if idle.len() < MOST_IDLE {
            idle.push((upstream, Instant::now()));
        }
    }
}

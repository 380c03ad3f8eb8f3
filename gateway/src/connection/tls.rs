//! TLS whose requests are judged: opened towards the job with the run's own certificate.

use std::io;
use std::sync::Arc;

use policy::{Name, Reason};
use rustls::AlertDescription;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::Connection;
use super::http::{Pool, Prefixed, Session};
use super::judged::Judged;
use crate::audit::Kind;
use crate::causes::chain;
use crate::intercept::Intercept;
use crate::relay::reset;
use crate::upstream::Destination;
use crate::upstream::tls::agreed_on_http2;

/// What intercepted connections share.
pub struct Interception {
    /// Certificates, and whom hosts are verified with.
    pub(super) intercept: Intercept,
    /// Connections to hosts.
    pub(super) pool: Pool,
    /// Connections of HTTP/2 that the job may have more.
    connections: Arc<Semaphore>,
    /// Requests of HTTP/2 that may be under way more.
    pub(super) requests: Arc<Semaphore>,
}

/// Connections of HTTP/2 at once: each may keep a window of what its host does not take.
const MOST_CONNECTIONS: usize = 1024;
/// Requests of HTTP/2 at once, over all connections: each may keep a buffer of what the job does not take.
pub(super) const MOST_REQUESTS: usize = 4096;

/// The TLS around a connection's requests.
pub(super) struct Secure {
    /// The server name: every request has to name it.
    pub(super) name: Name,
    /// Where it was decided that the connection goes.
    pub(super) destination: Destination,
    pub(super) interception: Arc<Interception>,
}

impl Interception {
    /// Without a connection yet.
    pub fn new(intercept: Intercept) -> Interception {
        Interception {
            intercept,
            pool: Pool::default(),
            connections: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
            requests: Arc::new(Semaphore::new(MOST_REQUESTS)),
        }
    }
}

/// Opens TLS to the host `name`, whose ClientHello is in `received`, and judges every request inside.
/// Their records tell what became of the connection; it has one of its own if it comes to none.
pub(super) async fn open(
    mut connection: Connection<'_>,
    interception: Arc<Interception>,
    name: Name,
    judged: Judged<'_>,
    received: Vec<u8>,
) {
    let mut report = connection.report(Kind::Tls, &judged);
    let patience = connection.context.policy.limits().sniff_timeout;
    let acceptor = TlsAcceptor::from(interception.intercept.server());
    // The end of the run waits for what the client has to say about the certificate.
    let handshake = connection.upload.take();
    let places = interception.connections.clone();
    let secure = Secure { name: name.clone(), destination: judged.destination, interception };
    let mut session = Session::new(connection, Some(secure));
    let job = session.job();
    let accepted = timeout(patience, acceptor.accept(Prefixed::new(received, job.clone()))).await;
    drop(handshake);
    match accepted {
        Ok(Ok(stream)) if names(stream.get_ref().1.server_name(), &name) => {
            if !agreed_on_http2(stream.get_ref().1.alpn_protocol()) {
                session.told_by_requests(report);
                return session.serve_http1(stream).await;
            }
            match places.try_acquire_owned() {
                Ok(_place) => {
                    session.told_by_requests(report);
                    session.serve_http2(stream).await;
                }
                Err(_) => {
                    let why = format!("more than {MOST_CONNECTIONS} HTTP/2 connections at once");
                    report.failed(Reason::Limit, &io::Error::other(why));
                    reset(&job);
                }
            }
        }
        Ok(Ok(_)) => {
            report.detail("the server name was read in two ways");
            reset(&job);
        }
        Ok(Err(error)) => report.detail(mistrust(&error, &name)),
        Err(_) => {
            report.detail("the client did not complete TLS in time");
            reset(&job);
        }
    }
}

/// The TLS library has to have read the name that was judged.
fn names(read: Option<&str>, judged: &Name) -> bool {
    read.and_then(|read| Name::from_ascii(read.as_bytes()).ok()).as_ref() == Some(judged)
}

/// Why a client gave up, and what to do about it.
fn mistrust(error: &io::Error, name: &Name) -> String {
    let alert = match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::AlertReceived(alert)) => Some(*alert),
        _ => None,
    };
    let gone = matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset);
    let why = match alert {
        Some(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnsupportedCertificate,
        ) => "the client does not trust the certificates of this run",
        // Some say nothing.
        None if gone => "the client hung up when it saw the certificate of this run",
        _ => return format!("no TLS with the client: {}", chain(error)),
    };
    format!("{why}; TLS is not opened for hosts that are allowed as a whole: --allow {name}")
}

//! CONNECT: the bytes within are judged as a connection of their own.

use std::net::SocketAddr;

use policy::Mode;

use super::closing::linger;
use super::{Connection, denial};
use crate::audit::{Kind, Outcome, hold};
use crate::rego::{Protocol, Question};
use crate::relay::write_all;
use crate::sniff::RequestHead;
use crate::sniff::authority::{Authority, Host};

impl Connection<'_> {
    /// Answers a CONNECT as a proxy would, whatever proxy the job meant, and judges what is inside.
    pub(super) async fn connect(mut self, authority: Authority, head: &RequestHead, mut received: Vec<u8>) {
        let context = self.context;
        let port = authority.port.unwrap_or(self.original_dst.port());
        let judged = self.target().tunnel(&context.policy, &authority, port);
        let name = match &authority.host {
            Host::Name(name) => Some(name.to_string()),
            Host::Address(_) => None,
        };
        let question = || Question {
            name,
            port: Some(port),
            method: Some("CONNECT".to_owned()),
            ..Question::new(Protocol::Connect)
        };
        let judged = self.counted(context.advised(judged, self.origin.as_ref(), None, question).await);
        let passes = judged.verdict.is_ok() || context.policy.mode() == Mode::Monitor;
        if !passes || self.tunnelled {
            let mut report = self.report(Kind::Http, &judged);
            if self.tunnelled {
                report.detail("CONNECT within CONNECT");
            }
            report.request("CONNECT", format!("{authority}"));
            let text = denial::http_response(&format!("CONNECT {authority}"), &report, head.version);
            hold(self.origin.as_ref(), Outcome::Deny).await;
            // The job may have hung up; the denial is recorded all the same.
            let _ = write_all(&self.stream, &text).await;
            linger(self.stream).await;
            return;
        }
        if write_all(&self.stream, b"HTTP/1.1 200 Connection established\r\n\r\n").await.is_err() {
            return;
        }
        received.drain(..head.length.min(received.len()));
        self.tunnelled = true;
        match authority.host {
            Host::Name(name) => {
                self.names = context.dns.names_of(self.original_dst.ip());
                self.names.retain(|known| *known == name);
                self.original_dst.set_port(port);
                self.tunnel = Some(name);
            }
            Host::Address(address) => {
                self.original_dst = SocketAddr::new(address, port);
                self.names = context.dns.names_of(address);
                self.synthetic = context.dns.synthetic_name(address).is_some();
            }
        }
        Box::pin(self.run(received)).await;
    }
}

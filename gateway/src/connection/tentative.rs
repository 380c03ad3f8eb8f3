//! Connections that do not tell at once what they speak: a server that speaks first, a short first message.

use tokio::net::TcpStream;

use super::judged::Judged;
use super::sniffing::{Sniffed, sniff};
use super::{CUT, Connection, TENTATIVE, TENTATIVE_AGAIN, cut_head};
use crate::audit::Kind;
use crate::counters::Counters;
use crate::relay::{Ended, no_reset, relay, reset, send_all};
use crate::sniff::{Protocol, Sniffer};
use crate::upstream::Destination;

/// A connection on which upstream has spoken, which is to be reset if it is not taken.
pub(super) struct Open {
    upstream: TcpStream,
    /// Where it was to go.
    way: Destination,
    /// Octets of the job's that it has had.
    sent: u64,
}

impl Open {
    /// What is left of it for what may go to this destination. A name leads to one of many addresses, and a rule for an
    /// address to no other.
    pub(super) fn towards(self, destination: &Destination, anywhere: bool) -> Option<(TcpStream, usize)> {
        let is_there = match destination {
            Destination::Address(address) => self.upstream.peer_addr().is_ok_and(|peer| peer == *address),
            Destination::Name { .. } => false,
        };
        let is_meant = anywhere || is_there || self.way == *destination;
        is_meant.then(|| {
            no_reset(&self.upstream);
            (self.upstream, usize::try_from(self.sent).unwrap_or(usize::MAX))
        })
    }
}

impl Connection<'_> {
    /// Opaque bytes may pass, and what the job sent so far could still become TLS or HTTP. It goes
    /// on its way: a head that is not complete makes no server act. What completes it is held back
    /// and judged, and then said anew on another connection, unless upstream has spoken on this one, which then goes
    /// on if it leads where the verdict says. What upstream says meanwhile is the job's to hear, and decides nothing.
    pub(super) async fn tentative(mut self, judged: Judged<'_>, received: Vec<u8>) {
        let judged = self.counted(judged);
        let mut report = self.report(Kind::Tcp, &judged);
        if !report.passes() {
            drop(report);
            self.close_with(&[]).await;
            return;
        }
        let way = self.way_through(&judged);
        let upstream = match self.context.dialer.dial(&way).await {
            Ok(upstream) => upstream,
            Err(error) => {
                report.failed(error.reason(), &error);
                drop(report);
                self.close_with(&[]).await;
                return;
            }
        };
        let counters = report.counters();
        let upload = self.upload.take();
        let idle = self.context.policy.limits().idle_timeout;
        let opening = self.open_opaquely(&upstream, received, &counters);
        let answer = self.held();
        let relayed = relay(&self.stream, &upstream, &counters, idle, opening, answer, || drop(upload)).await;
        let Err(Ended::Refused(instead)) = relayed else { return };
        // What is judged anew has a record of its own, and this one is kept only for what was said on this
        // connection. One that simply broke has no other.
        let silent = counters.up() == 0 && counters.down() == 0;
        if silent && !matches!(instead, Sniffed::Quiet(_) | Sniffed::Broken) {
            report.withdraw();
        }
        // An orderly end could complete for some servers what was sent so far.
        reset(&upstream);
        // On another connection upstream would say anew what it has said.
        let open = Open { upstream, way, sent: counters.up() };
        let open = (counters.down() > 0).then_some(open);
        match instead {
            Sniffed::Protocol(protocol, all) if open.is_none() => self.speak(protocol, judged, all).await,
            Sniffed::Protocol(_, all) => {
                self.malformed("TLS or HTTP after the server spoke", all, open).await
            }
            Sniffed::Malformed(why, all) => self.malformed(why, all, open).await,
            Sniffed::Limit(why, all) => self.too_much(why, all, open).await,
            Sniffed::Ended(all) => self.malformed(CUT, all, open).await,
            Sniffed::Quiet(_) | Sniffed::Broken => reset(&self.stream),
        }
    }

    /// Sends on what cannot be a complete head, until it is clear that there is none, and says whether upstream
    /// took it; otherwise what it is instead.
    async fn open_opaquely(
        &self,
        upstream: &TcpStream,
        mut received: Vec<u8>,
        counters: &Counters,
    ) -> Result<bool, Sniffed> {
        let mut forwarded = 0;
        // One for all rounds: however small they are, each byte is looked at once.
        let mut sniffer = Sniffer::default();
        loop {
            let rest = received.get(forwarded..).unwrap_or_default();
            if send_all(upstream, rest, counters).await.is_err() {
                return Ok(false);
            }
            forwarded = received.len();
            self.stream.readable().await.map_err(|_| Sniffed::Broken)?;
            let patience = if forwarded == 0 { TENTATIVE } else { TENTATIVE_AGAIN };
            let limits = self.context.policy.limits();
            let sniffed = sniff(&self.stream, &mut sniffer, received, limits, patience).await;
            match sniffed {
                Sniffed::Quiet(all) => received = all,
                Sniffed::Ended(all) if cut_head(&all) => return Err(Sniffed::Ended(all)),
                Sniffed::Protocol(Protocol::Opaque, all) | Sniffed::Ended(all) => {
                    let rest = all.get(forwarded..).unwrap_or_default();
                    return Ok(send_all(upstream, rest, counters).await.is_ok());
                }
                instead => return Err(instead),
            }
        }
    }
}

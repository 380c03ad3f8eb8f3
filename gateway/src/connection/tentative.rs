//! Connections that do not tell at once what they speak: a server that speaks first, a short first message.

use policy::Reason;
use tokio::net::TcpStream;

use super::judge::Judged;
use super::sniffing::{Sniffed, sniff};
use super::{CUT, Connection, TENTATIVE, cut_head, denial};
use crate::audit::Kind;
use crate::counters::Counters;
use crate::rego::Protocol as Asked;
use crate::relay::{Ended, relay, reset, send_all};
use crate::sniff::Protocol;

impl Connection<'_> {
    /// Opaque bytes may pass, and what the job sent so far could still become TLS or HTTP. It goes
    /// on its way: a head that is not complete makes no server act. What completes it is held back
    /// and judged, and then said anew on another connection. What upstream says meanwhile is
    /// the job's to hear, and decides nothing.
    pub(super) async fn tentative(mut self, judged: Judged<'_>, received: Vec<u8>) {
        let judged = self.counted(judged);
        let mut report = self.report(Kind::Tcp, &judged);
        if !report.passes() {
            drop(report);
            self.close_with(&[]).await;
            return;
        }
        let upstream = match self.context.dialer.dial(&self.way_through(&judged)).await {
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
        let instead = match instead {
            // On another connection upstream would say anew what it has said.
            instead if counters.down() > 0 => return self.go_on(upstream, instead, counters.up()).await,
            instead => instead,
        };
        // An orderly end could complete for some servers what was sent so far.
        reset(&upstream);
        drop(upstream);
        match instead {
            Sniffed::Protocol(protocol, all) => self.speak(protocol, judged, all).await,
            Sniffed::Malformed(why, all) => self.malformed(why, all).await,
            Sniffed::Limit(why, all) => self.too_much(why, all).await,
            Sniffed::Ended(all) => self.malformed(CUT, all).await,
            Sniffed::Quiet(_) | Sniffed::Broken => reset(&self.stream),
        }
    }

    /// The job goes on with what is no opaque stream, after upstream has spoken: it passes on the same connection,
    /// which has had so many octets of it, or not at all.
    async fn go_on(self, upstream: TcpStream, instead: Sniffed, sent: u64) {
        let (reason, why, all) = match instead {
            Sniffed::Protocol(_, all) => (Reason::Malformed, "TLS or HTTP after the server spoke", all),
            Sniffed::Malformed(why, all) => (Reason::Malformed, why, all),
            Sniffed::Limit(why, all) => (Reason::Limit, why, all),
            Sniffed::Ended(all) => (Reason::Malformed, CUT, all),
            Sniffed::Quiet(_) | Sniffed::Broken => {
                reset(&upstream);
                return reset(&self.stream);
            }
        };
        let mut judged = self.advised(self.target().malformed(&self.context.policy), Asked::Tcp).await;
        if let Err(denied) = &mut judged.verdict {
            denied.reason = reason;
        }
        let mut report = self.report(Kind::Tcp, &judged);
        report.detail(why);
        if !report.passes() {
            reset(&upstream);
            let last_words = denial::last_words(Kind::Tcp, &all, &report);
            drop(report);
            return self.close_with(&last_words).await;
        }
        let rest = usize::try_from(sent).ok().and_then(|sent| all.get(sent..)).unwrap_or_default();
        let opened = send_all(&upstream, rest, &report.counters()).await.is_ok();
        self.splice(&upstream, &report, opened).await;
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
        loop {
            let rest = received.get(forwarded..).unwrap_or_default();
            if send_all(upstream, rest, counters).await.is_err() {
                return Ok(false);
            }
            forwarded = received.len();
            self.stream.readable().await.map_err(|_| Sniffed::Broken)?;
            let sniffed = sniff(&self.stream, received, self.context.policy.limits(), TENTATIVE).await;
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

//! What all connections of a run share.

use std::net::SocketAddr;
use std::sync::Arc;

use dns::Dns;
use policy::{Advice, Policy};

use super::judged::Judged;
use super::{Budgets, Interception};
use crate::audit::{Audit, Origin};
use crate::rego::{Question, Rego};
use crate::relay::Uploads;
use crate::upstream::Dialer;
use crate::who::Who;

/// What all connections of a run share.
#[derive(Clone)]
pub struct Context {
    /// The rules.
    pub policy: Arc<Policy>,
    /// Names and their addresses.
    pub dns: Arc<Dns>,
    /// The way out.
    pub dialer: Dialer,
    /// The log.
    pub audit: Audit,
    /// Who knows which program in the job it is.
    pub who: Who,
    /// What the job's end waits for.
    pub uploads: Uploads,
    /// What may still be uploaded under rules with a limit.
    pub budgets: Arc<Budgets>,
    /// What URL rules inside TLS take; `None` if there are none.
    pub interception: Option<Arc<Interception>>,
    /// Rules beside the policy's; `None` if there are none.
    pub rego: Option<Arc<Rego>>,
}

impl Context {
    /// The verdict with what the rules beside the policy's say to the question. `sent` is the address that
    /// the job sent to, if it is one.
    pub(super) async fn advised<'p>(
        &self,
        judged: Judged<'p>,
        origin: Option<&Origin>,
        sent: Option<SocketAddr>,
        question: impl FnOnce() -> Question,
    ) -> Judged<'p> {
        let Some(rego) = &self.rego else { return judged };
        let address = judged.address(sent);
        let nowhere = question();
        let question = Question { address: address.map(|address| address.ip()), ..nowhere.clone() };
        let opinion = rego.advise(question, origin).await;
        let judged = match address {
            // The name was the job's to choose, so what is allowed for the address goes nowhere else.
            Some(address)
                if judged.would_go_by_name(&opinion)
                    && rego.advise(nowhere, origin).await.advice != Advice::Allow =>
            {
                judged.bound_to(address)
            }
            _ => judged,
        };
        judged.advised(opinion, |name| self.dns.grant(name))
    }
}

//! Filters what upstream said down to what was asked for and what the policy lets through. Pure.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use hickory_proto::rr::rdata::svcb::{IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, AAAA, SVCB};
use hickory_proto::rr::{DNSClass, Name, RData, Record};

use crate::kind::Kind;

/// CNAMEs that are followed within one reply.
const MAX_CHAIN: usize = 16;

/// The records that go to the job.
#[derive(Debug, Default)]
pub(crate) struct Filtered {
    pub(crate) records: Vec<Record>,
    /// Addresses in them, also those that HTTPS and SVCB records hint at.
    pub(crate) addresses: Vec<IpAddr>,
    /// Addresses that the policy did not let through.
    pub(crate) refused: Vec<IpAddr>,
}

/// Keeps the chain of CNAMEs from the asked name and the records of the asked type at its end.
/// `ttl` bounds every time to live, `passes` judges every address.
pub(crate) fn filter(
    asked: &Name,
    kind: Kind,
    answers: Vec<Record>,
    ttl: RangeInclusive<u32>,
    passes: impl Fn(IpAddr) -> bool,
) -> Filtered {
    let mut filtered = Filtered::default();
    let answers: Vec<Record> =
        answers.into_iter().filter(|record| record.dns_class == DNSClass::IN).collect();
    let mut owner = asked.clone();
    if kind != Kind::CNAME && kind != Kind::ANY {
        while let Some((link, target)) = cname(&answers, &owner) {
            if filtered.records.len() == MAX_CHAIN {
                // A loop, or as good as one.
                return Filtered::default();
            }
            filtered.records.push(link.clone());
            owner = target.clone();
        }
    }
    let links = filtered.records.len();
    for mut record in answers {
        if record.name == owner
            && (kind == Kind::ANY || u16::from(record.record_type()) == kind.0)
            && filtered.pass(&mut record.data, &passes)
        {
            filtered.records.push(record);
        }
    }
    if filtered.records.len() == links && !filtered.refused.is_empty() {
        // Nothing is left but the names on the way to a refused address.
        filtered.records.clear();
    }
    for record in &mut filtered.records {
        record.ttl = record.ttl.clamp(*ttl.start(), *ttl.end());
    }
    filtered
}

fn cname<'a>(answers: &'a [Record], owner: &Name) -> Option<(&'a Record, &'a Name)> {
    answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *owner => Some((record, &target.0)),
        _ => None,
    })
}

impl Filtered {
    /// Whether the record may be shown, after what may not has been taken out of it.
    fn pass(&mut self, data: &mut RData, passes: &impl Fn(IpAddr) -> bool) -> bool {
        match data {
            RData::A(A(address)) => self.judge((*address).into(), passes),
            RData::AAAA(AAAA(address)) => self.judge((*address).into(), passes),
            RData::HTTPS(record) => self.pass_service(&mut record.0, passes),
            RData::SVCB(record) => self.pass_service(record, passes),
            _ => true,
        }
    }

    fn judge(&mut self, address: IpAddr, passes: &impl Fn(IpAddr) -> bool) -> bool {
        let pass = passes(address);
        let list = if pass { &mut self.addresses } else { &mut self.refused };
        if !list.contains(&address) {
            list.push(address);
        }
        pass
    }

    /// Without ECH keys (RFC 9849): the gateway has to read the server name. Hints are addresses
    /// like any other.
    fn pass_service(&mut self, record: &mut SVCB, passes: &impl Fn(IpAddr) -> bool) -> bool {
        let before: Vec<SvcParamKey> = record.svc_params.iter().map(|(key, _)| *key).collect();
        record.svc_params.retain_mut(|(key, value)| match value {
            SvcParamValue::Ipv4Hint(IpHint(hints)) => {
                hints.retain(|&A(address)| self.judge(address.into(), passes));
                !hints.is_empty()
            }
            SvcParamValue::Ipv6Hint(IpHint(hints)) => {
                hints.retain(|&AAAA(address)| self.judge(address.into(), passes));
                !hints.is_empty()
            }
            _ => *key != SvcParamKey::EchConfigList,
        });
        let kept = |key: &SvcParamKey| record.svc_params.iter().any(|(other, _)| other == key);
        let gone: Vec<SvcParamKey> = before.into_iter().filter(|key| !kept(key)).collect();
        // A record whose mandatory key is gone would be malformed (RFC 9460 section 8).
        !record.svc_params.iter().any(|(_, value)| match value {
            SvcParamValue::Mandatory(mandatory) => mandatory.0.iter().any(|key| gone.contains(key)),
            _ => false,
        })
    }
}

#[cfg(test)]
mod tests;

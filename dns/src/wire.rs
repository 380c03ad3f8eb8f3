//! The border to hickory-proto: names and records as they go over the wire. Pure.

use hickory_proto::ProtoError;
use hickory_proto::rr::{Name as WireName, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncodable, BinEncoder};
use policy::Name;

use crate::question::Question;
use crate::response::{Rcode, bare, put_opt, start, truncated};

/// Octets in a header (RFC 1035 section 4.1.1).
const HEADER: u32 = 12;

impl Question<'_> {
    /// The name as the client spells it; upper and lower case are kept (draft-vixie-dnsext-dns0x20).
    pub(crate) fn wire_name(&self) -> WireName {
        // The section has been parsed as a name without pointers, so it always decodes; the root
        // stands for nothing that is ever resolved.
        WireName::read(&mut BinDecoder::new(self.section)).unwrap_or_else(|_| WireName::root())
    }
}

/// A name of the policy, absolute.
pub(crate) fn wire_name(name: &Name) -> WireName {
    // Its labels are letters, digits and hyphens within DNS's limits, so it always parses.
    let mut wire = WireName::from_ascii(name.as_str()).unwrap_or_else(|_| WireName::root());
    wire.set_fqdn(true);
    wire
}

/// A response with records; one that says "truncated" if they do not fit in a datagram of `limit`
/// octets, `None` if they do not fit in any message.
pub(crate) fn with_records(
    question: &Question<'_>,
    rcode: Rcode,
    records: &[Record],
    limit: usize,
) -> Option<Vec<u8>> {
    if records.is_empty() {
        return Some(bare(question, rcode, None, limit));
    }
    let encoded = encode(question, rcode, records).ok().filter(|bytes| bytes.len() <= limit);
    let is_stream = limit >= usize::from(u16::MAX);
    encoded.or_else(|| (!is_stream).then(|| truncated(question)))
}

fn encode(question: &Question<'_>, rcode: Rcode, records: &[Record]) -> Result<Vec<u8>, ProtoError> {
    let mut bytes = start(question.head, rcode, &[], false);
    let mut encoder = BinEncoder::with_offset(&mut bytes, HEADER);
    // The same octets as in the query, and the encoder learns where to point to.
    question.wire_name().emit(&mut encoder)?;
    encoder.emit_u16(question.kind.0)?;
    encoder.emit_u16(question.class)?;
    for record in records {
        record.emit(&mut encoder)?;
    }
    let count = u16::try_from(records.len()).map_err(|_| ProtoError::Message("too many records"))?;
    bytes[5] = 1;
    bytes[6..8].copy_from_slice(&count.to_be_bytes());
    if let Some(edns) = question.edns {
        put_opt(&mut bytes, rcode, edns.dnssec_ok, None, usize::MAX);
    }
    Ok(bytes)
}

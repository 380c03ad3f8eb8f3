//! Responses written by hand: denials and failures, which carry no records. Pure.

use crate::question::{Edns, Head, Question};

/// UDP payload that every client takes (RFC 1035 section 4.2.1).
const PLAIN_UDP: usize = 512;
/// Octets of an OPT record without options.
const OPT: usize = 11;
/// Octets in front of an Extended DNS Error's text: option code, length, info code.
const EDE: usize = 6;
/// What we say we take over UDP; the value that DNS Flag Day 2020 recommends.
pub(crate) const OUR_PAYLOAD: u16 = 1232;

/// Response codes (RFC 1035 section 4.1.1, RFC 6891 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rcode {
    /// Also for a name without records of the type.
    NoError = 0,
    /// The query is malformed.
    FormErr = 1,
    /// Upstream could not answer.
    ServFail = 2,
    /// The name does not exist, or is denied.
    NxDomain = 3,
    /// The opcode is not QUERY.
    NotImp = 4,
    /// The server or the type is denied.
    Refused = 5,
    /// Unknown EDNS version; twelve bits, the upper eight of them in the OPT record.
    BadVers = 16,
}

/// An Extended DNS Error (RFC 8914): why, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extended<'a> {
    /// The info code, see the constants of this module.
    pub code: u16,
    /// The text; cut if the response would not fit.
    pub text: &'a str,
}

/// "Other": the text says it all.
pub const OTHER: u16 = 0;
/// "Filtered": policy of the client's own side.
pub const FILTERED: u16 = 17;
/// "Prohibited": the client may not ask this server.
pub const PROHIBITED: u16 = 18;
/// "No Reachable Authority".
pub const NO_REACHABLE_AUTHORITY: u16 = 22;
/// "Network Error".
pub const NETWORK_ERROR: u16 = 23;

/// How the query came, and so how the response goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// One datagram; sizes are limited by what the client takes.
    Udp,
    /// A stream, each message with two octets of length in front (RFC 1035 section 4.2.2).
    Tcp,
}

/// Octets that a response may have.
pub fn size_limit(edns: Option<Edns>, transport: Transport) -> usize {
    match (transport, edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => PLAIN_UDP,
        (Transport::Udp, Some(edns)) => usize::from(edns.udp_payload).max(PLAIN_UDP),
    }
}

/// A response to a question, without records. The error's text needs the client's EDNS.
pub fn bare(question: &Question<'_>, rcode: Rcode, extended: Option<Extended<'_>>, limit: usize) -> Vec<u8> {
    let mut bytes = start(question.head, rcode, question.section, false);
    if let Some(edns) = question.edns {
        put_opt(&mut bytes, rcode, edns.dnssec_ok, extended, limit);
    }
    bytes
}

/// The response that sends the client over to TCP (RFC 2181 section 9: no partial records).
pub fn truncated(question: &Question<'_>) -> Vec<u8> {
    let mut bytes = start(question.head, Rcode::NoError, question.section, true);
    if let Some(edns) = question.edns {
        put_opt(&mut bytes, Rcode::NoError, edns.dnssec_ok, None, usize::MAX);
    }
    bytes
}

/// A response to something that has no readable question; BADVERS brings the OPT record with it.
pub fn headless(head: Head, rcode: Rcode) -> Vec<u8> {
    let mut bytes = start(head, rcode, &[], false);
    if rcode == Rcode::BadVers {
        put_opt(&mut bytes, rcode, false, None, usize::MAX);
    }
    bytes
}

pub(crate) fn start(head: Head, rcode: Rcode, section: &[u8], truncated: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(12 + section.len() + OPT + EDE + 128);
    bytes.extend(head.id.to_be_bytes());
    bytes.push(0x80 | head.opcode << 3 | u8::from(truncated) << 1 | u8::from(head.recursion_desired));
    // RA is set: whatever is allowed gets resolved. AD never is: nothing is validated.
    bytes.push(0x80 | u8::from(head.checking_disabled) << 4 | rcode as u8 & 0xf);
    let questions = u16::from(!section.is_empty());
    for count in [questions, 0, 0, 0] {
        bytes.extend(count.to_be_bytes());
    }
    bytes.extend_from_slice(section);
    bytes
}

pub(crate) fn put_opt(
    bytes: &mut Vec<u8>,
    rcode: Rcode,
    dnssec_ok: bool,
    extended: Option<Extended<'_>>,
    limit: usize,
) {
    bytes[11] = 1;
    bytes.extend([0, 0, 41]);
    bytes.extend(OUR_PAYLOAD.to_be_bytes());
    bytes.extend([(rcode as u16 >> 4) as u8, 0, u8::from(dnssec_ok) << 7, 0]);
    let room = limit.saturating_sub(bytes.len() + 2);
    let Some(Extended { code, text }) = extended.filter(|_| room >= EDE) else {
        bytes.extend([0, 0]);
        return;
    };
    let mut end = text.len().min(room.min(1024) - EDE);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text[..end];
    let length = text.len() as u16;
    bytes.extend((4 + length + 2).to_be_bytes());
    // Option 15 is the Extended DNS Error.
    bytes.extend([0, 15]);
    bytes.extend((2 + length).to_be_bytes());
    bytes.extend(code.to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::{Message, ResponseCode};
    use hickory_proto::rr::rdata::opt::EdnsCode;

    use super::*;
    use crate::question::parse;
    use crate::testing::{Query, query};

    fn decode(bytes: &[u8]) -> Message {
        Message::from_vec(bytes).expect("a library reads it")
    }

    #[test]
    fn a_denial_without_edns_has_no_opt() {
        let bytes = query("evil.example", 1);
        let question = parse(&bytes).expect("parses");
        let extended = Some(Extended { code: FILTERED, text: "not-allowed" });
        let response = bare(&question, Rcode::NxDomain, extended, 512);
        let message = decode(&response);
        assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
        assert_eq!(message.metadata.id, 0x1234);
        assert!(message.metadata.recursion_available && !message.metadata.authentic_data);
        assert!(message.edns.is_none() && message.answers.is_empty() && message.authorities.is_empty());
        assert_eq!(message.queries[0].name().to_string(), "evil.example.");
    }

    #[test]
    fn a_denial_with_edns_says_why() {
        let bytes = Query { opt: Some((0, 1232, true, &[])), ..Query::default() }.bytes();
        let question = parse(&bytes).expect("parses");
        let extended = Some(Extended { code: FILTERED, text: "cijail-net: not-allowed" });
        let message = decode(&bare(&question, Rcode::NxDomain, extended, 1232));
        let edns = message.edns.expect("has EDNS");
        assert!(edns.flags().dnssec_ok);
        let option = edns.option(EdnsCode::from(15)).expect("has an extended error");
        let option: Vec<u8> = option.try_into().expect("encodes");
        assert_eq!(option, b"\0\x11cijail-net: not-allowed");
    }

    #[test]
    fn the_text_is_cut_to_fit() {
        let label: &[u8] = &[b'a'; 60];
        let labels = [label; 4];
        let bytes = Query { labels: &labels, opt: Some((0, 512, false, &[])), ..Query::default() }.bytes();
        let question = parse(&bytes).expect("parses");
        let text = "ü".repeat(400);
        let extended = Some(Extended { code: FILTERED, text: &text });
        let response = bare(&question, Rcode::NxDomain, extended, size_limit(question.edns, Transport::Udp));
        assert!(response.len() <= 512 && response.len() > 500, "{}", response.len());
        assert!(decode(&response).edns.is_some());
        for limit in 0..600 {
            decode(&bare(&question, Rcode::NxDomain, extended, limit));
        }
    }

    #[test]
    fn errors_without_a_question() {
        let head = Head { id: 7, opcode: 5, recursion_desired: false, checking_disabled: false };
        let message = decode(&headless(head, Rcode::NotImp));
        assert_eq!(message.metadata.response_code, ResponseCode::NotImp);
        let message = decode(&headless(Head { opcode: 0, ..head }, Rcode::BadVers));
        assert_eq!(u16::from(message.metadata.response_code), 16);
    }

    #[test]
    fn truncation_asks_for_tcp() {
        let bytes = query("big.example", 16);
        let message = decode(&truncated(&parse(&bytes).expect("parses")));
        assert!(message.metadata.truncation && message.answers.is_empty());
    }
}

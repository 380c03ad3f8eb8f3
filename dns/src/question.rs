//! One DNS question as it came from the job. Pure; `server` and `stream` do the I/O around it.
//!
//! Strict on purpose: a denied question never reaches a library, and what is not understood here is
//! refused, not passed on. EDNS options are dropped unread, so they cannot carry data upstream.

use policy::Name;

use crate::kind::Kind;

/// Octets in a header (RFC 1035 section 4.1.1).
const HEADER: usize = 12;
/// Octets in a name, with length octets and the root label (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;
const MAX_LABEL: u8 = 63;
/// RR type OPT (RFC 6891).
const OPT: u16 = 41;
/// The DO bit in an OPT record's flags (RFC 3225).
const DNSSEC_OK: u16 = 0x8000;

/// A well-formed query with exactly one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question<'a> {
    /// What a response repeats from the header.
    pub head: Head,
    /// The name that is asked for.
    pub name: QuestionName,
    /// The type that is asked for.
    pub kind: Kind,
    /// The class; 1 is IN.
    pub class: u16,
    /// The client's EDNS parameters, if it sent an OPT record.
    pub edns: Option<Edns>,
    /// The question section as it stands in the query: name, type and class.
    pub(crate) section: &'a [u8],
}

/// Header fields that a response repeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The message's id.
    pub id: u16,
    /// The opcode, four bits.
    pub opcode: u8,
    /// The RD flag.
    pub recursion_desired: bool,
    /// The CD flag.
    pub checking_disabled: bool,
}

/// The name in a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionName {
    /// A host name that rules can be compared with.
    Host(Name),
    /// Anything else that DNS can carry (`_service` labels, other bytes, the root), escaped for
    /// logs as RFC 1035 section 5.1 writes it. No rule matches it.
    Other(String),
}

/// EDNS parameters of the client (RFC 6891 section 6.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edns {
    /// Octets of UDP payload that the client takes.
    pub udp_payload: u16,
    /// The DO flag.
    pub dnssec_ok: bool,
}

/// Why a message is not a question that can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// No whole header, or a response: it gets no answer, as two servers could answer each other
    /// for ever.
    #[error("message is no DNS query")]
    NotAQuery,
    /// An opcode other than QUERY: NOTIMP.
    #[error("opcode is not QUERY")]
    Opcode(Head),
    /// FORMERR.
    #[error("malformed DNS query")]
    Malformed(Head),
    /// An EDNS version other than 0: BADVERS.
    #[error("unknown EDNS version")]
    EdnsVersion(Head),
}

impl QuestionName {
    /// The text for logs; safe to print.
    pub fn as_str(&self) -> &str {
        match self {
            QuestionName::Host(name) => name.as_str(),
            QuestionName::Other(escaped) => escaped,
        }
    }
}

/// The host name that a message asks for, if it is a question for one.
pub fn name_of(message: &[u8]) -> Option<Name> {
    match parse(message).ok()?.name {
        QuestionName::Host(name) => Some(name),
        QuestionName::Other(_) => None,
    }
}

/// Reads a whole message from the job: the datagram, or the frame without its length.
pub fn parse(message: &[u8]) -> Result<Question<'_>, QuestionError> {
    let Some((header, body)) = message.split_first_chunk::<HEADER>() else {
        return Err(QuestionError::NotAQuery);
    };
    let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let flags = word(2);
    if flags & 0x8000 != 0 {
        return Err(QuestionError::NotAQuery);
    }
    let head = Head {
        id: word(0),
        opcode: (flags >> 11) as u8 & 0xf,
        recursion_desired: flags & 0x0100 != 0,
        checking_disabled: flags & 0x0010 != 0,
    };
    if head.opcode != 0 {
        return Err(QuestionError::Opcode(head));
    }
    let malformed = QuestionError::Malformed(head);
    let (questions, answers, authorities, additionals) = (word(4), word(6), word(8), word(10));
    // One question and nothing beside it but an OPT record; TSIG has no meaning here, as the
    // server is not the one that the key is shared with.
    if questions != 1 || answers != 0 || authorities != 0 || additionals > 1 {
        return Err(malformed);
    }

    let mut rest = body;
    let name = read_name(&mut rest).ok_or(malformed)?;
    let kind = Kind(read_u16(&mut rest).ok_or(malformed)?);
    let class = read_u16(&mut rest).ok_or(malformed)?;
    let section = &body[..body.len() - rest.len()];

    let mut edns = None;
    if additionals == 1 {
        let (version, read) = read_opt(&mut rest).ok_or(malformed)?;
        if version != 0 {
            return Err(QuestionError::EdnsVersion(head));
        }
        edns = Some(read);
    }
    if !rest.is_empty() {
        return Err(malformed);
    }
    Ok(Question { head, name, kind, class, edns, section })
}

/// A name without compression: nothing precedes it that it could point to.
fn read_name(rest: &mut &[u8]) -> Option<QuestionName> {
    let start = *rest;
    let mut dotted = Vec::with_capacity(64);
    let mut host = true;
    loop {
        let (&length, after) = rest.split_first()?;
        *rest = after;
        if length == 0 {
            break;
        }
        if length > MAX_LABEL {
            return None;
        }
        let (label, after) = rest.split_at_checked(usize::from(length))?;
        *rest = after;
        if start.len() - rest.len() >= MAX_NAME {
            return None;
        }
        // A dot inside a label must not pass for a border between labels.
        host &= !label.contains(&b'.');
        dotted.extend_from_slice(label);
        dotted.push(b'.');
    }
    match Name::from_ascii(&dotted) {
        Ok(name) if host => Some(QuestionName::Host(name)),
        _ => Some(QuestionName::Other(escape(&start[..start.len() - rest.len()]))),
    }
}

/// Presentation form (RFC 1035 section 5.1) of a wire name that has been checked.
fn escape(wire: &[u8]) -> String {
    let mut text = String::new();
    let mut rest = wire;
    while let Some((&length, after)) = rest.split_first().filter(|(length, _)| **length != 0) {
        let (label, after) = after.split_at(usize::from(length).min(after.len()));
        rest = after;
        if !text.is_empty() {
            text.push('.');
        }
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' => text.extend(['\\', char::from(byte)]),
                b'!'..=b'~' => text.push(char::from(byte)),
                _ => text.push_str(&format!("\\{byte:03}")),
            }
        }
    }
    if text.is_empty() { ".".into() } else { text }
}

/// The one additional record that a query may carry; gives the EDNS version with it.
fn read_opt(rest: &mut &[u8]) -> Option<(u8, Edns)> {
    let after = rest.strip_prefix(&[0])?;
    *rest = after;
    if read_u16(rest)? != OPT {
        return None;
    }
    let udp_payload = read_u16(rest)?;
    let [_extended_rcode, version] = read_u16(rest)?.to_be_bytes();
    let flags = read_u16(rest)?;
    let options = usize::from(read_u16(rest)?);
    *rest = rest.get(options..)?;
    Some((version, Edns { udp_payload, dnssec_ok: flags & DNSSEC_OK != 0 }))
}

fn read_u16(rest: &mut &[u8]) -> Option<u16> {
    let (bytes, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests;

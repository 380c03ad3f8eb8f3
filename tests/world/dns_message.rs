//! Pure: as much of the DNS message format (RFC 1035) as a test's server needs. `dns` does the talking.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) const A: u16 = 1;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
const OPT: u16 = 41;
pub(crate) const HTTPS: u16 = 65;
const CLASS_IN: u16 = 1;
const COMPRESSED: u8 = 0xc0;

/// The address in answers that lie.
pub(crate) const LIE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 66);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// In lower case and without the final dot; bytes that are not printable ASCII as `\DDD`.
    pub(crate) name: String,
    pub(crate) record_type: u16,
    pub(crate) class: u16,
}

/// A question message and the parts that its answer repeats.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    id: [u8; 2],
    recursion_desired: bool,
    /// The question section as it came.
    raw_question: Vec<u8>,
    has_edns: bool,
    pub(crate) question: Question,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(String),
    Txt(Vec<u8>),
    /// RFC 9460 with priority 1 at the name itself, and the SvcParams as they go over the wire.
    Https(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: String,
    pub(crate) ttl: u32,
    pub(crate) data: Data,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Code {
    NoError = 0,
    ServerFailure = 2,
    NameError = 3,
}

/// What is wrong with an answer that looks like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// The answer to a message of another id.
    Id,
    /// The answer to another question.
    Question,
    /// Far more octets than anybody asked for, all of them addresses.
    Oversized,
    /// A name that points at itself.
    Loop,
    /// An end in the middle of a record.
    Cut,
}

impl Lie {
    /// By the first label.
    pub(crate) fn about(name: &str) -> Option<Self> {
        Some(match name.split('.').next()? {
            "id" => Self::Id,
            "question" => Self::Question,
            "oversized" => Self::Oversized,
            "loop" => Self::Loop,
            "cut" => Self::Cut,
            _ => return None,
        })
    }
}

impl Query {
    /// `None` for what is not a question message.
    pub(crate) fn parse(message: &[u8]) -> Option<Self> {
        let header: &[u8; 12] = message.first_chunk()?;
        let is_response = header[2] & 0x80 != 0;
        if is_response || header[4..6] != [0, 1] {
            return None;
        }
        let (name, name_end) = parse_name(message, 12)?;
        let fixed: &[u8; 4] = message.get(name_end..)?.first_chunk()?;
        let question_end = name_end + 4;
        // An OPT record (RFC 6891) has the root as its name.
        let has_edns = header[10..12] != [0, 0]
            && message.get(question_end..question_end + 3) == Some(&[0, 0, OPT as u8]);
        Some(Self {
            id: [header[0], header[1]],
            recursion_desired: header[2] & 1 != 0,
            raw_question: message[12..question_end].to_vec(),
            has_edns,
            question: Question {
                name,
                record_type: u16::from_be_bytes([fixed[0], fixed[1]]),
                class: u16::from_be_bytes([fixed[2], fixed[3]]),
            },
        })
    }

    pub(crate) fn answer(&self, code: Code, records: &[Record]) -> Vec<u8> {
        let negative = records.is_empty();
        let mut message = self.header(code, false, records.len() as u16, u16::from(negative));
        for record in records {
            record.write(&mut message);
        }
        if negative {
            write_soa(&mut message);
        }
        self.write_edns(&mut message);
        message
    }

    /// An answer with [`LIE`] as the address, and something wrong with it.
    pub(crate) fn lie(&self, lie: Lie) -> Vec<u8> {
        let record = Record { name: self.question.name.clone(), ttl: 60, data: Data::A(LIE) };
        let mut message = self.header(Code::NoError, false, 1, 0);
        match lie {
            Lie::Id => {
                record.write(&mut message);
                message[0] ^= 0xff;
            }
            Lie::Question => {
                record.write(&mut message);
                // Another first letter, which is no other case of this one.
                message[13] = if message[13] == b'z' { b'y' } else { b'z' };
            }
            Lie::Oversized => {
                let records = 3000_u16;
                message[6..8].copy_from_slice(&records.to_be_bytes());
                (0..records).for_each(|_| record.write(&mut message));
                message.truncate(60_000);
            }
            Lie::Loop => {
                let at = message.len() as u16;
                message.extend((u16::from(COMPRESSED) << 8 | at).to_be_bytes());
                message.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 66]);
            }
            Lie::Cut => {
                record.write(&mut message);
                message.truncate(message.len() - 2);
            }
        }
        message
    }

    /// Says nothing but that the answer does not fit.
    pub(crate) fn truncated(&self) -> Vec<u8> {
        let mut message = self.header(Code::NoError, true, 0, 0);
        self.write_edns(&mut message);
        message
    }

    fn header(&self, code: Code, truncated: bool, answers: u16, authorities: u16) -> Vec<u8> {
        let mut message = self.id.to_vec();
        message.push(0x84 | u8::from(truncated) << 1 | u8::from(self.recursion_desired));
        message.push(0x80 | code as u8);
        for count in [1, answers, authorities, u16::from(self.has_edns)] {
            message.extend(count.to_be_bytes());
        }
        message.extend(&self.raw_question);
        message
    }

    fn write_edns(&self, message: &mut Vec<u8>) {
        if self.has_edns {
            message.extend([0, 0, OPT as u8, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
        }
    }
}

impl Data {
    pub(crate) fn record_type(&self) -> u16 {
        match self {
            Self::A(_) => A,
            Self::Aaaa(_) => AAAA,
            Self::Cname(_) => CNAME,
            Self::Txt(_) => TXT,
            Self::Https(_) => HTTPS,
        }
    }
}

impl Record {
    fn write(&self, message: &mut Vec<u8>) {
        let data = match &self.data {
            Data::A(address) => address.octets().to_vec(),
            Data::Aaaa(address) => address.octets().to_vec(),
            Data::Cname(target) => encode_name(target),
            Data::Txt(text) => {
                text.chunks(255).flat_map(|part| [&[part.len() as u8], part].concat()).collect()
            }
            Data::Https(parameters) => [&[0, 1, 0], parameters.as_slice()].concat(),
        };
        write_record(message, &encode_name(&self.name), self.data.record_type(), self.ttl, &data);
    }
}

fn write_soa(message: &mut Vec<u8>) {
    let root = [0];
    let numbers = [1_u32, 60, 60, 60, 5].map(u32::to_be_bytes).concat();
    write_record(message, &root, SOA, 5, &[&root, &root, numbers.as_slice()].concat());
}

fn write_record(message: &mut Vec<u8>, name: &[u8], record_type: u16, ttl: u32, data: &[u8]) {
    message.extend(name);
    message.extend(record_type.to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    message.extend(ttl.to_be_bytes());
    message.extend((data.len() as u16).to_be_bytes());
    message.extend(data);
}

fn encode_name(name: &str) -> Vec<u8> {
    let mut encoded = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        encoded.push(label.len() as u8);
        encoded.extend(label.as_bytes());
    }
    encoded.push(0);
    encoded
}

/// The name at `start` and where it ends. A question has nothing before it to point to.
fn parse_name(message: &[u8], start: usize) -> Option<(String, usize)> {
    let mut name = String::new();
    let mut at = start;
    loop {
        let length = *message.get(at)?;
        at += 1;
        if length == 0 {
            return Some((name, at));
        }
        if length & COMPRESSED != 0 {
            return None;
        }
        let label = message.get(at..at + usize::from(length))?;
        at += usize::from(length);
        if !name.is_empty() {
            name.push('.');
        }
        for byte in label.to_ascii_lowercase() {
            if byte.is_ascii_graphic() && byte != b'.' {
                name.push(char::from(byte));
            } else {
                write!(name, "\\{byte:03}").expect("a string takes everything");
            }
        }
    }
}

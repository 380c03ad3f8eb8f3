//! The messages between the gateway and the witness, one a packet of a `SOCK_SEQPACKET` pair. Pure.
//!
//! Both ends are one binary, so the encoding is private and has no version.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{Program, Protocol, Question, Testimony};

/// Octets of one question.
const QUESTION: usize = 42;
/// Questions in one message.
pub(super) const MAX_QUESTIONS: usize = 64;
/// Questions that one testimony is about.
pub(super) const MAX_IDS: usize = 1024;
/// Octets in the longest message: ids, and a program whose parts are all as long as they may be.
pub(in crate::job) const MAX_MESSAGE: usize = 16 * 1024;

const SEEN: u8 = 1;
const UNKNOWN: u8 = 2;
const BLIND: u8 = 3;

pub(super) fn encode_questions(questions: &[Question]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(questions.len() * QUESTION);
    for question in questions {
        bytes.extend(question.id.to_ne_bytes());
        bytes.push(match question.protocol {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        });
        bytes.push(if question.local.is_ipv4() { 4 } else { 6 });
        for address in [question.local, question.remote] {
            bytes.extend(octets(address.ip()));
            bytes.extend(address.port().to_ne_bytes());
        }
    }
    bytes
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

pub(super) fn decode_questions(bytes: &[u8]) -> impl Iterator<Item = Question> {
    bytes.chunks_exact(QUESTION).filter_map(decode_question)
}

fn decode_question(bytes: &[u8]) -> Option<Question> {
    let mut bytes = Reader(bytes);
    let id = bytes.number()?;
    let protocol = match bytes.octet()? {
        6 => Protocol::Tcp,
        _ => Protocol::Udp,
    };
    let is_v4 = bytes.octet()? == 4;
    let mut address = || {
        let address = Ipv6Addr::from(bytes.array::<16>()?);
        let port = u16::from_ne_bytes(bytes.array()?);
        let mapped = if is_v4 { address.to_ipv4_mapped().map(IpAddr::V4) } else { None };
        Some(SocketAddr::new(mapped.unwrap_or(address.into()), port))
    };
    Some(Question { id, protocol, local: address()?, remote: address()? })
}

pub(super) fn encode_testimony(testimony: &Testimony) -> Vec<u8> {
    let mut bytes = Vec::new();
    match testimony {
        Testimony::Blind => bytes.push(BLIND),
        Testimony::Unknown(ids) => {
            bytes.push(UNKNOWN);
            add_ids(&mut bytes, ids);
        }
        Testimony::Seen(ids, program) => {
            bytes.push(SEEN);
            add_ids(&mut bytes, ids);
            add_program(&mut bytes, program);
        }
    }
    bytes
}

pub(in crate::job) fn add_program(bytes: &mut Vec<u8>, program: &Program) {
    bytes.extend(program.pid.to_ne_bytes());
    add_text(bytes, &program.exe);
    for list in [&program.args, &program.parents] {
        bytes.extend((list.len() as u32).to_ne_bytes());
        list.iter().for_each(|text| add_text(bytes, text));
    }
}

fn add_ids(bytes: &mut Vec<u8>, ids: &[u32]) {
    bytes.extend((ids.len() as u32).to_ne_bytes());
    ids.iter().for_each(|id| bytes.extend(id.to_ne_bytes()));
}

pub(in crate::job) fn add_text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u32).to_ne_bytes());
    bytes.extend(text.as_bytes());
}

pub(super) fn decode_testimony(bytes: &[u8]) -> Option<Testimony> {
    let mut bytes = Reader(bytes);
    Some(match bytes.octet()? {
        BLIND => Testimony::Blind,
        UNKNOWN => Testimony::Unknown(bytes.ids()?),
        SEEN => {
            let ids = bytes.ids()?;
            Testimony::Seen(ids, bytes.program()?)
        }
        _ => return None,
    })
}

/// What is left of a message.
pub(in crate::job) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::job) fn new(message: &'a [u8]) -> Reader<'a> {
        Reader(message)
    }

    pub(in crate::job) fn program(&mut self) -> Option<Program> {
        Some(Program {
            pid: self.number()?,
            exe: self.text()?,
            args: self.list(Reader::text)?,
            parents: self.list(Reader::text)?,
        })
    }

    pub(in crate::job) fn long(&mut self) -> Option<u64> {
        self.array().map(u64::from_ne_bytes)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    pub(in crate::job) fn octet(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    fn number(&mut self) -> Option<u32> {
        self.array().map(u32::from_ne_bytes)
    }

    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn ids(&mut self) -> Option<Vec<u32>> {
        self.list(Reader::number)
    }

    pub(in crate::job) fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_survive_the_socket() {
        let question = |id, protocol, local: &str, remote: &str| Question {
            id,
            protocol,
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        };
        let questions = [
            question(1, Protocol::Tcp, "192.0.0.2:40000", "198.51.100.7:443"),
            question(u32::MAX, Protocol::Udp, "[fd63::2]:1", "[2001:db8::1]:53"),
        ];
        let bytes = encode_questions(&questions);
        assert_eq!(bytes.len(), 2 * QUESTION);
        assert!(decode_questions(&bytes).eq(questions));
        assert_eq!(decode_questions(&bytes[..QUESTION - 1]).count(), 0);
    }

    #[test]
    fn testimonies_survive_the_socket() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let program = Program {
            pid: 812,
            exe: "/usr/bin/node".to_owned(),
            args: texts(&["node", "", "a\u{1b}b"]),
            parents: texts(&["/usr/bin/npm", "/bin/sh"]),
        };
        for testimony in [
            Testimony::Blind,
            Testimony::Unknown(vec![1, 2, 3]),
            Testimony::Seen(vec![7], program),
            Testimony::Seen(vec![], Program::default()),
        ] {
            let bytes = encode_testimony(&testimony);
            assert_eq!(decode_testimony(&bytes), Some(testimony));
            for cut in 0..bytes.len() {
                assert_eq!(decode_testimony(&bytes[..cut]), None);
            }
        }
    }

    #[test]
    fn the_longest_testimony_fits() {
        use super::super::{arguments, lines};
        let long = "\u{fffd}".repeat(lines::MAX_PATH / 3 + 1);
        let program = Program {
            pid: 1,
            exe: long.clone(),
            args: arguments::shown("\u{fffd}".repeat(1 << 16).as_bytes()),
            parents: vec![long; lines::MAX_PARENTS],
        };
        let bytes = encode_testimony(&Testimony::Seen(vec![0; MAX_IDS], program));
        assert!(bytes.len() < MAX_MESSAGE, "{}", bytes.len());
    }
}

//! As much of DNS messages (RFC 1035 section 4) as the demo's client and server need. Pure.

use std::net::Ipv4Addr;

/// Octets in a header.
const HEADER: usize = 12;
/// The type of an address record.
pub(super) const A: u16 = 1;
/// The type of a text record.
pub(super) const TXT: u16 = 16;
/// The code for "no such name".
pub(super) const NXDOMAIN: u8 = 3;
/// Seconds that an answer holds.
const TTL: u32 = 60;

/// A question as a server reads it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// The name in lower case, without a last dot.
    pub(super) name: String,
    /// What is asked for.
    pub(super) kind: u16,
    /// Where the question ends in its message.
    end: usize,
}

/// An answer as a client reads it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The response code, zero for success.
    pub(super) code: u8,
    /// The first address.
    pub(super) address: Option<Ipv4Addr>,
}

/// A message with one question for `name`, whose labels have at most 63 octets.
pub(super) fn ask(id: u16, name: &str, kind: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend(label.as_bytes());
    }
    message.push(0);
    message.extend(kind.to_be_bytes());
    message.extend([0, 1]);
    message
}

/// Reads the question of a message; `None` if it has none that makes sense.
pub(super) fn read_question(message: &[u8]) -> Option<Question> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        match length {
            0 => break,
            1..=63 => {
                labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase())
            }
            _ => return None,
        }
        at += length;
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    message.get(at + 2..at + 4)?;
    Some(Question { name: labels.join("."), kind, end: at + 4 })
}

/// The answer to a message that holds `question`.
pub(super) fn answer(message: &[u8], question: &Question, code: u8, address: Option<Ipv4Addr>) -> Vec<u8> {
    let mut reply = message[..question.end].to_vec();
    // A response, authoritative, recursion desired and available; one question, an answer or none.
    reply[2..HEADER].copy_from_slice(&[0x85, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    if let Some(address) = address {
        // The name is a pointer to the question's.
        reply.extend([0xc0, HEADER as u8, 0, A as u8, 0, 1]);
        reply.extend(TTL.to_be_bytes());
        reply.extend([0, 4]);
        reply.extend(address.octets());
    }
    reply
}

/// Reads an answer to the question with this id; `None` if it is none.
pub(super) fn read_answer(id: u16, message: &[u8]) -> Option<Answer> {
    let header = message.get(..HEADER)?;
    if header[..2] != id.to_be_bytes() || header[2] & 0x80 == 0 {
        return None;
    }
    let code = header[3] & 0x0f;
    let count = u16::from_be_bytes([header[6], header[7]]);
    let mut at = read_question(message)?.end;
    for _ in 0..count {
        at = skip_name(message, at)?;
        let fixed = message.get(at..at + 10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let data = message.get(at + 10..at + 10 + length)?;
        if fixed[..2] == A.to_be_bytes()
            && let Ok(octets) = <[u8; 4]>::try_from(data)
        {
            return Some(Answer { code, address: Some(octets.into()) });
        }
        at += 10 + length;
    }
    Some(Answer { code, address: None })
}

fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length @ 1..=63 => at += 1 + usize::from(length),
            _ => return Some(at + 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_round_trip() {
        let asked = ask(7, "Registry.example", A);
        let question = read_question(&asked).unwrap();
        assert_eq!((question.name.as_str(), question.kind), ("registry.example", A));
        let address = Ipv4Addr::new(203, 0, 113, 10);
        let reply = answer(&asked, &question, 0, Some(address));
        assert_eq!(read_answer(7, &reply), Some(Answer { code: 0, address: Some(address) }));
        assert_eq!(read_answer(8, &reply), None);
        let denied = answer(&asked, &question, NXDOMAIN, None);
        assert_eq!(read_answer(7, &denied), Some(Answer { code: NXDOMAIN, address: None }));
        assert_eq!(read_answer(7, &asked), None);
    }

    #[test]
    fn every_prefix_is_refused() {
        let asked = ask(7, "a.example", TXT);
        let reply = answer(&asked, &read_question(&asked).unwrap(), 0, Some(Ipv4Addr::LOCALHOST));
        for length in 0..asked.len() {
            assert_eq!(read_question(&asked[..length]), None);
        }
        for length in 0..reply.len() {
            assert_eq!(read_answer(7, &reply[..length]), None);
        }
    }
}

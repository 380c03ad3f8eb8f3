//! The messages from the sensor to the gateway, one a packet of a `SOCK_SEQPACKET` pair. Pure.
//!
//! Both ends are one binary, so the encoding is private and has no version.

use std::time::{Duration, SystemTime};

use super::super::witness::wire::{Reader, add_program, add_text};
use super::{Access, Ending, Observation};

const PROGRAM: u8 = 1;
const FILE: u8 = 2;
const MISSED: u8 = 3;

pub(super) fn encode(observation: &Observation) -> Vec<u8> {
    let mut bytes = Vec::new();
    let (tag, at, program, path, word, times) = match observation {
        Observation::Program { at, program, path, ending, times } => {
            (PROGRAM, at, program, path, *ending as u8, times)
        }
        Observation::File { at, program, path, access, times } => {
            (FILE, at, program, path, *access as u8, times)
        }
        Observation::Missed(calls) => {
            bytes.push(MISSED);
            bytes.extend(calls.to_ne_bytes());
            return bytes;
        }
    };
    bytes.extend([tag, word]);
    // A clock before 1970 is as good as one that stands.
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    bytes.extend((since.as_nanos() as u64).to_ne_bytes());
    bytes.extend(times.to_ne_bytes());
    add_program(&mut bytes, program);
    add_text(&mut bytes, path);
    bytes
}

pub(super) fn decode(bytes: &[u8]) -> Option<Observation> {
    let mut bytes = Reader::new(bytes);
    let tag = bytes.octet()?;
    if tag == MISSED {
        return Some(Observation::Missed(bytes.long()?));
    }
    let word = usize::from(bytes.octet()?);
    let at = SystemTime::UNIX_EPOCH + Duration::from_nanos(bytes.long()?);
    let times = bytes.long()?;
    let program = bytes.program()?;
    let path = bytes.text()?;
    Some(match tag {
        PROGRAM => Observation::Program { at, program, path, ending: *Ending::ALL.get(word)?, times },
        FILE => Observation::File { at, program, path, access: *Access::ALL.get(word)?, times },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Program;

    #[test]
    fn observations_survive_the_socket() {
        let program = Program {
            pid: 7,
            exe: "/bin/cat".to_owned(),
            args: vec!["cat".to_owned(), "\u{1b}".to_owned()],
            parents: vec!["/bin/sh".to_owned()],
        };
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let path = "/a\n".to_owned();
        let mut all = vec![Observation::Missed(u64::MAX)];
        for ending in Ending::ALL {
            let (program, path) = (program.clone(), path.clone());
            all.push(Observation::Program { at, program, path, ending, times: 1 });
        }
        for access in Access::ALL {
            let (program, path) = (program.clone(), path.clone());
            all.push(Observation::File { at, program, path, access, times: 100_000 });
        }
        for observation in all {
            let bytes = encode(&observation);
            assert_eq!(decode(&bytes), Some(observation));
            assert!((0..bytes.len()).all(|cut| decode(&bytes[..cut]).is_none()));
        }
    }
}

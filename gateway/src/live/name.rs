//! The abstract name (unix(7)) at which a run answers, and the names in the kernel's table. Pure.
//!
//! The last part is made up at random, so that nobody can take the name beforehand. Anybody can take one that
//! looks the same: who asks looks at who listens.

use std::str::FromStr;

const PREFIX: &str = "cijail-net";
/// `__SO_ACCEPTCON` (linux/net.h), as `/proc/net/unix` shows it: the socket listens.
const LISTENS: &str = "00010000";
/// Digits of a session.
const SESSION: usize = 16;

/// Where a run answers: `cijail-net/UID/PID/SESSION`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunName {
    /// Whose it is.
    pub uid: u32,
    /// The process of cijail-net.
    pub pid: u32,
    /// The id of the run.
    pub session: String,
}

impl std::fmt::Display for RunName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PREFIX}/{}/{}/{}", self.uid, self.pid, self.session)
    }
}

/// It is no such name.
#[derive(Debug, PartialEq, Eq)]
pub struct NoRunName;

impl FromStr for RunName {
    type Err = NoRunName;

    fn from_str(text: &str) -> Result<RunName, NoRunName> {
        let parts: Vec<&str> = text.split('/').collect();
        let [PREFIX, uid, pid, session] = parts[..] else { return Err(NoRunName) };
        let number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| plain).ok_or(NoRunName)
        };
        let is_session =
            session.len() == SESSION && session.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_session {
            return Err(NoRunName);
        }
        Ok(RunName { uid: number(uid)?, pid: number(pid)?, session: session.to_owned() })
    }
}

/// The names in `/proc/net/unix` (proc_pid_net(5)) at which something listens, in order.
pub fn listening(table: &str) -> Vec<RunName> {
    let mut names: Vec<RunName> = table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(3);
            let (flags, name) = (fields.next()?, fields.nth(3)?);
            name.strip_prefix('@')?.parse().ok().filter(|_| flags == LISTENS && fields.next().is_none())
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let name = RunName { uid: 1000, pid: 42, session: "0123456789abcdef".to_owned() };
        assert_eq!(name.to_string().parse(), Ok(name));
        for odd in [
            "cijail-net/1000/42/0123456789abcde",
            "cijail-net/1000/42/0123456789ABCDEF",
            "cijail-net/1000/+42/0123456789abcdef",
            "cijail-net/1000//0123456789abcdef",
            "cijail-net/1000/42/0123456789abcdef/",
            "cijail-net/1000/4294967296/0123456789abcdef",
            "other/1000/42/0123456789abcdef",
            "",
        ] {
            assert_eq!(odd.parse::<RunName>(), Err(NoRunName), "{odd}");
        }
    }

    #[test]
    fn finds_who_listens() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 17 @cijail-net/7/42/0123456789abcdef
0000000000000000: 00000003 00000000 00000000 0001 03 18 @cijail-net/7/42/0123456789abcdef
0000000000000000: 00000003 00000000 00000000 0001 03 18 @cijail-net/7/43/0123456789abcdef
0000000000000000: 00000002 00000000 00010000 0001 01 19 cijail-net/7/44/0123456789abcdef
0000000000000000: 00000002 00000000 00010000 0001 01 20 @cijail-net/7/45/0123456789abcdef more
0000000000000000: 00000002 00000000 00010000 0001 01 21
";
        let pids: Vec<u32> = listening(table).iter().map(|name| name.pid).collect();
        assert_eq!(pids, [42]);
    }
}

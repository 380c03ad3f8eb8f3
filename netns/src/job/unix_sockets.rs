//! Finds the sockets in the file system that somebody can be reached at, pure: the table comes from
//! `/proc/self/net/unix` (proc_pid_net(5)), which `mounts::socket_masks` reads.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// `__SO_ACCEPTCON` (linux/net.h): the socket listens.
const LISTENS: u32 = 1 << 16;
/// `SOCK_DGRAM`: bound is enough to be sent to.
const DATAGRAM: u32 = 2;
/// `SS_CONNECTED` (linux/net.h): one side of a conversation, which shows its listener's path.
const CONNECTED: u32 = 3;

/// The paths, in the table's order and perhaps repeated, at which a socket listens, receives datagrams,
/// or may listen yet. A line that has no end is left out.
///
/// The kernel prints a path as it was given to bind(2), so it may be relative to a directory that nobody
/// knows, be a link's, lead to something else by now, or hold any byte but NUL: a line that does not
/// begin as one goes on with the path before. What begins with `@` is taken for an abstract name.
pub fn reachable(table: &[u8]) -> impl Iterator<Item = &Path> {
    let mut rest = table;
    std::iter::from_fn(move || {
        loop {
            let (line, mut after) = first_line(rest)?;
            let Some(entry) = Entry::parse(line) else {
                rest = after;
                continue;
            };
            while let Some((next, following)) = first_line(after)
                && Entry::parse(next).is_none()
            {
                after = following;
            }
            let path = &rest[line.len() - entry.path_length..rest.len() - after.len() - 1];
            rest = after;
            if entry.is_reachable && !matches!(path, [] | [b'@', ..]) {
                return Some(Path::new(OsStr::from_bytes(path)));
            }
        }
    })
}

/// A line without its end, and what follows it.
fn first_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    Some((&text[..end], &text[end + 1..]))
}

/// What a line says before its path.
struct Entry {
    is_reachable: bool,
    /// Octets of the path in the line itself.
    path_length: usize,
}

impl Entry {
    /// `Num: RefCount Protocol Flags Type St Inode Path`: all hexadecimal but the inode, which is
    /// padded with spaces. A socket without a name has no path.
    fn parse(line: &[u8]) -> Option<Entry> {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (number, mut rest) = line.split_at(colon);
        hexadecimal(number)?;
        rest = rest.strip_prefix(b": ")?;
        let mut fields = [0; 5];
        for field in &mut fields {
            let space = rest.iter().position(|byte| *byte == b' ')?;
            *field = hexadecimal(&rest[..space])?;
            rest = &rest[space + 1..];
        }
        let [_, _, flags, kind, state] = fields;
        rest = rest.trim_ascii_start();
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (inode, path) = rest.split_at(digits);
        let path = match path {
            [] => path,
            [b' ', path @ ..] => path,
            _ => return None,
        };
        let is_reachable = flags & LISTENS != 0 || kind == DATAGRAM || state != CONNECTED;
        (!inode.is_empty()).then_some(Entry { is_reachable, path_length: path.len() })
    }
}

/// The low half of a number of up to sixteen digits.
fn hexadecimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0u32, |number, byte| {
        let digit = char::from(*byte).to_digit(16)?;
        Some(number << 4 | digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "Num       RefCount Protocol Flags    Type St Inode Path\n";
    const TABLE: &str = "\
0000000000000000: 00000002 00000000 00010000 0001 01 17711 /run/systemd/private
00000000c40d93be: 00000003 00000000 00000000 0001 03   556
0000000000000000: 00000003 00000000 00000000 0001 03 17712 /run/systemd/private
0000000000000000: 00000002 00000000 00010000 0005 01     9 /run/udev/control
0000000000000000: 00000002 00000000 00000000 0002 01 17713 /run/log
0000000000000000: 00000003 00000000 00000000 0002 03 17714 /run/connected
0000000000000000: 00000002 00000000 00000000 0001 01 17715 /tmp/not yet listening
0000000000000000: 00000002 00000000 00010000 0001 01 17716 @abstract@/x
0000000000000000: 00000002 00000000 00010000 0001 01 17717 relative
0000000000000000: 00000002 00000000 00010000 0001 01 17718 /tmp/two
lines: of 
 it

0000000000000000: 00000002 00000000 00010000 0001 01 17719 / 
";

    fn paths(table: &[u8]) -> Vec<&str> {
        reachable(table).map(|path| path.to_str().unwrap()).collect()
    }

    #[test]
    fn finds_what_can_be_reached() {
        let table = format!("{HEADER}{TABLE}");
        let wanted = [
            "/run/systemd/private",
            "/run/udev/control",
            "/run/log",
            "/run/connected",
            "/tmp/not yet listening",
            "relative",
            "/tmp/two\nlines: of \n it\n",
            "/ ",
        ];
        assert_eq!(paths(table.as_bytes()), wanted);
        assert_eq!(paths(HEADER.as_bytes()), [""; 0]);
    }

    /// A table that breaks off loses its last paths, and gives no other path than a beginning of the last.
    #[test]
    fn every_prefix_is_read() {
        let table = format!("{HEADER}{TABLE}");
        let whole = paths(table.as_bytes());
        for end in 0..table.len() {
            let some = paths(&table.as_bytes()[..end]);
            let Some((last, complete)) = some.split_last() else { continue };
            assert_eq!(complete, &whole[..complete.len()]);
            assert!(whole[complete.len()].starts_with(last), "{last:?}");
        }
    }

    #[test]
    fn odd_bytes_stay_as_they_are() {
        let line = b"0: 00000002 00000000 00010000 0001 01 1 /tmp/\xff\x01\r:\xc3\n";
        let found: Vec<&Path> = reachable(line).collect();
        assert_eq!(found, [Path::new(OsStr::from_bytes(b"/tmp/\xff\x01\r:\xc3"))]);
    }

    #[test]
    fn a_head_must_be_whole() {
        for head in [
            "0: 2 0 10000 1 01 1x /a",
            "0: 2 0 10000 1 01  /a",
            "0: 2 0 10000 1 /a",
            ": 2 0 10000 1 01 1 /a",
            "0 2 0 10000 1 01 1 /a",
            "00000000000000000: 2 0 10000 1 01 1 /a",
            "0: 2 0 g 1 01 1 /a",
        ] {
            assert_eq!(paths(format!("{head}\n").as_bytes()), [""; 0], "{head}");
        }
        assert_eq!(paths(b"0: 2 0 10000 1 01 1 /a\n"), ["/a"]);
    }
}

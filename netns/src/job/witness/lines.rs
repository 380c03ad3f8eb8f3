//! What procfs says of a process, parsed (proc_pid_stat(5), proc_pid_fd(5)). Pure.

/// Octets of a path that are kept: its end, as that has the name, which is no longer.
pub(super) const MAX_PATH: usize = 320;
/// Ancestors that are told.
pub(super) const MAX_PARENTS: usize = 8;

/// The inode of a socket that a link in `/proc/PID/fd` shows: `socket:[1234]`.
pub(super) fn socket(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Mount and inode in a file of `/proc/PID/fdinfo`; kernels since 5.14 show both.
pub(super) fn fdinfo(text: &[u8]) -> Option<(u64, u64)> {
    let value = |key: &[u8]| {
        let line = text.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key))?;
        std::str::from_utf8(line).ok()?.trim().parse().ok()
    };
    Some((value(b"mnt_id:")?, value(b"ino:")?))
}

/// What tells one program in a process from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::job) struct Image {
    /// When the process started, in clock ticks.
    pub(in crate::job) started: u64,
    /// Where its stack begins, which the kernel chooses anew for each program.
    pub(in crate::job) stack: u64,
}

/// The parent in `/proc/PID/stat`.
pub(super) fn parent(stat: &[u8]) -> Option<u32> {
    after_name(stat)?.nth(1)?.parse().ok()
}

/// The image in `/proc/PID/stat`.
pub(super) fn image(stat: &[u8]) -> Option<Image> {
    let mut fields = after_name(stat)?;
    let started = fields.nth(19)?.parse().ok()?;
    let stack = fields.nth(5)?.parse().ok()?;
    Some(Image { started, stack })
}

/// The numbers in `/proc/PID/status` that a thread has in its PID namespaces, the outermost first.
pub(super) fn numbers(status: &[u8]) -> Vec<u32> {
    numbers_at(b"NSpid:", status).collect()
}

/// The number in `/proc/PID/status` of the process that a thread belongs to.
pub(super) fn process(status: &[u8]) -> Option<u32> {
    numbers_at(b"Tgid:", status).next()
}

fn numbers_at<'s>(key: &[u8], status: &'s [u8]) -> impl Iterator<Item = u32> + 's {
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(key));
    let words = line.and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
    words.split_ascii_whitespace().filter_map(|word| word.parse().ok())
}

/// The value of AT_RANDOM in `/proc/PID/auxv`, which has pairs of words (getauxval(3)).
pub(super) fn seed_address(auxv: &[u8]) -> Option<u64> {
    let (words, _) = auxv.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    let [_, address] = pairs.iter().find(|pair| u64::from_ne_bytes(pair[0]) == libc::AT_RANDOM)?;
    Some(u64::from_ne_bytes(*address))
}

/// The fields from the third on. The name before them may have any bytes in it, parentheses as well.
fn after_name(stat: &[u8]) -> Option<std::str::SplitAsciiWhitespace<'_>> {
    let end = stat.iter().rposition(|&byte| byte == b')')?;
    Some(std::str::from_utf8(stat.get(end + 1..)?).ok()?.split_ascii_whitespace())
}

/// The path of an executable as text; a long one lacks its front.
pub(in crate::job) fn path(link: &[u8]) -> String {
    if link.len() <= MAX_PATH {
        return String::from_utf8_lossy(link).into_owned();
    }
    let end = &link[link.len() - MAX_PATH..];
    format!("...{}", String::from_utf8_lossy(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_links() {
        assert_eq!(socket(b"socket:[4026]"), Some(4026));
        for other in ["pipe:[1]", "/tmp/socket:[1]", "socket:[1] (deleted)", "socket:[]", "socket:[-1]", ""] {
            assert_eq!(socket(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn reads_descriptors() {
        let text = b"pos:\t0\nflags:\t02\nmnt_id:\t9\nino:\t4026\nscm_fds: 0\n";
        assert_eq!(fdinfo(text), Some((9, 4026)));
        assert_eq!(fdinfo(b"pos:\t0\nmnt_id:\t9\n"), None);
        assert_eq!(fdinfo(b"mnt_id:\t9\nino:\t"), None);
    }

    #[test]
    fn a_name_forges_no_parent() {
        assert_eq!(parent(b"812 (node) S 640 812 0"), Some(640));
        assert_eq!(parent(b"812 (x) S 1 (y) R 640 1"), Some(640));
        assert_eq!(parent(b"812 (\xff\n) S 640"), Some(640));
        for broken in ["", "812 (node", "812 (node)", "812 (node) S", "812 (node) S x"] {
            assert_eq!(parent(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn threads_have_numbers() {
        assert_eq!(numbers(b"Name:\tNSpid:\\n9\nPid:\t7\nNSpid:\t7\t1\nNSpgid:\t3\n"), [7, 1]);
        assert_eq!(numbers(b"Pid:\t7\n"), [0; 0]);
        assert_eq!(process(b"Name:\tTgid:\\n9\nTgid:\t7\nPid:\t8\n"), Some(7));
        assert_eq!(process(b"Pid:\t7\n"), None);
    }

    #[test]
    fn a_seed_has_a_place() {
        let auxv: Vec<u8> = [6, 4096, 25, 7, 0, 0].iter().flat_map(|word: &u64| word.to_ne_bytes()).collect();
        assert_eq!(seed_address(&auxv), Some(7));
        assert_eq!(seed_address(&auxv[..24]), None);
        assert_eq!(seed_address(b""), None);
    }

    #[test]
    fn an_image_has_a_time_and_a_stack() {
        let fields: Vec<String> = (3..=52).map(|field| field.to_string()).collect();
        let stat = format!("1 (a) b) {}", fields.join(" "));
        assert_eq!(image(stat.as_bytes()), Some(Image { started: 22, stack: 28 }));
        assert_eq!(image(b"1 (a) S 2 3"), None);
    }

    #[test]
    fn a_long_path_keeps_its_name() {
        assert_eq!(path(b"/usr/bin/node"), "/usr/bin/node");
        let long = [vec![b'/'; 5000], b"/node".to_vec()].concat();
        let shown = path(&long);
        assert!(shown.starts_with("...") && shown.ends_with("/node") && shown.len() < 400);
        assert_eq!(path(b"/\xff"), "/\u{fffd}");
    }
}

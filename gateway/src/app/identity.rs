//! Users, by the files of the host.

use std::fs;
use std::path::{Component, PathBuf};

use netns::job::{Gid, Uid, User};

use super::AppError;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Looks a user up by name or number in `/etc/passwd`, with the groups of `/etc/group`.
///
/// # Errors
/// The files cannot be read, or there is no such user.
pub fn find_user(wanted: &str) -> Result<User, AppError> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|source| AppError::HostFile { path: PathBuf::from(path), source })
    };
    let (passwd, group) = (read(PASSWD)?, read(GROUP)?);
    parse_user(wanted, &passwd, &group).ok_or_else(|| AppError::UnknownUser(wanted.to_owned()))
}

/// passwd(5) and group(5).
fn parse_user(wanted: &str, passwd: &str, group: &str) -> Option<User> {
    let number: Option<u32> = wanted.parse().ok();
    let (name, uid, gid) = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, ..] = fields[..] else { return None };
        let uid: u32 = uid.parse().ok()?;
        (name == wanted || Some(uid) == number).then(|| Some((name, uid, gid.parse::<u32>().ok()?)))?
    })?;
    let mut groups = vec![Gid::from_raw(gid)];
    groups.extend(group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members] = fields[..] else { return None };
        let gid = Gid::from_raw(gid.parse().ok()?);
        members.split(',').any(|member| member == name).then_some(gid)
    }));
    Some(User { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups })
}

/// The caller's runtime directory, if it is beneath the directory that is masked.
pub(super) fn runtime_directory() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
    (plain && path.starts_with("/run/user")).then_some(path)
}

/// Sockets of agents that the caller's environment names.
pub(super) fn agent_sockets() -> Vec<PathBuf> {
    std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passwd_and_group() {
        let passwd = "root:x:0:0::/root:/bin/sh\nci:x:1000:100:CI:/home/ci:/bin/sh\n";
        let group = "users:x:100:\ndocker:x:99:ci,other\nx:x:5:other\n";
        let ci = parse_user("ci", passwd, group).unwrap();
        assert_eq!((ci.uid.as_raw(), ci.gid.as_raw()), (1000, 100));
        assert_eq!(ci.groups, [Gid::from_raw(100), Gid::from_raw(99)]);
        assert_eq!(parse_user("1000", passwd, group), Some(ci));
        assert_eq!(parse_user("nobody", passwd, group), None);
    }
}

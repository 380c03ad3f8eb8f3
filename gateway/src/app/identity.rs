//! Users, by the files of the host.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, PathBuf};

use netns::job::{Gid, Uid, User};

use super::AppError;

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";
/// passwd(5).
const DEFAULT_SHELL: &str = "/bin/sh";

/// A user that a job can run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// What the kernel has to know.
    pub user: User,
    /// The login name.
    pub name: String,
    /// The home directory.
    pub home: String,
    /// The login shell.
    pub shell: String,
}

impl Account {
    /// The variables that would otherwise speak of the caller (environ(7)); without a value, it is to be
    /// taken away.
    pub fn variables(&self) -> [(&'static str, Option<&str>); 5] {
        [
            ("HOME", Some(&self.home)),
            ("USER", Some(&self.name)),
            ("LOGNAME", Some(&self.name)),
            ("SHELL", Some(&self.shell)),
            ("XDG_RUNTIME_DIR", None),
        ]
    }
}

/// Looks a user up by name or number in `/etc/passwd`, with the groups of `/etc/group`.
///
/// # Errors
/// The files cannot be read, or there is no such user.
pub fn find_user(wanted: &str) -> Result<Account, AppError> {
    let read = |path: &str| {
        fs::read_to_string(path).map_err(|source| AppError::HostFile { path: PathBuf::from(path), source })
    };
    let (passwd, group) = (read(PASSWD)?, read(GROUP)?);
    parse_user(wanted, &passwd, &group).ok_or_else(|| AppError::UnknownUser(wanted.to_owned()))
}

/// passwd(5) and group(5).
fn parse_user(wanted: &str, passwd: &str, group: &str) -> Option<Account> {
    let number: Option<u32> = wanted.parse().ok();
    let (name, uid, gid, home, shell) = passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [name, _, uid, gid, _, home, shell] = fields[..] else { return None };
        let uid: u32 = uid.parse().ok()?;
        let found = name == wanted || Some(uid) == number;
        found.then(|| Some((name, uid, gid.parse::<u32>().ok()?, home, shell)))?
    })?;
    let mut groups = vec![Gid::from_raw(gid)];
    groups.extend(group.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [_, _, gid, members] = fields[..] else { return None };
        let gid = Gid::from_raw(gid.parse().ok()?);
        members.split(',').any(|member| member == name).then_some(gid)
    }));
    Some(Account {
        user: User { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid), groups },
        name: name.to_owned(),
        home: home.to_owned(),
        shell: if shell.is_empty() { DEFAULT_SHELL } else { shell }.to_owned(),
    })
}

/// The caller's runtime directory, if it is beneath the directory that is masked.
pub(super) fn runtime_directory() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    let plain = path.components().all(|part| !matches!(part, Component::ParentDir));
    (plain && path.starts_with("/run/user")).then_some(path)
}

/// Sockets of agents that the caller's environment names. What is no socket is no agent.
pub(super) fn agent_sockets() -> Vec<PathBuf> {
    let named = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from);
    let is_socket =
        |path: &PathBuf| fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket());
    named.filter(is_socket).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passwd_and_group() {
        let passwd = "root:x:0:0::/root:/bin/sh\nci:x:1000:100:CI:/home/ci:\n";
        let group = "users:x:100:\ndocker:x:99:ci,other\nx:x:5:other\n";
        let ci = parse_user("ci", passwd, group).unwrap();
        assert_eq!((ci.user.uid.as_raw(), ci.user.gid.as_raw()), (1000, 100));
        assert_eq!(ci.user.groups, [Gid::from_raw(100), Gid::from_raw(99)]);
        assert_eq!((ci.name.as_str(), ci.home.as_str(), ci.shell.as_str()), ("ci", "/home/ci", "/bin/sh"));
        assert_eq!(parse_user("1000", passwd, group), Some(ci));
        assert_eq!(parse_user("nobody", passwd, group), None);
    }
}

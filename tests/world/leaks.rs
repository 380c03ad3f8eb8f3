//! What a run must not leave behind: processes, mounts, interfaces, files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::unistd::Pid;

use super::World;
use crate::wait::poll_for;

/// Set for everything that is started in a world, and inherited by whatever it starts.
pub(crate) const MARKER: &str = "CIJAIL_NET_TEST_WORLD";

const LIMIT: Duration = Duration::from_secs(5);

impl World {
    /// A namespace lives by a process, a mount or a link, so when all of these are gone it is gone too.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&self) {
        let left = self.left_after(LIMIT);
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
    }

    /// What is still there after that time.
    pub(crate) fn left_after(&self, limit: Duration) -> Vec<String> {
        poll_for(limit, || self.left_now().is_empty().then_some(()));
        self.left_now()
    }

    fn left_now(&self) -> Vec<String> {
        let marker = format!("{MARKER}={}", self.marker());
        let mut left: Vec<String> = marked_processes(&marker).into_iter().map(described).collect();
        let mounts = self.inside().mounts();
        left.extend(mounts.iter().filter(|mount| !self.mounts_at_first.contains(mount)).cloned());
        for place in [self.files().tmp(), self.files().shared_memory()] {
            left.extend(entries(&place).into_iter().map(|entry| format!("{}/{entry}", place.display())));
        }
        let of_ours = |entry: &String| entry.contains("cijail");
        left.extend(entries(&self.files().run()).into_iter().filter(of_ours));
        left.extend(entries(Path::new("/run")).into_iter().filter(of_ours));
        left.extend(self.further_interfaces());
        left
    }

    /// Everything that was started in this world and still runs.
    pub(crate) fn processes(&self) -> Vec<Pid> {
        let marker = format!("{MARKER}={}", self.marker());
        marked_processes(&marker).iter().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
    }

    /// Interfaces of the host namespace besides its own two.
    fn further_interfaces(&self) -> Vec<String> {
        let known = BTreeSet::from(["lo", "eth0"]);
        self.host().interfaces().into_iter().filter(|name| !known.contains(name.as_str())).collect()
    }
}

fn marked_processes(marker: &str) -> Vec<String> {
    entries(Path::new("/proc"))
        .into_iter()
        .filter(|entry| entry.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
        })
        .collect()
}

fn described(pid: String) -> String {
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("process {pid}: {}", String::from_utf8_lossy(&command).replace('\0', " "))
}

fn entries(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

//! Where a command is looked for, pure: the search of execvp(3) over the job's own `PATH`.

use std::ffi::{CStr, CString};

/// What execvp(3) uses when there is no `PATH`.
const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/bin:/usr/bin";

/// The paths to try, in order.
pub(super) fn candidates(program: &CStr, env: &[CString]) -> Vec<CString> {
    let program = program.to_bytes();
    if program.is_empty() {
        return Vec::new();
    }
    if program.contains(&b'/') {
        return CString::new(program).into_iter().collect();
    }
    let path = env.iter().find_map(|entry| entry.to_bytes().strip_prefix(b"PATH=")).unwrap_or(DEFAULT_PATH);
    path.split(|&byte| byte == b':')
        .filter_map(|directory| {
            // An empty element means the current directory.
            let directory = if directory.is_empty() { b"." } else { directory };
            CString::new([directory, b"/", program].concat()).ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(program: &str, path: Option<&str>) -> Vec<String> {
        let env: Vec<CString> =
            path.into_iter().map(|path| CString::new(format!("PATH={path}")).unwrap()).collect();
        let found = candidates(&CString::new(program).unwrap(), &env);
        found.into_iter().map(|path| path.into_string().unwrap()).collect()
    }

    #[test]
    fn searches_as_execvp() {
        assert_eq!(search("ls", Some("/a:/b")), ["/a/ls", "/b/ls"]);
        assert_eq!(search("ls", Some("/a:")), ["/a/ls", "./ls"]);
        assert_eq!(search("./ls", Some("/a")), ["./ls"]);
        assert_eq!(search("ls", None), ["/usr/local/bin/ls", "/bin/ls", "/usr/bin/ls"]);
        assert!(search("", Some("/a")).is_empty());
    }
}

//! Paths with every symbolic link followed, as the kernel follows them (path_resolution(7)). Pure: it asks
//! its caller what each name is.

/// Links that are followed in one path, as in the kernel.
const LINKS: usize = 40;

/// What a name is.
pub(super) enum Named {
    /// A symbolic link to this text.
    Link(Vec<u8>),
    /// Anything else.
    Other,
    /// Nothing, or nothing that can be looked at.
    Missing,
}

/// The path without `.`, `..` and empty names, as if there were no links.
pub(super) fn normalised(path: &[u8]) -> Vec<u8> {
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    joined(&names)
}

/// Where an absolute path leads. The last name is followed if it is a link and `follows` says so; it may
/// be missing if `may_be_missing` says so, and only it. `None` if the path leads nowhere.
pub(super) fn resolved(
    path: &[u8],
    follows: bool,
    may_be_missing: bool,
    what_is: impl Fn(&[u8]) -> Named,
) -> Option<Vec<u8>> {
    let mut left: Vec<Vec<u8>> = names_in_reverse(path);
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == b".." {
            done.pop();
            continue;
        }
        done.push(name);
        let is_last = left.is_empty();
        if is_last && !follows {
            break;
        }
        match what_is(&joined(&done)) {
            Named::Link(text) => {
                links += 1;
                if links > LINKS {
                    return None;
                }
                done.pop();
                if text.first() == Some(&b'/') {
                    done.clear();
                }
                left.extend(names_in_reverse(&text));
            }
            Named::Missing if !(is_last && may_be_missing) => return None,
            Named::Missing | Named::Other => {}
        }
    }
    Some(joined(&done))
}

fn names_in_reverse(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/').filter(|name| ![&b""[..], b"."].contains(name));
    names.rev().map(<[u8]>::to_vec).collect()
}

fn joined<T: AsRef<[u8]>>(names: &[T]) -> Vec<u8> {
    if names.is_empty() {
        return b"/".to_vec();
    }
    names.iter().flat_map(|name| [b"/", name.as_ref()].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up tree: `name -> link`, or `name`.
    fn lookup(path: &[u8]) -> Named {
        match path {
            b"/lib" => Named::Link(b"usr/lib".to_vec()),
            b"/loop" => Named::Link(b"/loop".to_vec()),
            b"/up" => Named::Link(b"../..".to_vec()),
            b"/dangling" => Named::Link(b"/usr/new".to_vec()),
            b"/usr/lib/a" => Named::Link(b"/lib/./b".to_vec()),
            b"/usr" | b"/usr/lib" | b"/usr/lib/b" => Named::Other,
            _ => Named::Missing,
        }
    }

    fn followed(path: &str) -> Option<String> {
        resolved(path.as_bytes(), true, false, lookup).map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn links_are_followed() {
        assert_eq!(followed("/lib/b").as_deref(), Some("/usr/lib/b"));
        assert_eq!(followed("//lib/.//a").as_deref(), Some("/usr/lib/b"));
        assert_eq!(followed("/lib/../lib/b").as_deref(), Some("/usr/lib/b"));
        assert_eq!(followed("/up/usr").as_deref(), Some("/usr"));
        assert_eq!(followed("/").as_deref(), Some("/"));
        assert_eq!(followed("/usr/../../..").as_deref(), Some("/"));
        assert_eq!(followed("/loop"), None);
        assert_eq!(followed("/usr/none"), None);
        assert_eq!(followed("/dangling"), None);
    }

    #[test]
    fn the_last_name_is_special() {
        let itself = |path: &[u8]| resolved(path, false, false, lookup);
        assert_eq!(itself(b"/lib/a").unwrap(), b"/usr/lib/a");
        assert_eq!(itself(b"/lib/none").unwrap(), b"/usr/lib/none");
        assert_eq!(itself(b"/none/x"), None);
        let made = |path: &[u8]| resolved(path, true, true, lookup);
        assert_eq!(made(b"/dangling").unwrap(), b"/usr/new");
        assert_eq!(made(b"/none/x"), None);
    }

    #[test]
    fn words_alone() {
        assert_eq!(normalised(b"/a//./b/../c/"), b"/a/c");
        assert_eq!(normalised(b"/../.."), b"/");
    }
}

//! Paths with every symbolic link followed, as the kernel follows them (path_resolution(7)). Pure: it asks
//! its caller what each name is.

/// Links that are followed in one path, as in the kernel.
const LINKS: usize = 40;

/// What a name is.
pub(super) enum Named {
    /// A symbolic link to this text.
    Link(Vec<u8>),
    /// A link to this place, wherever the root is.
    Place(Vec<u8>),
    /// Anything else.
    Other,
    /// Nothing, or nothing that can be looked at.
    Missing,
    /// Something that the job can look at, and we cannot.
    Hidden,
}

/// A path leads through something that we cannot look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hidden;

/// How a path is followed.
pub(super) struct Wanted<'f> {
    /// The root, without links: where links begin that are absolute, and where `..` ends.
    pub(super) floor: &'f [u8],
    /// Whether the last name is followed if it is a link.
    pub(super) follows: bool,
    /// Whether the last name, and only it, may be missing.
    pub(super) may_be_missing: bool,
}

/// The path without `.`, `..` and empty names, as if there were no links. `..` does not lead out of `floor`.
pub(super) fn normalised(path: &[u8], floor: &[u8]) -> Vec<u8> {
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => climb(&mut names, floor),
            name => names.push(name),
        }
    }
    joined(&names)
}

/// Where an absolute path leads; `None` if nowhere. It may begin outside of the floor, where a descriptor can
/// lead, and then go up to the very top.
pub(super) fn resolved(
    path: &[u8],
    wanted: &Wanted<'_>,
    what_is: impl Fn(&[u8]) -> Named,
) -> Result<Option<Vec<u8>>, Hidden> {
    let mut left: Vec<Vec<u8>> = names_in_reverse(path);
    let mut done: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.pop() {
        if name == b".." {
            climb(&mut done, wanted.floor);
            continue;
        }
        done.push(name);
        let is_last = left.is_empty();
        if is_last && !wanted.follows {
            break;
        }
        let text = match what_is(&joined(&done)) {
            Named::Link(text) => {
                done.pop();
                if text.first() == Some(&b'/') {
                    done = names(wanted.floor).map(<[u8]>::to_vec).collect();
                }
                text
            }
            Named::Place(text) => {
                done.clear();
                text
            }
            Named::Hidden => return Err(Hidden),
            Named::Missing if !(is_last && wanted.may_be_missing) => return Ok(None),
            Named::Missing | Named::Other => continue,
        };
        links += 1;
        if links > LINKS {
            return Ok(None);
        }
        left.extend(names_in_reverse(&text));
    }
    Ok(Some(joined(&done)))
}

fn climb<T: AsRef<[u8]>>(done: &mut Vec<T>, floor: &[u8]) {
    if !names(floor).eq(done.iter().map(AsRef::as_ref)) {
        done.pop();
    }
}

fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| ![&b""[..], b"."].contains(name))
}

fn names_in_reverse(path: &[u8]) -> Vec<Vec<u8>> {
    names(path).rev().map(<[u8]>::to_vec).collect()
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
            b"/usr/place" => Named::Place(b"/".to_vec()),
            b"/usr/hidden" => Named::Hidden,
            b"/usr" | b"/usr/lib" | b"/usr/lib/b" => Named::Other,
            _ => Named::Missing,
        }
    }

    fn followed(path: &str) -> Option<String> {
        beneath("/", path)
    }

    fn beneath(floor: &str, path: &str) -> Option<String> {
        let wanted = Wanted { floor: floor.as_bytes(), follows: true, may_be_missing: false };
        let path = resolved(path.as_bytes(), &wanted, lookup).unwrap();
        path.map(|path| String::from_utf8(path).unwrap())
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
    fn a_root_is_a_floor_for_what_begins_in_it() {
        assert_eq!(beneath("/usr/lib", "/usr/lib/../../b").as_deref(), Some("/usr/lib/b"));
        // `/lib/./b` within it, which is not there; and there at the top.
        assert_eq!(beneath("/usr/lib", "/usr/lib/a"), None);
        assert_eq!(beneath("/usr", "/usr/lib/a").as_deref(), Some("/usr/lib/b"));
        // A descriptor of a directory outside leads up to the top.
        assert_eq!(beneath("/usr/lib", "/usr/../lib/b").as_deref(), Some("/usr/lib/b"));
        assert_eq!(beneath("/usr/lib", "/usr/place/lib/b").as_deref(), Some("/usr/lib/b"));
    }

    #[test]
    fn what_is_hidden_is_not_missing() {
        let wanted = Wanted { floor: b"/", follows: true, may_be_missing: true };
        assert_eq!(resolved(b"/usr/hidden", &wanted, lookup), Err(Hidden));
    }

    #[test]
    fn the_last_name_is_special() {
        let found = |path: &[u8], follows| {
            let wanted = Wanted { floor: b"/", follows, may_be_missing: follows };
            resolved(path, &wanted, lookup).unwrap()
        };
        let itself = |path: &[u8]| found(path, false);
        assert_eq!(itself(b"/lib/a").unwrap(), b"/usr/lib/a");
        assert_eq!(itself(b"/lib/none").unwrap(), b"/usr/lib/none");
        assert_eq!(itself(b"/none/x"), None);
        let made = |path: &[u8]| found(path, true);
        assert_eq!(made(b"/dangling").unwrap(), b"/usr/new");
        assert_eq!(made(b"/none/x"), None);
    }

    #[test]
    fn words_alone() {
        assert_eq!(normalised(b"/a//./b/../c/", b"/"), b"/a/c");
        assert_eq!(normalised(b"/../..", b"/"), b"/");
        assert_eq!(normalised(b"/a/../../b", b"/a"), b"/a/b");
    }
}

//! Patterns against plain words, and against a matcher that tries everything.

use proptest::prelude::*;

use super::name::width;
use super::*;

fn glob(text: &str) -> Glob {
    Glob::parse(text).unwrap().anchored(b"/work", Some(b"/home/me")).unwrap()
}

#[test]
fn patterns_match_what_they_say() {
    for (pattern, path, expected) in [
        ("/etc/passwd", "/etc/passwd", true),
        ("/etc//./passwd", "/etc/passwd", true),
        ("/etc/passwd", "/etc/passwd2", false),
        ("/etc/passwd", "/etc/passwd/x", false),
        ("*.key", "/work/a.key", true),
        ("*.key", "/work/.key", true),
        ("*.key", "/work/sub/a.key", false),
        ("**/*.key", "/work/a.key", true),
        ("**/*.key", "/work/x/y/a.key", true),
        ("**/*.key", "/elsewhere/a.key", false),
        ("~/.npmrc", "/home/me/.npmrc", true),
        ("~x/.npmrc", "/work/~x/.npmrc", true),
        ("/a/**", "/a", false),
        ("/a/**", "/a/b", true),
        ("/a/**", "/a/b/c", true),
        ("/a/**/**/b", "/a/b", true),
        ("/**", "/", false),
        ("/**", "/x", true),
        ("/a/*/c", "/a//c", false),
        ("/a/?", "/a/é", true),
        ("/a/??", "/a/é", false),
        ("/a/*??", "/a/é", false),
        ("/a/[!x]", "/a/é", true),
        ("/a/[a-cx]1", "/a/b1", true),
        ("/a/[a-cx]1", "/a/d1", false),
        ("/a/[^a-c]", "/a/b", false),
        ("/a/[]]", "/a/]", true),
        ("/a/[a-]", "/a/-", true),
        ("/a/[\\]]", "/a/]", true),
        ("/a/\\*", "/a/*", true),
        ("/a/\\*", "/a/x", false),
        ("/a/*b*c", "/a/xbxbxc", true),
        ("/a/*b*c", "/a/xbxbx", false),
    ] {
        assert_eq!(glob(pattern).matches(path.as_bytes()), expected, "{pattern} of {path}");
    }
    assert!(glob("/a/?").matches(b"/a/\xff"));
}

#[test]
fn mistakes_are_told() {
    for (pattern, error) in [
        ("", GlobError::Empty),
        ("/", GlobError::Empty),
        ("~/.", GlobError::Empty),
        ("/a/", GlobError::Directory),
        ("/a\0b", GlobError::Nul),
        ("../a", GlobError::Parent),
        ("/a**", GlobError::Depth),
        ("/a/[b", GlobError::Open),
        ("/a/[]", GlobError::Open),
        ("/a/[a\\", GlobError::Open),
        ("/a/[c-a]", GlobError::Range),
        ("/a/[é]", GlobError::Wide),
        ("/a\\", GlobError::Escape),
    ] {
        assert_eq!(Glob::parse(pattern), Err(error), "{pattern}");
    }
    assert_eq!(Glob::parse(&"a".repeat(LONGEST + 1)), Err(GlobError::Long));
    assert_eq!(Glob::parse("~/a").unwrap().anchored(b"/work", None), None);
}

#[test]
fn the_plain_part_can_be_another() {
    assert_eq!(glob("/a/b/*/c").plain(), b"/a/b");
    assert_eq!(glob("/a/\\*").plain(), b"/a/*");
    assert_eq!(glob("**").plain(), b"/work");
    assert_eq!(glob("/*").plain(), b"");
    let moved = glob("/a/b/*/c").with_plain(b"/else/where");
    assert!(moved.matches(b"/else/where/x/c") && !moved.matches(b"/a/b/x/c"));
    assert_eq!(glob("/a/b").with_plain(b"/c/*"), glob("/c/\\*"));
}

#[test]
fn a_directory_may_hold_what_is_meant() {
    for (pattern, directory, expected) in [
        ("/home/me/.npmrc", "/", true),
        ("/home/me/.npmrc", "/home/me", true),
        ("/home/me/.npmrc", "/home/me/.npmrc", false),
        ("/home/me/.npmrc", "/home/you", false),
        ("/home/*/x", "/home/you", true),
        ("/src/**", "/src/a/b", true),
        ("/src/**/*.c", "/src/a/b", true),
        ("/src/**/*.c", "/lib", false),
    ] {
        assert_eq!(glob(pattern).may_match_beneath(directory.as_bytes()), expected, "{pattern} {directory}");
    }
}

#[test]
fn hard_patterns_take_no_time() {
    let pattern = format!("/{}", "*a".repeat(1000));
    assert!(!glob(&pattern).matches(format!("/{}", "b".repeat(2000)).as_bytes()));
    let deep = "/**/a".repeat(500);
    assert!(!glob(&deep).matches("/a/b".repeat(400).as_bytes()));
}

/// Tries every way.
fn tried(steps: &[Step], names: &[&[u8]]) -> bool {
    match (steps.split_first(), names.split_first()) {
        (None, None) => true,
        (Some((Step::Names, [])), _) => !names.is_empty(),
        (Some((Step::Names, rest)), _) => (0..=names.len()).any(|taken| tried(rest, &names[taken..])),
        (Some((Step::Name(pieces), rest)), Some((name, others))) => {
            tried_name(pieces, name) && tried(rest, others)
        }
        _ => false,
    }
}

fn tried_name(pieces: &[Piece], name: &[u8]) -> bool {
    match pieces.split_first() {
        None => name.is_empty(),
        Some((Piece::Run, rest)) => {
            let longer = || !name.is_empty() && tried_name(pieces, &name[width(name)..]);
            tried_name(rest, name) || longer()
        }
        Some((one, rest)) => one.taken(name).is_some_and(|taken| tried_name(rest, &name[taken..])),
    }
}

proptest! {
    #[test]
    fn agrees_with_trying_everything(
        pattern in r"(/(\*\*|[ab?*]{1,3}|[ab]\[ab\]|\[!a\])){1,5}",
        path in "(/[abé]{1,3}){0,5}",
    ) {
        prop_assume!(Glob::parse(&pattern).is_ok());
        let glob = Glob::parse(&pattern).unwrap();
        let names: Vec<&[u8]> = names(path.as_bytes()).collect();
        prop_assert_eq!(glob.matches(path.as_bytes()), tried(&glob.steps, &names));
        for above in 0..names.len() {
            let directory = names[..above].iter().flat_map(|name| [b"/", *name].concat()).collect::<Vec<u8>>();
            prop_assert!(!glob.matches(path.as_bytes()) || glob.may_match_beneath(&directory));
        }
    }

    #[test]
    fn no_text_is_too_much(text in r"[/*?\[\]!\\a.~-]{0,40}", path in "(/.{0,4}){0,4}") {
        if let Ok(glob) = Glob::parse(&text) {
            let glob = glob.anchored(b"/w", Some(b"/h")).unwrap();
            let _ = (glob.matches(path.as_bytes()), glob.may_match_beneath(path.as_bytes()));
            let plain = glob.plain();
            prop_assert_eq!(glob.with_plain(&plain), glob);
        }
    }
}

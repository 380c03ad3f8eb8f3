//! Iteration as OPA has it. Pure.
//!
//! To OPA `some x in y` is undefined where `y` is no collection, and rules rely on it: kntrl's ask for the
//! hosts in each value of the input. The engine fails there, but not at `x := y[_]`, which is the same
//! for whatever is a collection.

use std::borrow::Cow;

/// The module with each line that is just `some x in y` as `x := y[_]`, where `y` is a name or a path.
/// Lines stay where they are. A module with raw strings, which go over lines, stays as it is.
pub(super) fn as_opa(module: &str) -> Cow<'_, str> {
    if !module.contains("some ") || module.contains('`') {
        return Cow::Borrowed(module);
    }
    Cow::Owned(
        module.split_inclusive('\n').map(|line| rewritten(line).unwrap_or_else(|| line.into())).collect(),
    )
}

fn rewritten(line: &str) -> Option<Cow<'_, str>> {
    let statement = line.trim();
    let (name, collection) = statement.strip_prefix("some ")?.split_once(" in ")?;
    let (name, collection) = (name.trim(), collection.trim());
    let is_path = !collection.is_empty() && collection.split('.').all(is_name);
    if !is_name(name) || name == "_" || !is_path {
        return None;
    }
    let (front, end) = line.split_once(statement)?;
    Some(format!("{front}{name} := {collection}[_]{end}").into())
}

fn is_name(text: &str) -> bool {
    let mut characters = text.chars();
    let first = characters.next();
    first.is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && characters.all(|character| character.is_ascii_alphanumeric() || character == '_')
}

#[cfg(test)]
mod tests {
    use super::as_opa;

    #[test]
    fn plain_lines_only() {
        assert_eq!(
            as_opa("a if {\n\tsome x in input.y\r\n\tx == 1\n}"),
            "a if {\n\tx := input.y[_]\r\n\tx == 1\n}"
        );
        for text in [
            "some x in f(y)\n",
            "some k, v in y\n",
            "some x in y; x == 1\n",
            "# some x in y\n",
            "some _ in y\n",
            "some x in [1, 2]\n",
            "some x in y with input as z\n",
            "some x\n",
            "msg := `\nsome x in y\n`",
        ] {
            assert_eq!(as_opa(text), text);
        }
    }
}

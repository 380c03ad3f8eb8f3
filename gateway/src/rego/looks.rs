//! Whether a module may look at the process in its input. Pure, and in doubt it does.

/// Keys of the input that say nothing of the process.
pub(super) const PLAIN: [&str; 13] = [
    "name", "address", "port", "protocol", "method", "url", "labels", "domains", "daddr", "dport", "proto",
    "sni", "policy",
];

/// Whether some `input` in the text is followed by something else than a dot and one of the plain keys.
/// Comments and strings are read like the rest.
pub(super) fn looks_at_process(text: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    text.match_indices("input").any(|(at, word)| {
        let rest = &text[at + word.len()..];
        let is_whole =
            !text[..at].chars().next_back().is_some_and(is_word) && !rest.chars().next().is_some_and(is_word);
        let key = rest.strip_prefix('.').map(|rest| rest.split(|character| !is_word(character)).next());
        is_whole && !key.flatten().is_some_and(|key| PLAIN.contains(&key))
    })
}

#[cfg(test)]
mod tests {
    use super::looks_at_process;

    #[test]
    fn in_doubt_it_does() {
        for text in [
            "allow if input.process.exe == \"x\"",
            "x := input",
            "x := input[_]",
            "x := input[\"name\"]",
            "import input as i",
            "import input.process",
            "f(input)",
            "input.names",
            "input . name",
            "allow if x with input as {}",
            "input.task_name",
            "input.ancestors[_]",
            "# input",
            "walk(input, [p, v])",
        ] {
            assert!(looks_at_process(text), "{text}");
        }
        for text in [
            "input.name == \"a\"",
            "data.x[input.port]",
            "my_input.process",
            "inputs",
            "",
            "input.url\n",
            "input.labels[\"ci/ref\"]",
        ] {
            assert!(!looks_at_process(text), "{text}");
        }
    }
}

//! Sets: rules under a name, listed in a policy file, read from a file of their own, or known by the
//! program. Pure: the text of files is handed in by the gateway.

mod document;
mod known;
mod lines;
mod member;

use std::collections::HashSet;
use std::sync::Arc;

use crate::builder::Draft;
use crate::place::Places;
use crate::rule::{RuleErrorKind, split_port_text};
use crate::{Effect, Origin, Rule};

pub(crate) use known::find as find_known;
pub use known::{GITHUB, check_github};
pub(crate) use member::Member;

/// Mistakes of one set that are shown; after so many it is hardly one.
const MISTAKES: usize = 100;

/// A file with the rules of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetFile<'a> {
    /// The path in a policy file, relative to that file unless it is absolute.
    Path(&'a str),
    /// The document of this name in the user's store, such as [`GITHUB`].
    Stored(&'a str),
}

/// The content of a [`SetFile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetText {
    /// What origins and errors call it.
    pub source: String,
    /// All of it.
    pub bytes: Vec<u8>,
}

/// Reads the file of a set, or says why it cannot be read and what to do.
pub type ReadSet<'r> = dyn FnMut(SetFile<'_>) -> Result<SetText, String> + 'r;

/// The rules of a set, still without an effect.
#[derive(Debug, Default)]
pub(crate) struct Set {
    pub(crate) members: Vec<Member>,
    /// All of it could be read, so that no members are what there is.
    is_whole: bool,
    /// Ports of addresses without any, unless the reference has some.
    ports: &'static [&'static str],
    /// Addresses that are denied where the set is allowed.
    never: &'static [&'static str],
    /// What has been taken of it already.
    taken: HashSet<(Effect, Option<String>)>,
}

/// `name` or `name:PORTS`, as it follows an `@`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reference<'t> {
    pub(crate) name: &'t str,
    ports: Option<&'t str>,
}

impl<'t> Reference<'t> {
    /// Reads what follows the `@`. A mistake comes with its offset.
    pub(crate) fn parse(text: &'t str) -> Result<Reference<'t>, (usize, RuleErrorKind)> {
        let Some((name, ports)) = text.split_once(':') else {
            return Ok(Reference { name: text, ports: None });
        };
        match split_port_text(ports) {
            Ok(_) => Ok(Reference { name, ports: Some(ports) }),
            Err((_, kind)) => Err((name.len() + 1, kind)),
        }
    }
}

impl Set {
    pub(crate) fn of(members: Vec<Member>) -> Set {
        Set { members, is_whole: true, ..Set::default() }
    }

    /// Whether no rule was made of it yet.
    pub(crate) fn is_unused(&self) -> bool {
        self.taken.is_empty()
    }

    /// Adds the rules of the set to the draft, once for each effect and ports. `origin` is the place of
    /// the reference. Denying nothing is a mistake: a list that was lost on its way looks like that.
    pub(crate) fn take(
        &mut self,
        draft: &mut Draft,
        reference: Reference<'_>,
        effect: Effect,
        origin: &Origin,
    ) {
        if effect == Effect::Deny && self.is_whole && self.members.is_empty() {
            let message = "the set is empty, so this denies nothing: fill it, or remove this entry";
            let name = format!("@{}", reference.name);
            draft.error(&origin.source().into(), origin.position(), message.to_owned(), Some(&name));
        }
        self.make_rules(draft, reference, effect, origin);
    }

    fn make_rules(&mut self, draft: &mut Draft, reference: Reference<'_>, effect: Effect, origin: &Origin) {
        if !self.taken.insert((effect, reference.ports.map(str::to_owned))) {
            return;
        }
        let name: Arc<str> = match reference.ports {
            Some(ports) => format!("@{}:{ports}", reference.name).into(),
            None => format!("@{}", reference.name).into(),
        };
        let mut mistakes = 0;
        let mut without_port = 0;
        for member in &self.members {
            let defaults =
                if effect == Effect::Allow && reference.ports.is_none() { self.ports } else { &[] };
            for rule in member.rules(reference.ports, defaults, effect, origin) {
                match rule {
                    // Its own place says whose it is.
                    Ok(rule) if member.is_inline() => draft.push(rule),
                    Ok(rule) => draft.push(rule.with_set(Some(Arc::clone(&name)))),
                    Err(error)
                        if matches!(error.kind, RuleErrorKind::AddressWithoutPort(_))
                            && !member.is_inline() =>
                    {
                        without_port += 1;
                    }
                    Err(error) => {
                        mistakes += 1;
                        if mistakes <= MISTAKES {
                            member.mistaken(draft, origin, &error);
                        }
                    }
                }
            }
        }
        for text in self.never.iter().filter(|_| effect == Effect::Allow) {
            // They are the program's own, and are read by a test.
            if let Ok(rule) = Rule::parse(text, Effect::Deny, origin.clone()) {
                draft.push(rule.with_set(Some(Arc::clone(&name))));
            }
        }
        if without_port > 0 {
            let message = format!(
                "the set has addresses without a port: write @{0}:443, or @{0}:* for every TCP port",
                reference.name
            );
            draft.error(&origin.source().into(), origin.position(), message, Some(&name));
        }
    }

    /// Reports what would be wrong in a set that nothing takes.
    pub(crate) fn check(&mut self, draft: &mut Draft, name: &str, origin: &Origin) {
        let before = draft.rules.len();
        // Deny rules may do without a port, so this reads every rule that either effect takes.
        self.make_rules(draft, Reference { name, ports: None }, Effect::Deny, origin);
        draft.rules.truncate(before);
        self.taken.clear();
    }
}

/// Reads the text of a set: a rule, an address or a range on each line; with `keys` the lists of a JSON
/// document at those keys.
pub(crate) fn read(draft: &mut Draft, text: &SetText, keys: Option<&[&str]>) -> Set {
    let source: Arc<str> = text.source.as_str().into();
    let Some(content) = draft.utf8(&source, &text.bytes) else { return Set::default() };
    let mut places = Places::new(content);
    match keys {
        None => Set::of(lines::members(&source, content)),
        Some(keys) => {
            let mut members = Vec::new();
            // A list without keys is reported where it stands.
            let mut is_whole = !keys.is_empty();
            for key in keys {
                match document::strings(content, key) {
                    Ok(strings) => members.extend(
                        strings
                            .into_iter()
                            .map(|(offset, text)| Member::at(&source, places.of(offset), None, text.into())),
                    ),
                    Err(mistake) => {
                        let at = places.of(mistake.offset);
                        draft.error(&source, Some(at), mistake.message, mistake.words.as_deref());
                        is_whole = false;
                    }
                }
            }
            Set { is_whole, ..Set::of(members) }
        }
    }
}

#[cfg(test)]
mod tests;

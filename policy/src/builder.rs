//! Collects rules and settings from every source, and every mistake in them.

use std::sync::Arc;

use crate::engine::Policy;
use crate::error::{PolicyError, PolicyErrors};
use crate::file;
use crate::rule::is_method_list;
use crate::set::{self, ReadSet, Reference, Set, SetFile};
use crate::settings::{DnsSettings, Limits, Mode};
use crate::{Effect, Glob, Name, Origin, Position, Resolver, Rule, Watch};

/// The largest policy file that is read, in octets; 16 MiB hold some 400,000 rules.
pub const MAX_POLICY_BYTES: usize = 16 * 1024 * 1024;

/// Rules that one policy may have. Long forms multiply ports and paths; this bounds the product.
pub(crate) const MAX_RULES: usize = 1 << 20;

/// Makes a [`Policy`] out of files, options and environment variables.
///
/// Sources add up. Of settings that two files give, the later wins; the command line wins over
/// files in whatever order the calls come. Mistakes are kept until [`PolicyBuilder::build`].
#[derive(Debug, Default)]
pub struct PolicyBuilder {
    draft: Draft,
    mode: Option<Mode>,
    resolvers: Option<Vec<Resolver>>,
}

/// What the sources gave so far.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) rules: Vec<Rule>,
    pub(crate) mode: Mode,
    pub(crate) dns: DnsSettings,
    pub(crate) limits: Limits,
    pub(crate) watch: Watch,
    pub(crate) errors: Vec<PolicyError>,
    /// Those of policy files, each with its name and the file.
    pub(crate) sets: Vec<(String, Arc<str>, Set)>,
}

impl PolicyBuilder {
    /// A builder for the empty policy, which allows nothing.
    pub fn new() -> PolicyBuilder {
        PolicyBuilder::default()
    }

    /// Adds a policy file that has no sets in files of their own; `name` is what origins and errors
    /// call it.
    pub fn add_file(&mut self, name: &str, bytes: &[u8]) {
        self.add_file_with(name, bytes, &mut |_: SetFile<'_>| Err("no file can be read here".to_owned()));
    }

    /// Adds a policy file; `read` is asked for the files of its sets.
    pub fn add_file_with(&mut self, name: &str, bytes: &[u8], read: &mut ReadSet<'_>) {
        let source: Arc<str> = name.into();
        if let Some(text) = self.draft.utf8(&source, bytes) {
            file::read(&mut self.draft, &source, text, read);
        }
    }

    /// Allows what the set says that `reference` names, as `--allow-set` has it: `NAME` or `NAME:PORT`,
    /// with `/udp` for UDP. The name is one of the policy files that were added before, or one that
    /// the program knows; `source` is what errors call where it stands.
    pub fn add_allow_set(&mut self, source: &str, reference: &str, read: &mut ReadSet<'_>) {
        let origin = Origin::option(source);
        let parsed = match Reference::parse(reference.strip_prefix('@').unwrap_or(reference)) {
            Ok(parsed) => parsed,
            Err((_, kind)) => {
                return self.draft.error(&source.into(), None, kind.to_string(), Some(reference));
            }
        };
        let mut sets = std::mem::take(&mut self.draft.sets);
        let mut named = sets.iter_mut().filter(|(name, ..)| name == parsed.name);
        let found = match (named.next(), named.next()) {
            (Some((_, file, _)), Some((_, other, _))) => {
                Err(format!("{file} and {other} both have this set"))
            }
            (Some((.., set)), None) => {
                set.take(&mut self.draft, parsed, Effect::Allow, &origin);
                Ok(())
            }
            (None, _) => match self.draft.known_set(parsed.name, read) {
                Ok(mut set) => {
                    set.take(&mut self.draft, parsed, Effect::Allow, &origin);
                    Ok(())
                }
                Err(why) => Err(why.unwrap_or_else(|| {
                    let near = file::nearest(parsed.name, sets.iter().map(|(name, ..)| name.as_str()));
                    match near {
                        Some(near) => format!("there is no such set: did you mean {near}?"),
                        None => "there is no such set: add it under [sets] in a policy file".to_owned(),
                    }
                })),
            },
        };
        self.draft.sets = sets;
        if let Err(message) = found {
            self.draft.error(&source.into(), None, message, Some(reference));
        }
    }

    /// Adds the value of `CIJAIL_ENDPOINTS`: allow rules separated by white space. A word that
    /// starts with `#` begins a comment that goes on to the end of the line.
    pub fn add_endpoints(&mut self, text: &str) {
        let source: Arc<str> = "CIJAIL_ENDPOINTS".into();
        for (number, line) in text.lines().enumerate() {
            let mut words = words(line).peekable();
            while let Some((start, end)) = words.next() {
                let is_methods = is_method_list(&line[start..end]);
                let url = words.next_if(|&(start, end)| is_methods && line[start..end].contains("://"));
                let rule = &line[start..url.map_or(end, |(_, end)| end)];
                let position = |offset: usize| Position {
                    line: number + 1,
                    column: line[..start + offset].chars().count() + 1,
                };
                match Rule::parse(rule, Effect::Allow, Origin::at(&source, position(0))) {
                    Ok(rule) => self.draft.push(rule),
                    Err(error) => {
                        let at = position(error.offset);
                        self.draft.error(&source, Some(at), error.kind.to_string(), Some(rule));
                    }
                }
            }
        }
    }

    /// Adds an allow rule from `--allow`.
    pub fn add_allow(&mut self, text: &str) {
        self.add_rule("--allow", Effect::Allow, text);
    }

    /// Adds a deny rule from `--deny`.
    pub fn add_deny(&mut self, text: &str) {
        self.add_rule("--deny", Effect::Deny, text);
    }

    /// Adds a rule from another option or variable, which origins and errors call `source`.
    pub fn add_rule(&mut self, source: &str, effect: Effect, text: &str) {
        let origin = Origin::option(source);
        match Rule::parse(text, effect, origin) {
            Ok(rule) => self.draft.push(rule),
            Err(error) => self.draft.error(&source.into(), None, error.kind.to_string(), Some(text)),
        }
    }

    /// Lets a name of the machine's own configuration resolve, also to a private address, and
    /// nothing else of it: the parent proxy, which the job's files may name.
    pub fn add_resolvable(&mut self, source: &str, name: &Name) {
        if let Ok(rule) = Rule::parse(&format!("dns:{name}"), Effect::Allow, Origin::option(source)) {
            self.draft.push(rule.with_allow_private(true));
        }
    }

    /// Sets the mode, whatever files say.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = Some(mode);
    }

    /// Sets the resolvers from `--resolver`, whatever files say. No texts set nothing.
    pub fn set_resolvers<T: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = T>) {
        for text in texts {
            match Resolver::parse(text.as_ref()) {
                Ok(resolver) => self.resolvers.get_or_insert_default().push(resolver),
                Err(error) => {
                    self.draft.error(&"--resolver".into(), None, error.to_string(), Some(text.as_ref()));
                }
            }
        }
    }

    /// Tells which programs run, from `--watch-exec`.
    pub fn watch_exec(&mut self) {
        self.draft.watch.exec = true;
    }

    /// Tells who uses these files, from `--watch-path`.
    pub fn add_watched_path(&mut self, text: &str) {
        match Glob::parse(text) {
            Ok(glob) => self.draft.watch.paths.push(glob),
            Err(error) => self.draft.error(&"--watch-path".into(), None, error.to_string(), Some(text)),
        }
    }

    /// The policy, or everything that is wrong with its sources.
    pub fn build(self) -> Result<Policy, PolicyErrors> {
        let Draft { rules, mode, mut dns, limits, watch, errors, .. } = self.draft;
        if let Some(errors) = PolicyErrors::new(errors) {
            return Err(errors);
        }
        if let Some(resolvers) = self.resolvers {
            dns.resolvers = resolvers;
        }
        Ok(Policy::new(self.mode.unwrap_or(mode), rules, dns, limits).with_watch(watch))
    }
}

impl Draft {
    pub(crate) fn error(
        &mut self,
        source: &Arc<str>,
        position: Option<Position>,
        message: String,
        words: Option<&str>,
    ) {
        let words = words.map(str::to_owned);
        self.errors.push(PolicyError { source: Arc::clone(source), position, message, words });
    }

    /// A source as text; what is wrong with it is noted.
    pub(crate) fn utf8<'b>(&mut self, source: &Arc<str>, bytes: &'b [u8]) -> Option<&'b str> {
        if bytes.len() > MAX_POLICY_BYTES {
            let message = format!(
                "the file has {} octets, a policy at most {MAX_POLICY_BYTES}: split it, or use wildcards and address ranges",
                bytes.len()
            );
            self.error(source, None, message, None);
            return None;
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text),
            Err(error) => {
                let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
                let bad = bytes.get(error.valid_up_to()).copied().unwrap_or_default();
                let line = good.matches('\n').count() + 1;
                let column = good.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                let message = format!("byte 0x{bad:02x} is not UTF-8: save the file as UTF-8 text");
                self.error(source, Some(Position { line, column }), message, None);
                None
            }
        }
    }

    /// A set that the program knows; `Err(None)` if it knows none of this name, otherwise why the set
    /// cannot be read.
    pub(crate) fn known_set(&mut self, name: &str, read: &mut ReadSet<'_>) -> Result<Set, Option<String>> {
        let known = set::find_known(name).ok_or(None)?;
        let mut why = None;
        let text = |document: &str| read(SetFile::Stored(document)).map_err(|error| why = Some(error)).ok();
        let set = known.set(text, |text, key| set::read(self, text, Some(&[key])));
        set.ok_or(why)
    }

    pub(crate) fn push(&mut self, rule: Rule) {
        if self.rules.len() == MAX_RULES {
            let message = format!("a policy has at most {MAX_RULES} rules: use wildcards and address ranges");
            self.error(&rule.origin().source().into(), None, message, None);
        }
        if self.rules.len() <= MAX_RULES {
            self.rules.push(rule);
        }
    }
}

/// Start and end of each word of a line, up to a comment.
fn words(line: &str) -> impl Iterator<Item = (usize, usize)> {
    let offset = |word: &str| word.as_ptr() as usize - line.as_ptr() as usize;
    line.split_whitespace()
        .take_while(|word| !word.starts_with('#'))
        .map(move |word| (offset(word), offset(word) + word.len()))
}

#[cfg(test)]
mod tests;

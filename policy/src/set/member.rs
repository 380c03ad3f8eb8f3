//! One rule of a set, as it stands in its source.

use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::Ipv6Net;

use crate::builder::Draft;
use crate::rule::{Subject, split_port_text};
use crate::{Effect, Origin, Position, Rule, RuleError, RuleErrorKind};

/// The text of a rule, an address or a range, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    text: Box<str>,
    /// `None` if it is the program's own: rules then have the place of the reference.
    origin: Option<Origin>,
    /// Where the text itself begins, if its characters follow each other there as they are.
    start: Option<Position>,
    inline: bool,
}

impl Member {
    /// In a file. `start` is where the text itself begins, if it stands there without escapes.
    pub(crate) fn at(source: &Arc<str>, at: Position, start: Option<Position>, text: Box<str>) -> Member {
        Member { text, origin: Some(Origin::at(source, at)), start, inline: false }
    }

    /// In a list of a policy file, where a rule is complete by itself.
    pub(crate) fn inline(self) -> Member {
        Member { inline: true, ..self }
    }

    /// Of the program's own.
    pub(super) fn own(text: &str) -> Member {
        Member { text: text.into(), origin: None, start: None, inline: false }
    }

    pub(super) fn is_inline(&self) -> bool {
        self.inline
    }

    /// The rules that it makes: with these ports if it is an address or a host without any, otherwise
    /// an address for each of the `defaults`.
    pub(super) fn rules(
        &self,
        ports: Option<&str>,
        defaults: &[&str],
        effect: Effect,
        reference: &Origin,
    ) -> Vec<Result<Rule, RuleError>> {
        let is_v6 = self.text.parse::<Ipv6Addr>().is_ok() || self.text.parse::<Ipv6Net>().is_ok();
        let text = if is_v6 { &*format!("[{}]", self.text) } else { &*self.text };
        let origin = self.origin.as_ref().unwrap_or(reference);
        let parse = |text: &str| {
            Rule::parse(text, effect, origin.clone()).map_err(|error| {
                // The bracket is ours, and so are the ports behind the text.
                let offset = error.offset.saturating_sub(is_v6.into()).min(self.text.len());
                RuleError { offset, ..error }
            })
        };
        // Without ports it is complete as a deny rule, if at all.
        let bare = Rule::parse(text, Effect::Deny, origin.clone()).ok();
        let bare = bare.as_ref().map(Rule::subject);
        let with = |ports: &str| {
            let (ports, protocol) = split_port_text(ports).ok()?;
            Some(bare?.with_ports(ports, protocol)?.to_string())
        };
        match ports {
            Some(ports) => vec![parse(with(ports).as_deref().unwrap_or(text))],
            None if matches!(bare, Some(Subject::Address { .. })) && !defaults.is_empty() => {
                defaults.iter().map(|ports| parse(with(ports).as_deref().unwrap_or(text))).collect()
            }
            None => vec![parse(text)],
        }
    }

    /// Reports a mistake in it.
    pub(super) fn mistaken(&self, draft: &mut Draft, reference: &Origin, error: &RuleError) {
        let origin = self.origin.as_ref().unwrap_or(reference);
        let before = self.text.get(..error.offset).unwrap_or_default();
        let at = match self.start {
            Some(Position { line, column }) if !before.contains('\n') => {
                Some(Position { line, column: column + before.chars().count() })
            }
            _ => origin.position(),
        };
        let message = match &error.kind {
            RuleErrorKind::SetElsewhere => "sets hold rules, not other sets".to_owned(),
            kind => kind.to_string(),
        };
        draft.error(&origin.source().into(), at, message, Some(&self.text));
    }
}

//! One rule of a set, as it stands in its source.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use crate::builder::Draft;
use crate::rule::split_port_text;
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
        let origin = self.origin.as_ref().unwrap_or(reference);
        if let Some(range) = self.range() {
            let rule = |ports: Option<&str>| {
                // They have been read before.
                let ports = ports.and_then(|ports| split_port_text(ports).ok());
                let rule = Rule::of_range(range, ports, effect, origin.clone());
                rule.map_err(|kind| RuleError { offset: 0, kind })
            };
            return match ports {
                None if !defaults.is_empty() => defaults.iter().map(|ports| rule(Some(ports))).collect(),
                ports => vec![rule(ports)],
            };
        }
        let with = |ports: &str| {
            let (ports, protocol) = split_port_text(ports).ok()?;
            // Without ports it is complete as a deny rule, if at all.
            let bare = Rule::parse(&self.text, Effect::Deny, origin.clone()).ok()?;
            Some(bare.subject().with_ports(ports, protocol)?.to_string())
        };
        let complete = ports.and_then(with);
        let rule = Rule::parse(complete.as_deref().unwrap_or(&self.text), effect, origin.clone());
        // The ports behind the text are not its own.
        let own = |error: RuleError| RuleError { offset: error.offset.min(self.text.len()), ..error };
        vec![rule.map_err(own)]
    }

    /// The range, if it is nothing else. IPv6 may do without brackets here.
    fn range(&self) -> Option<IpNet> {
        let inside = self.text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let text = inside.filter(|inside| inside.contains(':')).unwrap_or(&self.text);
        text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
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

//! What the postinstall does, and the lines by which it tells. Pure.

use crate::audit::printable;

/// A way by which a token may get out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// An HTTPS request to a collector.
    Https,
    /// Questions to the resolver whose labels are the token.
    DnsLabels,
    /// A question to the thief's own name server, over TCP.
    DnsTcp,
    /// Plain TCP to an address.
    Literal,
    /// UDP to 443.
    Quic,
    /// A packet of another protocol, made by hand.
    Raw,
    /// The payload of an ICMP echo request.
    Icmp,
}

impl Way {
    /// In the order in which they are tried.
    pub(super) const ALL: [Way; 7] =
        [Way::Https, Way::DnsLabels, Way::DnsTcp, Way::Literal, Way::Quic, Way::Raw, Way::Icmp];

    /// Whether the machine may refuse this way to everybody without a capability.
    pub(super) fn needs_right(self) -> bool {
        matches!(self, Way::Raw | Way::Icmp)
    }
}

/// One thing that the postinstall does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The honest part: it resolves the registry's name and fetches a package over TLS.
    Package,
    /// The rest.
    Steal(Way),
}

impl Step {
    /// In the order in which they are done.
    pub(super) fn all() -> impl Iterator<Item = Step> {
        std::iter::once(Step::Package).chain(Way::ALL.map(Step::Steal))
    }

    /// The name that people read.
    pub(super) fn title(self) -> &'static str {
        match self {
            Step::Package => "fetch",
            Step::Steal(Way::Https) => "HTTPS POST",
            Step::Steal(Way::DnsLabels) => "DNS labels",
            Step::Steal(Way::DnsTcp) => "DNS over TCP",
            Step::Steal(Way::Literal) => "IP literal",
            Step::Steal(Way::Quic) => "QUIC",
            Step::Steal(Way::Raw) => "raw socket",
            Step::Steal(Way::Icmp) => "ICMP echo",
        }
    }
}

/// What the postinstall tells on its standard output, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// It is about to do this.
    Trying(Step, String),
    /// This came of it.
    Saw(Step, Result<String, String>),
}

impl Told {
    /// The line, without its end.
    pub(super) fn encode(&self) -> String {
        match self {
            Told::Trying(step, what) => format!("trying\t{}\t{}", step.title(), printable(what)),
            Told::Saw(step, Ok(what)) => format!("saw\t{}\t{}", step.title(), printable(what)),
            Told::Saw(step, Err(why)) => format!("failed\t{}\t{}", step.title(), printable(why)),
        }
    }

    /// Reads a line. What the job says is shown, so nothing in it may reach the terminal as it is.
    pub(super) fn decode(line: &str) -> Option<Told> {
        let mut fields = line.splitn(3, '\t');
        let (verb, title, text) = (fields.next()?, fields.next()?, fields.next()?);
        let step = Step::all().find(|step| step.title() == title)?;
        let text = printable(text).into_owned();
        match verb {
            "trying" => Some(Told::Trying(step, text)),
            "saw" => Some(Told::Saw(step, Ok(text))),
            "failed" => Some(Told::Saw(step, Err(text))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_round_trip_and_cannot_forge_others() {
        for step in Step::all() {
            for told in [Told::Trying(step, "x".to_owned()), Told::Saw(step, Err("y z".to_owned()))] {
                assert_eq!(Told::decode(&told.encode()), Some(told));
            }
        }
        assert!(!Told::Saw(Step::Package, Ok("a\nb\x1b[2J".to_owned())).encode().contains(['\n', '\x1b']));
        assert_eq!(Told::decode("saw\tnonsense\tx"), None);
        assert_eq!(Told::decode(""), None);
    }
}

//! Whether one rule leaves nothing for another to decide.

use super::{AddressService, Effect, Rule, Service, Subject, Url};
use crate::{Protocol, Scheme};

impl Rule {
    /// Whether every connection that `other` speaks of is one that this rule speaks of. Used for
    /// advice only: `false` may also mean "not sure".
    pub(crate) fn covers(&self, other: &Rule) -> bool {
        if other.allow_private && !self.allow_private && self.effect == Effect::Allow {
            return false;
        }
        // What it lets through at first it may not let through later, or only as somebody.
        if self.max_upload.is_some() || self.client_cert.is_some() {
            return false;
        }
        match (&self.subject, &other.subject) {
            (
                Subject::Host { pattern, service },
                Subject::Host { pattern: other_pattern, service: other_service },
            ) => pattern.covers(other_pattern) && service.covers(other_service, self.effect),
            (
                Subject::Address { range, service },
                Subject::Address { range: other_range, service: other_service },
            ) => range.contains(other_range) && service.covers(*other_service),
            _ => false,
        }
    }
}

impl Service {
    fn covers(&self, other: &Service, effect: Effect) -> bool {
        match (self, other) {
            (Service::Everything, _) => true,
            (_, Service::Everything) => false,
            // Every allow rule lets the name resolve; of deny rules only this one forbids it.
            (_, Service::Resolve) => effect == Effect::Allow || *self == Service::Resolve,
            // A name that does not resolve is out of reach of all its rules.
            (Service::Resolve, _) => effect == Effect::Deny,
            (Service::Web, Service::Web) => true,
            (Service::Web, Service::Url(url)) => url.port == url.scheme.default_port(),
            (Service::Web, Service::Ports { .. }) => false,
            (
                Service::Ports { ports, protocol },
                Service::Ports { ports: other_ports, protocol: other_protocol },
            ) => protocol == other_protocol && ports.covers(*other_ports),
            (Service::Ports { ports, protocol: Protocol::Tcp }, Service::Url(url)) => {
                ports.contains(url.port)
            }
            (Service::Ports { ports, protocol: Protocol::Tcp }, Service::Web) => {
                ports.contains(Scheme::Http.default_port()) && ports.contains(Scheme::Https.default_port())
            }
            (Service::Ports { .. }, _) => false,
            (Service::Url(url), Service::Url(other)) => url.covers(other),
            (Service::Url(_), _) => false,
        }
    }
}

impl Url {
    fn covers(&self, other: &Url) -> bool {
        let methods = self.methods.is_empty()
            || (!other.methods.is_empty()
                && other.methods.iter().all(|method| self.methods.contains(method)));
        self.scheme == other.scheme && self.port == other.port && self.path.covers(&other.path) && methods
    }
}

impl AddressService {
    fn covers(self, other: AddressService) -> bool {
        match (self, other) {
            (AddressService::Everything, _) => true,
            (_, AddressService::Everything) => false,
            (
                AddressService::Ports { ports, protocol },
                AddressService::Ports { ports: other_ports, protocol: other_protocol },
            ) => protocol == other_protocol && ports.covers(other_ports),
        }
    }
}

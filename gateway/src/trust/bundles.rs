//! Where systems keep the roots that all programs share. Pure but for [`system_bundle`].

use std::path::Path;

use super::pem;

/// How roots are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One certificate after the other.
    Pem,
    /// The objects of p11-kit's trust module, which GnuTLS and NSS ask on systems that have it
    /// (p11-kit, trust/persist-format.txt).
    P11Kit,
}

/// A place where a system may keep roots.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    path: &'static str,
    form: Form,
}

const fn bundle(path: &'static str) -> Place {
    Place { path, form: Form::Pem }
}

const fn objects(path: &'static str) -> Place {
    Place { path, form: Form::P11Kit }
}

/// Every place that is known, of which many may be one file. The first that exists is the one that
/// variables name.
pub(super) const PLACES: [Place; 17] = [
    // Debian, Ubuntu, Alpine, Arch, Gentoo.
    bundle("/etc/ssl/certs/ca-certificates.crt"),
    // Fedora, RHEL.
    bundle("/etc/pki/tls/certs/ca-bundle.crt"),
    bundle("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    bundle("/etc/pki/tls/cert.pem"),
    bundle("/etc/pki/tls/cacert.pem"),
    // openSUSE.
    bundle("/etc/ssl/ca-bundle.pem"),
    bundle("/var/lib/ca-certificates/ca-bundle.pem"),
    // NixOS, and Nix elsewhere.
    bundle("/etc/ssl/certs/ca-bundle.crt"),
    bundle("/nix/var/nix/profiles/default/etc/ssl/certs/ca-bundle.crt"),
    // Arch, behind its links.
    bundle("/etc/ca-certificates/extracted/tls-ca-bundle.pem"),
    // OpenSSL's own default, here and there.
    bundle("/etc/ssl/cert.pem"),
    bundle("/usr/lib/ssl/cert.pem"),
    bundle("/usr/local/ssl/cert.pem"),
    bundle("/usr/share/ssl/certs/ca-bundle.crt"),
    // Fedora and RHEL, Arch, openSUSE.
    objects("/usr/share/pki/ca-trust-source/ca-bundle.trust.p11-kit"),
    objects("/usr/share/ca-certificates/trust-source/mozilla.trust.p11-kit"),
    objects("/usr/share/pki/trust/ca-certificates-mozilla.trust.p11-kit"),
];

/// Directories that the tools of systems write anew, bundles in them, on Debian, Alpine and Gentoo, on
/// Fedora and RHEL, on Arch, and on openSUSE.
pub(super) const MADE: [&str; 4] = [
    "/etc/ssl/certs",
    "/etc/pki/ca-trust/extracted",
    "/etc/ca-certificates/extracted",
    "/var/lib/ca-certificates",
];

/// Directories from which those tools take further roots, in the same order.
pub(super) const ANCHORS: [&str; 4] = [
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/ca-certificates/trust-source/anchors",
    "/etc/pki/trust/anchors",
];

/// The bundle that all programs of this machine share, if it has one.
pub fn system_bundle() -> Option<&'static Path> {
    PLACES.iter().filter(|place| place.is_bundle()).map(Place::path).find(|path| path.is_file())
}

impl Place {
    pub(super) fn path(&self) -> &'static Path {
        Path::new(self.path)
    }

    /// Whether a variable can name it.
    pub(super) fn is_bundle(&self) -> bool {
        self.form == Form::Pem
    }

    /// The content with one more root, which is given as text.
    pub(super) fn extend(&self, content: Vec<u8>, root: &[u8]) -> Vec<u8> {
        match self.form {
            Form::Pem => pem::append(content, root),
            Form::P11Kit => {
                let head = b"\n[p11-kit-object-v1]\nlabel: \"cijail-net\"\ntrusted: true\n";
                pem::append(content, &[head, root].concat())
            }
        }
    }
}

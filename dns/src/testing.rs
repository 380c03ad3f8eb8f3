//! Queries for the tests of this crate.

/// A query to be written out; the default asks for the addresses of `www.example.com`.
pub(crate) struct Query<'a> {
    pub(crate) labels: &'a [&'a [u8]],
    pub(crate) kind: u16,
    pub(crate) class: u16,
    /// Version, payload, DO flag, options.
    pub(crate) opt: Option<(u8, u16, bool, &'a [u8])>,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Query { labels: &[b"www", b"example", b"com"], kind: 1, class: 1, opt: None }
    }
}

impl Query<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, u8::from(self.opt.is_some())];
        for label in self.labels {
            bytes.push(label.len() as u8);
            bytes.extend_from_slice(label);
        }
        bytes.push(0);
        bytes.extend(self.kind.to_be_bytes());
        bytes.extend(self.class.to_be_bytes());
        if let Some((version, payload, dnssec_ok, options)) = self.opt {
            bytes.extend([0, 0, 41]);
            bytes.extend(payload.to_be_bytes());
            bytes.extend([0, version, u8::from(dnssec_ok) << 7, 0]);
            bytes.extend((options.len() as u16).to_be_bytes());
            bytes.extend_from_slice(options);
        }
        bytes
    }
}

/// A plain query without EDNS.
pub(crate) fn query(name: &str, kind: u16) -> Vec<u8> {
    let labels: Vec<&[u8]> = name.split('.').map(str::as_bytes).collect();
    Query { labels: &labels, kind, ..Query::default() }.bytes()
}

//! As much of DER (ITU-T X.690) as stores and names need. Pure.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0] EXPLICIT`.
pub(super) const CONTEXT_0: u8 = 0xa0;

/// One element of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    /// With its tag and length.
    pub(super) whole: &'a [u8],
}

/// The first element of the input and what follows it; `None` if there is no whole one. Long tags and
/// indefinite lengths are not read.
pub(super) fn split(input: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, after) = rest.split_at_checked(length)?;
    (tag & 0x1f != 0x1f).then(|| {
        let whole = &input[..input.len() - after.len()];
        (Element { tag, content, whole }, after)
    })
}

/// The elements in a content, up to the first that is none.
pub(super) fn elements(mut content: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (element, rest) = split(content)?;
        content = rest;
        Some(element)
    })
}

/// The content of the one element that the input is, if it has this tag.
pub(super) fn only(input: &[u8], tag: u8) -> Option<&[u8]> {
    let (element, rest) = split(input)?;
    (element.tag == tag && rest.is_empty()).then_some(element.content)
}

/// An element of these parts.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(length + 6);
    bytes.push(tag);
    if length < 0x80 {
        bytes.push(length as u8);
    } else {
        let octets = (usize::BITS / 8) as usize - length.leading_zeros() as usize / 8;
        bytes.push(0x80 | octets as u8);
        bytes.extend_from_slice(&length.to_be_bytes()[size_of::<usize>() - octets..]);
    }
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for length in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000] {
            let content = vec![7; length];
            let bytes = element(SEQUENCE, &[&content]);
            assert_eq!(only(&bytes, SEQUENCE), Some(content.as_slice()), "{length}");
            let (found, rest) = split(&[bytes.as_slice(), b"after"].concat())
                .map(|(e, r)| (e.whole.to_vec(), r.to_vec()))
                .unwrap();
            assert_eq!((found, rest), (bytes.clone(), b"after".to_vec()));
            for cut in (0..bytes.len()).step_by(997) {
                assert_eq!(split(&bytes[..cut]), None, "{length} {cut}");
            }
        }
    }

    #[test]
    fn other_forms_are_refused() {
        assert_eq!(split(&[0x30, 0x80, 0, 0]), None);
        assert_eq!(split(&[0x1f, 0x01, 0]), None);
        assert_eq!(split(&[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), None);
    }
}

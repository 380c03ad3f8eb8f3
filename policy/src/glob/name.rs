//! Patterns of one name of a path. Pure.

use super::GlobError;

/// A part of the pattern of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Itself.
    Octet(u8),
    /// Any one character.
    One,
    /// Any number of characters.
    Run,
    /// One character in these ranges, or in none of them.
    Set { ranges: Vec<(u8, u8)>, negated: bool },
}

/// Reads the pattern of a name, in which no `/` is.
pub(super) fn parse(text: &str) -> Result<Vec<Piece>, GlobError> {
    let mut pieces = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        pieces.push(match first {
            b'*' if pieces.last() == Some(&Piece::Run) => return Err(GlobError::Depth),
            b'*' => Piece::Run,
            b'?' => Piece::One,
            b'[' => set(&mut rest)?,
            b'\\' => {
                let (&plain, after) = rest.split_first().ok_or(GlobError::Escape)?;
                rest = after;
                Piece::Octet(plain)
            }
            octet => Piece::Octet(octet),
        });
    }
    Ok(pieces)
}

/// Whether the pieces stand for the whole name. Of several runs only the last has to be tried anew: what
/// came before it fits already, with the least that it can take.
pub(super) fn fits(pieces: &[Piece], name: &[u8]) -> bool {
    let (mut piece, mut at) = (0, 0);
    let mut run: Option<(usize, usize)> = None;
    loop {
        let length = match pieces.get(piece) {
            Some(Piece::Run) => {
                run = Some((piece + 1, at));
                piece += 1;
                continue;
            }
            None if at == name.len() => return true,
            None => None,
            Some(one) => one.taken(&name[at..]),
        };
        if let Some(length) = length {
            piece += 1;
            at += length;
            continue;
        }
        // The last run takes one character more.
        match &mut run {
            Some((after, taken)) if *taken < name.len() => {
                *taken += width(&name[*taken..]);
                (piece, at) = (*after, *taken);
            }
            _ => return false,
        }
    }
}

impl Piece {
    /// How many octets it stands for at the beginning of `name`; never called for a run.
    pub(super) fn taken(&self, name: &[u8]) -> Option<usize> {
        let first = *name.first()?;
        match self {
            Piece::Octet(octet) => (first == *octet).then_some(1),
            Piece::One => Some(width(name)),
            Piece::Set { ranges, negated } => {
                let is_in = ranges.iter().any(|(low, high)| (*low..=*high).contains(&first));
                (is_in != *negated).then(|| width(name))
            }
            Piece::Run => None,
        }
    }
}

/// What follows a `[`, up to its `]`, which is plain in the first place.
fn set(rest: &mut &[u8]) -> Result<Piece, GlobError> {
    let negated = rest.first().is_some_and(|first| b"!^".contains(first));
    let mut left = &rest[usize::from(negated)..];
    let mut ranges = Vec::new();
    loop {
        let (&first, after) = left.split_first().ok_or(GlobError::Open)?;
        left = after;
        if first == b']' && !ranges.is_empty() {
            *rest = left;
            return Ok(Piece::Set { ranges, negated });
        }
        let low = character(first, &mut left)?;
        let high = match left {
            [b'-', end, after @ ..] if *end != b']' => {
                left = after;
                character(*end, &mut left)?
            }
            _ => low,
        };
        if low > high {
            return Err(GlobError::Range);
        }
        ranges.push((low, high));
    }
}

fn character(first: u8, left: &mut &[u8]) -> Result<u8, GlobError> {
    let octet = match (first, left.split_first()) {
        (b'\\', Some((&plain, after))) => {
            *left = after;
            plain
        }
        (b'\\', None) => return Err(GlobError::Open),
        _ => first,
    };
    if octet.is_ascii() { Ok(octet) } else { Err(GlobError::Wide) }
}

/// The octets of the first character (RFC 3629); what is no UTF-8 is taken octet by octet.
pub(super) fn width(name: &[u8]) -> usize {
    let whole = (1..=4.min(name.len())).find(|length| std::str::from_utf8(&name[..*length]).is_ok());
    whole.unwrap_or(1)
}

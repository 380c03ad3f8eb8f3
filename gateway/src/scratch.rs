//! Buffers that are used for a moment at a time.

use std::sync::{Mutex, PoisonError};

/// Zeroed memory that costs nothing before it is used: a vector's would be written to as soon as it
/// is made. It must not be used again from within a use.
pub(crate) struct Scratch<const OCTETS: usize>(Mutex<[u8; OCTETS]>);

impl<const OCTETS: usize> Scratch<OCTETS> {
    /// For a static.
    pub(crate) const fn new() -> Scratch<OCTETS> {
        Scratch(Mutex::new([0; OCTETS]))
    }

    /// Lends the buffer, with whatever its last user left in it.
    pub(crate) fn with<T>(&self, user: impl FnOnce(&mut [u8]) -> T) -> T {
        // Whatever a user that panicked left in it is as good.
        user(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

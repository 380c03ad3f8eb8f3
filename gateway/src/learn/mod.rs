//! From logs to a policy: reads events, and writes rules into a policy file without touching what a
//! person wrote there.

mod document;
mod events;

pub use document::{Document, DocumentError};
pub use events::{EventError, Seen};

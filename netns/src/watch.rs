//! Waiting for this crate's descriptors in an event loop.

use std::io;
use std::os::fd::AsRawFd;

use tokio::io::unix::AsyncFd;

use crate::job::{Job, Observer, Witness};
use crate::keys::Keys;
use crate::net::{Attempt, DatagramSocket, DropLog};

/// The descriptors that can be waited for. Each type owns its descriptor for as long as it lives
/// and never changes it.
pub trait Watchable: AsRawFd + sealed::Sealed {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for &super::Attempt {}
    impl Sealed for super::DatagramSocket {}
    impl Sealed for super::DropLog {}
    impl Sealed for &super::Job {}
    impl Sealed for super::Keys {}
    impl Sealed for super::Observer {}
    impl Sealed for super::Witness {}
}

impl Watchable for &Attempt {}
impl Watchable for DatagramSocket {}
impl Watchable for DropLog {}
impl Watchable for &Job {}
impl Watchable for Keys {}
impl Watchable for Observer {}
impl Watchable for Witness {}

/// Registers a descriptor with the calling task's event loop.
///
/// # Errors
/// The event loop takes no more descriptors.
pub fn watch<T: Watchable>(descriptor: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the trait is sealed, and each of its types holds one open descriptor, always the same,
    // until it is dropped; the event loop drops its registration before the value.
    unsafe { AsyncFd::register(descriptor) }.map_err(Into::into)
}

//! What a call's arguments point to, read from the memory of the process that waits in it. Nothing stops
//! another of its threads from changing that afterwards, before the kernel reads it: it is good for
//! telling, never for deciding.

use std::io::{self, IoSliceMut};

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// Memory can be missing from one page to the next; pages of every architecture are a multiple of this.
const PAGE: u64 = 4096;
/// The longest path (PATH_MAX).
const LONGEST: usize = 4096;
/// Arguments whose addresses are read.
const ARGUMENTS: usize = 64;

/// A text that ends with a NUL byte, which is not part of it; `None` if it is longer than a path may be.
///
/// # Errors
/// There is no such memory, or it may not be looked at.
pub(super) fn text(pid: u32, address: u64) -> io::Result<Option<Vec<u8>>> {
    let text = up_to_nul(pid, address, LONGEST)?;
    Ok((text.len() < LONGEST).then_some(text))
}

/// The flags in a `struct open_how`, and how it resolves (openat2(2)).
pub(super) fn how(pid: u32, address: u64) -> io::Result<(u64, u64)> {
    // `flags`, `mode`, `resolve`.
    let (mut flags, mut resolve) = ([0; 8], [0; 8]);
    exactly(pid, address, &mut flags)?;
    exactly(pid, address.wrapping_add(16), &mut resolve)?;
    Ok((u64::from_ne_bytes(flags), u64::from_ne_bytes(resolve)))
}

/// What the kernel gives each program at random (AT_RANDOM of getauxval(3)).
///
/// # Errors
/// As for [`text`].
pub(super) fn seed(pid: u32, address: u64) -> io::Result<[u8; 16]> {
    let mut seed = [0; 16];
    exactly(pid, address, &mut seed)?;
    Ok(seed)
}

/// A command line as `/proc/PID/cmdline` has it, a NUL byte after each argument, cut after `limit` octets. What
/// cannot be read is left out.
pub(super) fn arguments(pid: u32, array: u64, limit: usize) -> Vec<u8> {
    let mut line = Vec::new();
    for index in 0..ARGUMENTS {
        let mut address = [0; 8];
        let place = array.wrapping_add((index * address.len()) as u64);
        let left = limit.saturating_sub(line.len());
        if left == 0 || exactly(pid, place, &mut address).is_err() || address == [0; 8] {
            break;
        }
        let Ok(argument) = up_to_nul(pid, u64::from_ne_bytes(address), left) else { break };
        line.extend(argument);
        line.push(0);
    }
    line
}

fn up_to_nul(pid: u32, address: u64, limit: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut buffer = [0; PAGE as usize];
    while text.len() < limit {
        let from = address.wrapping_add(text.len() as u64);
        let rest_of_page = (PAGE - from % PAGE) as usize;
        let wanted = rest_of_page.min(limit - text.len());
        let length = some(pid, from, &mut buffer[..wanted])?;
        match buffer[..length].iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.extend(&buffer[..end]);
                return Ok(text);
            }
            None => text.extend(&buffer[..length]),
        }
    }
    Ok(text)
}

fn exactly(pid: u32, address: u64, into: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < into.len() {
        done += some(pid, address.wrapping_add(done as u64), &mut into[done..])?;
    }
    Ok(())
}

/// Reads at least one octet.
fn some(pid: u32, address: u64, into: &mut [u8]) -> io::Result<usize> {
    let remote = [RemoteIoVec { base: address as usize, len: into.len() }];
    match process_vm_readv(Pid::from_raw(pid as i32), &mut [IoSliceMut::new(into)], &remote)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        length => Ok(length),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process may look at itself.
    fn own() -> u32 {
        std::process::id()
    }

    #[test]
    fn reads_texts_over_pages() {
        let mut long = vec![b'x'; LONGEST - 1];
        long.push(0);
        assert_eq!(text(own(), long.as_ptr() as u64).unwrap().unwrap(), &long[..LONGEST - 1]);
        let too_long = vec![b'x'; 2 * LONGEST];
        assert_eq!(text(own(), too_long.as_ptr() as u64).unwrap(), None);
        assert_eq!(text(own(), c"".as_ptr() as u64).unwrap().unwrap(), b"");
        assert!(text(own(), 8).is_err());
    }

    #[test]
    fn reads_command_lines() {
        let argv = [c"sh".as_ptr(), c"".as_ptr(), c"a b".as_ptr(), std::ptr::null(), c"not".as_ptr()];
        assert_eq!(arguments(own(), argv.as_ptr() as u64, 100), b"sh\0\0a b\0");
        assert_eq!(arguments(own(), argv.as_ptr() as u64, 5), b"sh\0\0a\0");
        let broken = [c"sh".as_ptr() as u64, 8];
        assert_eq!(arguments(own(), broken.as_ptr() as u64, 100), b"sh\0");
        assert_eq!(arguments(own(), 0, 100), b"");
    }
}

//! Who is woken for a moment's work is to run at once, also while a build keeps every processor busy.

use std::io;

/// A short time slice: the scheduler lets who asks for little at a time run before who asks for more
/// (sched_setattr(2), `sched_runtime` of SCHED_OTHER since Linux 6.12; older kernels ignore it).
const SLICE_NANOSECONDS: u64 = 100_000;

/// struct sched_attr in its first version (linux/sched/types.h).
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
}

/// Asks for short waits of the calling thread instead of long turns. It gets no more of the processors than
/// others, and a kernel that does not know of it loses nothing.
pub fn prefer_short_waits() {
    // What fails leaves everything as it was.
    let _ = set_slice();
}

fn set_slice() -> io::Result<()> {
    // SAFETY: getpriority takes integers. A nice value of -1 cannot be told from an error, and is as good.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: libc::SCHED_OTHER as u32,
        flags: 0,
        nice,
        priority: 0,
        runtime: SLICE_NANOSECONDS,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the kernel reads a struct of the size that it says, which outlives the call.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_it() {
        set_slice().unwrap();
    }
}

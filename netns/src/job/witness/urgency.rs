//! A place near the front of the processor's queue: what is looked at may be gone in a millisecond.

/// Nanoseconds that the thread asks for at once; a short slice is due early (Documentation/scheduler/sched-eevdf.rst).
const SLICE: u64 = 200_000;
/// As init keeps to its [`super::pace`], it takes little from others.
const NICE: i32 = -10;

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

/// Claims it for the calling thread, as far as it may: only root may be less nice than others, and kernels
/// before 6.12 know no slices.
pub(in crate::job) fn claim() {
    for nice in [NICE, 0] {
        let attributes = Attributes {
            size: size_of::<Attributes>() as u32,
            policy: libc::SCHED_OTHER as u32,
            flags: 0,
            nice,
            priority: 0,
            runtime: SLICE,
            deadline: 0,
            period: 0,
        };
        // SAFETY: the structure lives here, says its size, and the kernel only reads it.
        let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0u32) };
        if result == 0 {
            return;
        }
    }
}

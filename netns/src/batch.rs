//! Starting several things at once without being interrupted by the first (sched(7), `SCHED_BATCH`).
//!
//! A new process or thread is mostly put on another processor that is idle. In a virtual machine the kernel may take an
//! idle processor for one that the host needs elsewhere (`vcpu_is_preempted` in kernel/sched), and leave the new one
//! where it was made: there it takes its maker's place, which then starts the next only milliseconds later, while the
//! other processor idles on. What is made in batch waits for its maker instead.

/// The calling thread is in batch, and so is what it starts, until each of them leaves or this is dropped.
#[derive(Debug)]
pub struct Batch(bool);

impl Batch {
    /// Enters, unless the caller has another policy than the usual one: then nothing changes.
    pub fn enter() -> Batch {
        // SAFETY: the call only reads the calling thread's policy.
        let is_usual = unsafe { libc::sched_getscheduler(0) } == libc::SCHED_OTHER;
        Batch(is_usual && set_policy(libc::SCHED_BATCH))
    }

    /// For a thread that is started in batch, to drop where it likes.
    pub(crate) fn inherited(&self) -> Batch {
        Batch(self.0)
    }

    /// Takes the calling thread out, which from now on runs as usual.
    pub(crate) fn leave(&self) {
        if self.0 {
            // Every thread may go back to the usual policy.
            set_policy(libc::SCHED_OTHER);
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Whether the calling thread now has it; where a filter of system calls is in the way, all goes on a little slower.
fn set_policy(policy: libc::c_int) -> bool {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the call reads a structure that outlives it.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> libc::c_int {
        // SAFETY: as above.
        unsafe { libc::sched_getscheduler(0) }
    }

    #[test]
    fn who_is_started_leaves_for_itself() {
        let batch = Batch::enter();
        assert_eq!(policy(), libc::SCHED_BATCH);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_eq!(policy(), libc::SCHED_BATCH);
                batch.leave();
                assert_eq!(policy(), libc::SCHED_OTHER);
            });
        });
        assert_eq!(policy(), libc::SCHED_BATCH);
        drop(batch);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }

    #[test]
    fn another_policy_is_kept() {
        assert!(set_policy(libc::SCHED_IDLE));
        drop(Batch::enter());
        assert_eq!(policy(), libc::SCHED_IDLE);
    }
}

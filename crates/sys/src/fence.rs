//! A pair of fences between the threads of this process, of which one side is nearly free: `membarrier(2)`.
//!
//! Two threads that each write and then look for the other's write both need a fence in between, or both may look too
//! early. When one side does so for every message and the other only before it sleeps, the kernel can make the fence on
//! behalf of the first: it interrupts every processor that runs a thread of this process. The light side then only keeps
//! the compiler from reordering.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU32, compiler_fence, fence};

/// Not yet known which.
const UNKNOWN: u32 = 0;
/// The heavy side makes the fences of both.
const KERNEL: u32 = 1;
/// The kernel cannot, so each side makes its own.
const PLAIN: u32 = 2;

static MODE: AtomicU32 = AtomicU32::new(UNKNOWN);

/// The side of those who write and look all the time.
#[inline]
pub fn lightly() {
    if MODE.load(Relaxed) == KERNEL { compiler_fence(SeqCst) } else { lightly_without() }
}

#[cold]
fn lightly_without() {
    // Until it is known, a whole fence is right whatever the other side does.
    decide();
    fence(SeqCst);
}

/// The side of those who are about to sleep. Two of these pair with each other, too.
pub fn heavily() {
    fence(SeqCst);
    if decide() == KERNEL {
        let done = membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        // It is registered for good, in children too; a kernel that forgets is asked once more.
        if !done {
            let again = membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
                && membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
            assert!(again, "membarrier(2) worked before and does not now");
        }
    }
}

/// The mode, the same for all threads for ever.
fn decide() -> u32 {
    match MODE.load(Relaxed) {
        UNKNOWN => {
            let registered = membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
            let mode = if registered { KERNEL } else { PLAIN };
            MODE.compare_exchange(UNKNOWN, mode, Relaxed, Relaxed)
                .map_or_else(|first| first, |_| mode)
        }
        mode => mode,
    }
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of two threads writes and looks: at least one must see the other's write.
    #[test]
    fn one_of_the_two_sees_the_other() {
        const ROUNDS: u32 = 20_000;
        let (light, heavy) = (AtomicU32::new(0), AtomicU32::new(0));
        let (light_saw, heavy_saw) = (AtomicU32::new(0), AtomicU32::new(0));
        let meet = std::sync::Barrier::new(2);
        let missed = std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    meet.wait();
                    light.store(round, Relaxed);
                    lightly();
                    light_saw.store(heavy.load(Relaxed), Relaxed);
                    meet.wait();
                }
            });
            (1..=ROUNDS)
                .filter(|&round| {
                    meet.wait();
                    heavy.store(round, Relaxed);
                    heavily();
                    heavy_saw.store(light.load(Relaxed), Relaxed);
                    meet.wait();
                    light_saw.load(Relaxed) != round && heavy_saw.load(Relaxed) != round
                })
                .count()
        });
        assert_eq!(missed, 0);
    }
}

//! Which processor a party runs on, how much of it we get, and a known amount of work.

use crate::clock::now;
use std::hint::black_box;
use std::sync::OnceLock;

/// The processors this process could use before anything was pinned.
pub fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// Keeps the calling thread on one processor.
pub fn pin(cpu: usize) {
    // SAFETY: an all-zero set is valid; `CPU_SET` and the call get the set's true size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu % count(), &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

/// Asks for as much of the machine as we can get, and says what came of it.
///
/// With `sched_autogroup_enabled` the nice value counts only inside a session, so the bench takes a session of its own
/// and raises that.
pub fn raise_priority() -> String {
    // SAFETY: no memory is involved. Fails harmlessly if we lead a group already.
    let own = unsafe { libc::setsid() } >= 0;
    let group = std::fs::write("/proc/self/autogroup", "-20").is_ok();
    // SAFETY: no memory is involved.
    let nice = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) } == 0;
    format!("own session: {own}, autogroup -20: {group}, nice -20: {nice}")
}

/// The work that paced parties do outside the lock, in nanoseconds.
pub const PACE_NS: f64 = 100.0;

static TURNS: OnceLock<u64> = OnceLock::new();

/// Finds how many turns of [`work`] take [`PACE_NS`]. Call once, before any party is started.
pub fn calibrate() -> u64 {
    *TURNS.get_or_init(|| {
        const TRIAL: u64 = 1_000_000;
        let best = (0..9)
            .map(|_| {
                let start = now();
                work(TRIAL);
                now() - start
            })
            .min()
            .unwrap_or(1);
        (PACE_NS * TRIAL as f64 / best as f64).round().max(1.0) as u64
    })
}

/// About 100 ns of arithmetic that touches no memory.
#[inline]
pub fn pace() {
    work(TURNS.get().copied().unwrap_or(50));
}

fn work(turns: u64) {
    let mut x = 88_172_645_463_325_252_u64;
    for _ in 0..turns {
        x ^= x << 13;
        x ^= x >> 7;
        x = black_box(x ^ (x << 17));
    }
}

//! Two clocks: one that only goes forward, to wait by, and one that others can read, to tell people by.

use std::time::{Duration, Instant};

use antiphon_core::wait::Deadline;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Nanoseconds on `CLOCK_MONOTONIC`: the clock of every [`Deadline`], the same for all processes of the machine.
#[inline]
#[must_use]
pub fn now() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since the epoch of 1970. It may jump; never wait by it.
#[must_use]
pub fn wall() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// The deadline that is `timeout` from now; one too far to be written is as far as can be written (584 years).
#[must_use]
pub fn deadline_after(timeout: Duration) -> Deadline {
    let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    Deadline(now().saturating_add(nanos))
}

/// The deadline at `instant`; one that has passed is now.
#[must_use]
pub fn deadline_at(instant: Instant) -> Deadline {
    deadline_after(instant.saturating_duration_since(Instant::now()))
}

/// What is left until `deadline`; zero when it has passed.
#[must_use]
pub fn until(deadline: Deadline) -> Duration {
    Duration::from_nanos(deadline.0.saturating_sub(now()))
}

/// The form in which the kernel takes a point in time.
pub(crate) fn timespec(nanos: u64) -> libc::timespec {
    // At most 2^64 / 10^9 seconds: both numbers fit.
    libc::timespec {
        tv_sec: (nanos / NANOS_PER_SECOND) as libc::time_t,
        tv_nsec: (nanos % NANOS_PER_SECOND) as libc::c_long,
    }
}

#[inline]
fn read(clock: libc::clockid_t) -> u64 {
    let mut time = timespec(0);
    // SAFETY: `time` is writable, and both clocks exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as u64 * NANOS_PER_SECOND + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_only_goes_forward() {
        let first = now();
        assert!(now() >= first);
        assert!(wall() > 1_700_000_000 * NANOS_PER_SECOND);
    }

    #[test]
    fn a_deadline_beyond_the_clock_saturates() {
        assert_eq!(deadline_after(Duration::MAX), Deadline(u64::MAX));
        assert!(deadline_after(Duration::ZERO).0 <= now());
        assert!(until(deadline_after(Duration::from_secs(1000))) > Duration::from_secs(900));
    }

    #[test]
    fn an_instant_that_has_passed_is_now() {
        let past = Instant::now();
        assert!(deadline_at(past).0 <= now());
        assert!(deadline_at(past + Duration::from_secs(1000)).0 > now());
    }
}

//! Numbers as people say them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `17 B`, `1.5 KiB`, `340 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    if n < 1024 {
        return format!("{n} B");
    }
    let mut value = n as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        // What would be shown as 1024 is 1 of the next.
        if value < 1023.5 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{} {unit}", digits(value))
}

/// `12 ns`, `1.5 ms`, `3 s`, `2 min 5 s`, `3 d 4 h`.
pub(crate) fn duration(d: Duration) -> String {
    let seconds = d.as_secs();
    let pair = |n: u64, unit: &str, rest: u64, small: &str| match rest {
        0 => format!("{n} {unit}"),
        _ => format!("{n} {unit} {rest} {small}"),
    };
    match seconds {
        0 if d.as_nanos() < 1000 => format!("{} ns", d.as_nanos()),
        0 if d.as_micros() < 1000 => format!("{} us", digits(d.as_nanos() as f64 / 1e3)),
        0 => format!("{} ms", digits(d.as_nanos() as f64 / 1e6)),
        1..60 => format!("{} s", digits(d.as_secs_f64())),
        60..3600 => pair(seconds / 60, "min", seconds % 60, "s"),
        3600..86400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => pair(seconds / 86400, "d", seconds % 86400 / 3600, "h"),
    }
}

/// The time since a moment of the wall clock, in nanoseconds since 1970.
pub(crate) fn since_wall(nanoseconds: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_nanos(nanoseconds))
}

/// Two digits or three, whatever the size.
fn digits(value: f64) -> String {
    let text = if value < 9.95 { format!("{value:.1}") } else { format!("{value:.0}") };
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The text without what would steer a terminal: names and labels in a segment are whatever somebody wrote there.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let said =
            [0, 17, 1023, 1024, 1536, 10 * 1024, 1024 * 1024 - 1, 340 << 20, u64::MAX].map(bytes);
        assert_eq!(
            said,
            ["0 B", "17 B", "1023 B", "1 KiB", "1.5 KiB", "10 KiB", "1 MiB", "340 MiB", "16 EiB"]
        );
    }

    #[test]
    fn durations() {
        let said = [0, 999, 1_500, 12_345_678, 1_000_000_000, 59_900_000_000]
            .map(|n| duration(Duration::from_nanos(n)));
        assert_eq!(said, ["0 ns", "999 ns", "1.5 us", "12 ms", "1 s", "60 s"]);
        let said = [60, 125, 3600, 7260, 86_400, 100_000].map(|n| duration(Duration::from_secs(n)));
        assert_eq!(said, ["1 min", "2 min 5 s", "1 h", "2 h 1 min", "1 d", "1 d 3 h"]);
    }

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\r\n\u{9b}"), "a\u{fffd}[31mb\u{fffd}\u{fffd}\u{fffd}");
    }
}

//! Numbers as people read them. Pure.

use std::time::Duration;

/// Octets: `999 B`, `1.5 kB`, `12 MB`.
pub(crate) fn octets(count: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if count < 1000 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = if value < 9.95 { 1 } else { 0 };
    format!("{value:.digits$} {}", units[unit])
}

/// A time: `0.1s`, `12s`, `3m05s`, `2h05m`, `3d04h`.
pub(crate) fn elapsed(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// `1 program`, `2 programs`.
pub(crate) fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {what}{plural}", grouped(count))
}

/// `1,234,567`
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_for_people() {
        let shown = [0, 999, 1000, 9949, 9950, 999_499, 999_500, 1_500_000_000, u64::MAX].map(octets);
        assert_eq!(
            shown,
            ["0 B", "999 B", "1.0 kB", "9.9 kB", "10 kB", "999 kB", "1.0 MB", "1.5 GB", "18446744 TB"]
        );
    }

    #[test]
    fn times_for_people() {
        let shown =
            [0, 9_990, 10_000, 185_000, 7_500_000, 273_600_000].map(Duration::from_millis).map(elapsed);
        assert_eq!(shown, ["0.0s", "9.9s", "10s", "3m05s", "2h05m", "3d04h"]);
    }

    #[test]
    fn counts_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!((counted(1, "program"), counted(2, "program")), ("1 program".into(), "2 programs".into()));
    }
}

//! Durations and sizes as people write them.

use std::time::Duration;

use bytesize::ByteSize;

/// One kibibyte, in bytes.
pub(super) const KIB: u64 = 1024;
/// One mebibyte, in bytes.
pub(super) const MIB: u64 = 1024 * KIB;
/// One gibibyte, in bytes.
pub(super) const GIB: u64 = 1024 * MIB;

/// Reads `30d`, `90m`, `1h 30m`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    humantime::parse_duration(text.trim()).ok()
}

/// Reads `8MiB`, `64KiB`, `5000000`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    text.trim().parse::<ByteSize>().ok().map(|size| size.as_u64())
}

/// Writes a duration in the largest unit that divides it, so that it reads as
/// it would have been written; `parse_duration` gives the same value back.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        let seconds = duration.as_secs();
        for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60)] {
            if seconds > 0 && seconds.is_multiple_of(length) {
                return format!("{}{unit}", seconds / length);
            }
        }
        return format!("{seconds}s");
    }
    humantime::format_duration(duration).to_string()
}

/// Writes a size in the largest binary unit that divides it; [`parse_size`]
/// gives the same value back.
pub(super) fn size_text(bytes: u64) -> String {
    for (unit, length) in [("GiB", GIB), ("MiB", MIB), ("KiB", KIB)] {
        if bytes > 0 && bytes.is_multiple_of(length) {
            return format!("{}{unit}", bytes / length);
        }
    }
    bytes.to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_and_sizes_read_as_they_would_have_been_written() {
        assert_eq!(duration_text(Duration::from_hours(2)), "2h");
        assert_eq!(duration_text(Duration::from_mins(50)), "50m");
        assert_eq!(duration_text(Duration::from_hours(720)), "30d");
        assert_eq!(duration_text(Duration::from_secs(90)), "90s");
        assert_eq!(duration_text(Duration::from_millis(1500)), "1s 500ms");
        assert_eq!(size_text(8 * MIB), "8MiB");
        assert_eq!(size_text(5_000_000), "5000000");
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back_equal(millis in 0u64..=400 * 86_400_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&duration_text(duration)), Some(duration));
        }

        #[test]
        fn a_written_size_reads_back_equal(bytes in 0u64..=(1 << 50)) {
            prop_assert_eq!(parse_size(&size_text(bytes)), Some(bytes));
        }
    }
}

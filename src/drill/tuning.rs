//! Server settings for loading as fast as this machine lets it.

use std::fs;

const MIB: u64 = 1024 * 1024;
const GIB: u64 = 1024 * MIB;

/// Assumed where the system does not say how much memory there is, in bytes.
const UNKNOWN_MEMORY: u64 = GIB;

/// So many processors are all busy while indexes are built.
const FEW: usize = 2;

/// Settings for a machine with so much free memory and disk, in bytes, and so many
/// processors.
pub(super) fn tuning(memory: u64, disk: u64, processors: usize) -> Vec<(String, String)> {
    let memory_in = |share: u64, low: u64, high: u64| (memory / share).clamp(low, high) / MIB;
    let log = (disk / 10).clamp(128 * MIB, 4 * GIB) / MIB;
    [
        // What is loaded is written once: it gains nothing by more of the server's own
        // memory, whose pages take time to come by and are missed elsewhere.
        ("shared_buffers", format!("{}MB", memory_in(8, 32 * MIB, 128 * MIB))),
        ("maintenance_work_mem", format!("{}MB", memory_in(16, 32 * MIB, GIB))),
        ("max_wal_size", format!("{log}MB")),
        ("checkpoint_timeout", "1h".to_owned()),
        ("wal_level", "minimal".to_owned()),
        ("max_wal_senders", "0".to_owned()),
        // The restore builds as many indexes at once as there are processors. On few, more
        // for one of them only take turns, and hand their parts over by files.
        ("max_parallel_maintenance_workers", if processors > FEW { "2" } else { "0" }.to_owned()),
        // Nothing that the archive brings may wake up by itself.
        ("autovacuum", "off".to_owned()),
        ("max_logical_replication_workers", "0".to_owned()),
        // A backend that is killed takes the server along: that is seen for what it is.
        ("restart_after_crash", "off".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Processors, and free memory in bytes, that are enough for a drill and a backup
/// at once.
const LARGE: (usize, u64) = (4, 4 * GIB);

/// Whether a backup may be made while a drill runs without either being in the
/// other's way.
#[must_use]
pub fn is_large() -> bool {
    processors() >= LARGE.0 && memory() >= LARGE.1
}

/// Processors that may be used.
pub(super) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Memory that may be used, in bytes: the machine's, or the container's where
/// that is less.
pub(super) fn memory() -> u64 {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| available(&text));
    let container = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    match (machine, container) {
        (Some(machine), Some(container)) => machine.min(container),
        (one, other) => one.or(other).unwrap_or(UNKNOWN_MEMORY),
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemAvailable:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()?.saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(settings: &[(String, String)], name: &str) -> String {
        settings.iter().find(|(setting, _)| setting == name).unwrap().1.clone()
    }

    #[test]
    fn a_small_machine_gets_little_and_a_large_one_not_everything() {
        let small = tuning(256 * MIB, GIB, 2);
        assert_eq!(value(&small, "shared_buffers"), "32MB");
        assert_eq!(value(&small, "max_wal_size"), "128MB");
        assert_eq!(value(&small, "restart_after_crash"), "off");
        assert_eq!(value(&small, "max_parallel_maintenance_workers"), "0");
        let large = tuning(256 * GIB, 1024 * GIB, 16);
        assert_eq!(value(&large, "shared_buffers"), "128MB");
        assert_eq!(value(&large, "maintenance_work_mem"), "1024MB");
        assert_eq!(value(&large, "max_parallel_maintenance_workers"), "2");
        assert_eq!(value(&large, "max_wal_size"), "4096MB");
    }

    #[test]
    fn memory_is_read_as_linux_writes_it() {
        let text = "MemTotal: 8000000 kB\nMemFree: 1 kB\nMemAvailable:    4096 kB\n";
        assert_eq!(available(text), Some(4096 * 1024));
        assert_eq!(available("MemTotal: 1 kB"), None);
        assert!(memory() > 0);
    }
}

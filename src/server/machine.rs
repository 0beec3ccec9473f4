//! What the machine has for streams, where the configuration names no limits: three quarters of its memory
//! and of its disk, as in nats-server. It is looked at once, when the server starts.
//!
//! What lies in the store already counts as room on the disk: nats-server leaves that out, so that a store
//! that fills most of its disk takes nothing any more after a restart.

use std::fs;
use std::path::Path;

use broker::Room;
use rustix::fs::statvfs;
use rustix::system::sysinfo;

/// What is taken for the size of a disk that does not tell.
const DISK_UNKNOWN: i64 = 1 << 40;

/// What is taken for the size of a memory that does not tell.
const MEMORY_UNKNOWN: i64 = 256 << 20;

/// Returns what streams in a directory, which may be yet to make, may take.
pub(crate) fn room(store: &Path) -> Room {
    let limit = std::env::var("GOMEMLIMIT").ok();
    let limit = limit.as_deref().and_then(memory_limit);
    let memory = memory_bytes().map(|all| limit.map_or(all, |limit| limit.min(all)));
    Room {
        store_bytes: free_bytes(store).map_or(DISK_UNKNOWN, |free| {
            share(free.saturating_add(held_bytes(store)))
        }),
        memory_bytes: memory.map_or(MEMORY_UNKNOWN, share),
    }
}

/// The rest is for the system and for what JetStream itself needs.
fn share(bytes: u64) -> i64 {
    i64::try_from(bytes / 4 * 3).unwrap_or(i64::MAX)
}

/// Returns what is free on the disk of a directory.
fn free_bytes(directory: &Path) -> Option<u64> {
    let disk = directory.ancestors().find_map(|at| {
        let at = if at.as_os_str().is_empty() {
            Path::new(".")
        } else {
            at
        };
        statvfs(at).ok()
    })?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

/// Returns how much of the disk lies in a directory; what cannot be read counts as nothing.
fn held_bytes(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => held_bytes(&entry.path()),
        Ok(_) => entry.metadata().map_or(0, |file| file.len()),
        Err(_) => 0,
    });
    sizes.fold(0, u64::saturating_add)
}

fn memory_bytes() -> Option<u64> {
    let system = sysinfo();
    system.totalram.checked_mul(u64::from(system.mem_unit))
}

/// Reads the limit that containers of nats-server are given: bytes, with a unit or without.
fn memory_limit(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 5] = [
        ("TiB", 1 << 40),
        ("GiB", 1 << 30),
        ("MiB", 1 << 20),
        ("KiB", 1 << 10),
        ("B", 1),
    ];
    let unit = UNITS
        .iter()
        .find_map(|(name, size)| Some((text.strip_suffix(name)?, *size)));
    let (number, size) = unit.unwrap_or((text, 1));
    number.parse::<u64>().ok()?.checked_mul(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_get_three_quarters_of_a_disk_whose_directory_is_yet_to_make() {
        let folder = tempfile::tempdir().expect("a folder");
        let room = room(&folder.path().join("to/make"));
        assert!((1..i64::MAX).contains(&room.memory_bytes));
        assert!((1..i64::MAX).contains(&room.store_bytes));
        assert_eq!(
            free_bytes(Path::new("/proc/self/none")),
            Some(0),
            "nothing is free there"
        );
        assert!(
            free_bytes(Path::new("here")).is_some(),
            "below the working directory"
        );
    }

    #[test]
    fn what_is_stored_counts_as_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let inner = folder.path().join("a");
        fs::create_dir(&inner).expect("a folder");
        fs::write(inner.join("x"), [0; 700]).expect("writes");
        fs::write(folder.path().join("y"), [0; 300]).expect("writes");
        assert_eq!(held_bytes(folder.path()), 1000);
        assert_eq!(held_bytes(&inner.join("none")), 0);
    }

    #[test]
    fn shares_are_whole_and_never_negative() {
        assert_eq!([3, 4, 10].map(share), [0, 3, 6]);
        assert_eq!(share(u64::MAX), i64::MAX);
    }

    #[test]
    fn the_limit_of_a_container_is_read_as_by_go() {
        assert_eq!(memory_limit("1GiB"), Some(1 << 30));
        assert_eq!(memory_limit("64MiB"), Some(64 << 20));
        assert_eq!(memory_limit("500B"), Some(500));
        assert_eq!(memory_limit("500"), Some(500));
        assert_eq!(
            [memory_limit("off"), memory_limit("1GB"), memory_limit("")],
            [None; 3]
        );
    }
}

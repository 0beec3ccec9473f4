//! How the disk's long work makes way for the log: the log's next file, segments and checkpoints are written
//! in pieces while the log is written to, with rests between them, and the system begins at once to write
//! each piece back. So no sync of the log has much of theirs to wait for, nor have their own syncs, which
//! are few: each may be a commit of the file system's journal, during which the log can't even be written to.
//!
//! *Invariants:* nothing here says that something is durable; only a sync does. Nobody rests for a log that
//! is quiet, or for one that needs the disk faster than rests would allow.

use core::num::NonZeroU64;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};
use rustix::io::Errno;

/// What is written at once: no more than a sync of the log can have in front of it without being felt.
const PIECE: usize = 32 << 10;
static ZEROES: [u8; PIECE] = [0; PIECE];
/// No piece comes later after the one before: beside a log that is given next to nothing, too, the work ends
/// within seconds.
const INTERVAL_MAX: Duration = Duration::from_millis(4);
/// Shorter rests are taken together: the system wakes nobody so exactly.
const REST_MIN: Duration = Duration::from_micros(150);
/// So much is written back together at the most, where there are no rests between pieces.
const LUMP_MAX: u64 = 128 << 10;
/// What a piece has been late is made up for by those behind it, up to so much: on a crowded machine each is,
/// and what a disk that was stuck has missed would come in a burst.
const LATE_MAX: Duration = Duration::from_millis(20);
/// A flush is written at this many times the log's own speed: it must not fall behind what it flushes.
const FLUSH_AHEAD: u32 = 4;
/// So is the log's next file, which may be four times as long as the one that is written to meanwhile.
const FILL_AHEAD: u32 = 8;
/// How long the log's speed is taken to stay what it was.
const SPEED_AGE_MAX: Duration = Duration::from_millis(100);
/// While nothing is written to the log, so many zeroes are synced at a time: a log that is written to again
/// has no more than that to wait for.
const ZEROES_UNSYNCED_MAX: u64 = 2 << 20;
/// A log that has been given less says nothing about its speed.
const TELLING: u64 = 4 << 20;
/// A log that is written to faster than this share of the speed at which its next file is zero-filled
/// needs the disk for itself: the rest of that file is only reserved. Syncs cost more there until the file
/// is used again, which batches as long as such a log's do not feel.
const OUTPACED_SHARE: u64 = 4;
/// A log that is given so many bytes in every microsecond has no use for rests. If it has been since the file
/// before was made, it needs the next one at once: nothing of it is zero-filled.
const POURING: u64 = 64;

/// What the log has been given at a moment.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: Instant,
    logged: u64,
}

/// How long the log takes for a piece, and since when that is so; no time if nobody rests for it.
#[derive(Debug)]
struct Speed {
    since: Mark,
    of_piece: Duration,
}

/// When the next piece of a file is due.
#[derive(Debug)]
struct Schedule {
    due: Instant,
    ahead: u32,
    /// Up to where the file is being written back, or is left to a sync: of what lies there already the
    /// system would forget what it keeps in memory.
    written_back: u64,
}

impl Schedule {
    /// Returns a schedule for what is written from `at` on, at so many times the log's speed.
    fn new(at: u64, ahead: u32) -> Self {
        Self {
            due: Instant::now(),
            ahead,
            written_back: at,
        }
    }

    /// Returns how long to rest at `now`, after a piece for which the log takes so long.
    fn rest(&mut self, of_piece: Duration, now: Instant) -> Duration {
        let interval = (of_piece / self.ahead).min(INTERVAL_MAX);
        let late = now.saturating_duration_since(self.due).min(LATE_MAX);
        self.due = self.due.max(now - late) + interval;
        let rest = self.due.saturating_duration_since(now);
        if rest < REST_MIN {
            return Duration::ZERO;
        }
        rest
    }
}

/// Watches the log's speed.
#[derive(Debug)]
pub(super) struct Pace {
    /// Bytes written to the log so far.
    logged: AtomicU64,
    /// When the making of the last file began.
    made: Mutex<Mark>,
    speed: Mutex<Speed>,
}

impl Pace {
    pub(super) fn new() -> Self {
        let start = Mark {
            at: Instant::now(),
            logged: 0,
        };
        Self {
            logged: AtomicU64::new(0),
            made: Mutex::new(start),
            speed: Mutex::new(Speed {
                since: start,
                of_piece: Duration::ZERO,
            }),
        }
    }

    /// Notes that so much has been written to the log.
    pub(super) fn note_logged(&self, len: usize) {
        self.logged.fetch_add(len as u64, Ordering::Relaxed);
    }

    /// Writes a row of what is not the log's. It goes through the page cache: what lies in segments is read
    /// soon, or much later, which the system knows better.
    pub(super) fn write(&self, file: &File, row: &[&[u8]], mut at: u64) -> io::Result<()> {
        let mut schedule = Schedule::new(at, FLUSH_AHEAD);
        for piece in row.iter().flat_map(|bytes| bytes.chunks(PIECE)) {
            file.write_all_at(piece, at)?;
            at += piece.len() as u64;
            self.make_way(&mut schedule, file, at);
        }
        Ok(())
    }

    /// Fills a new file of the log with zeroes, or only has room kept for them, and syncs it. Where there is
    /// no room that shows at once, long before the log has filled the file that it is in.
    pub(super) fn fill(&self, file: &File, len: u64) -> io::Result<()> {
        let (begin, is_pouring) = self.begin_file();
        let is_reserved = reserve(file, len)?;
        let mut schedule = Schedule::new(0, FILL_AHEAD);
        let (mut at, mut synced) = (0, 0);
        while at < len {
            let logged = self.mark().logged - begin.logged;
            if is_reserved && (is_pouring || is_outpaced(at, logged)) {
                break;
            }
            let left = usize::try_from(len - at).unwrap_or(usize::MAX);
            let zeroes = ZEROES.get(..left).unwrap_or(&ZEROES);
            file.write_all_at(zeroes, at)?;
            at += zeroes.len() as u64;
            if self.make_way(&mut schedule, file, at) {
                synced = at;
            } else if at - synced >= ZEROES_UNSYNCED_MAX {
                file.sync_data()?;
                synced = at;
            }
        }
        file.sync_all()
    }

    /// Leaves the disk to the log for a while, after a file has been written up to `at`; false if the log has
    /// no use for that.
    fn make_way(&self, schedule: &mut Schedule, file: &File, at: u64) -> bool {
        let of_piece = self.of_piece();
        if of_piece.is_zero() {
            schedule.written_back = at;
            return false;
        }
        let rest = schedule.rest(of_piece, Instant::now());
        let lump = at - schedule.written_back;
        if !rest.is_zero() || lump >= LUMP_MAX {
            begin_write_back(file, schedule.written_back, lump);
            schedule.written_back = at;
        }
        if !rest.is_zero() {
            thread::sleep(rest);
        }
        true
    }

    /// Returns how long the log takes for a piece; no time if nobody rests for it.
    fn of_piece(&self) -> Duration {
        let now = self.mark();
        let mut speed = lock(&self.speed);
        let time = now.at - speed.since.at;
        if time >= SPEED_AGE_MAX {
            speed.of_piece = of_piece_at(now.logged - speed.since.logged, time);
            speed.since = now;
        }
        speed.of_piece
    }

    /// Returns what the log has been given, and whether it has been [`POURING`] since the file before was
    /// made.
    fn begin_file(&self) -> (Mark, bool) {
        let now = self.mark();
        let before = core::mem::replace(&mut *lock(&self.made), now);
        let logged = now.logged - before.logged;
        let is_pouring = logged >= TELLING && is_pouring(logged, now.at - before.at);
        (now, is_pouring)
    }

    fn mark(&self) -> Mark {
        Mark {
            at: Instant::now(),
            logged: self.logged.load(Ordering::Relaxed),
        }
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these, and if it did they would be whole.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns how long a log takes for a piece that has been given so many bytes in so long.
fn of_piece_at(logged: u64, time: Duration) -> Duration {
    if logged == 0 || is_pouring(logged, time) {
        return Duration::ZERO;
    }
    let nanos = time.as_nanos() * PIECE as u128 / u128::from(logged);
    u64::try_from(nanos).map_or(Duration::MAX, Duration::from_nanos)
}

/// Whether a log that has been given so many bytes, while so many zeroes were written, needs its next file
/// sooner than those are.
fn is_outpaced(zeroes: u64, logged: u64) -> bool {
    logged > zeroes.max(TELLING) / OUTPACED_SHARE
}

/// Whether so many bytes of the log in so long are [`POURING`].
fn is_pouring(logged: u64, time: Duration) -> bool {
    time < Duration::from_micros(logged / POURING)
}

/// Has the system begin to write what a part of a file now is, without waiting for it. Linux does so when it
/// is told that nobody will need that part soon. It can do no harm: of the pages it forgets only those that are
/// on the disk, never one that waits to be written or is being written, and a later read gets the others from
/// there. An error of that writing stays with the file until the sync, which reports it, as any write-back's.
fn begin_write_back(file: &File, at: u64, len: u64) {
    // Where the system does not take the advice, the sync has the more to do; errors are told there, too.
    let _ = fadvise(file, at, NonZeroU64::new(len), Advice::DontNeed);
}

/// Has the file system keep room for a new file, which reads as zeroes; false if it cannot do that.
fn reserve(file: &File, len: u64) -> io::Result<bool> {
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Ok(()) => Ok(true),
        Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn new_file(dir: &tempfile::TempDir) -> File {
        let mut options = File::options();
        let options = options.read(true).write(true).create_new(true);
        options.open(dir.path().join("file")).unwrap()
    }

    #[test]
    fn only_a_log_that_fills_nearly_as_fast_as_its_next_file_outpaces_it() {
        assert!(!is_outpaced(0, 300));
        assert!(!is_outpaced(16 << 20, 1 << 20));
        assert!(is_outpaced(0, 2 << 20));
        assert!(is_outpaced(16 << 20, 8 << 20));
    }

    #[test]
    fn only_a_log_that_was_written_to_fast_since_the_last_file_is_pouring() {
        for (logged, waits, pours) in [
            (1_000_000_000, false, true),
            (1_000_000_000, true, false),
            (100, false, false),
        ] {
            let pace = Pace::new();
            pace.note_logged(logged);
            if waits {
                lock(&pace.made).at -= SECOND * 60;
            }
            let (_, is_pouring) = pace.begin_file();
            assert_eq!(is_pouring, pours, "{logged} {waits}");
        }
    }

    #[test]
    fn nobody_rests_for_a_log_that_is_quiet_or_pours() {
        assert_eq!(of_piece_at(0, SECOND), Duration::ZERO);
        assert_eq!(of_piece_at(100_000_000, SECOND), Duration::ZERO);
        assert_eq!(of_piece_at(PIECE as u64, SECOND), SECOND);
    }

    #[test]
    fn pieces_go_faster_than_the_log_and_beside_a_slow_one_so_that_they_end() {
        for (of_piece, interval) in [(SECOND / 100, SECOND / 400), (SECOND, INTERVAL_MAX)] {
            let mut schedule = Schedule::new(0, 4);
            let mut now = schedule.due;
            for _ in 0..3 {
                let rest = schedule.rest(of_piece, now);
                assert_eq!(rest, interval);
                now += rest;
            }
        }
    }

    #[test]
    fn short_rests_are_taken_together() {
        let mut schedule = Schedule::new(0, 1);
        let now = schedule.due;
        let mut rest = || schedule.rest(REST_MIN / 2, now);
        assert_eq!((rest(), rest()), (Duration::ZERO, REST_MIN));
    }

    #[test]
    fn a_late_piece_is_made_up_for_but_not_what_a_stuck_disk_has_missed() {
        let mut schedule = Schedule::new(0, 1);
        let interval = SECOND / 1000;
        let late = schedule.due + interval * 2;
        assert_eq!(schedule.rest(interval, late), Duration::ZERO);
        assert_eq!(schedule.rest(interval, late), Duration::ZERO);
        assert_eq!(schedule.rest(interval, late), interval);
        let stuck = late + SECOND * 60;
        let pieces = (0..100).take_while(|_| schedule.rest(interval, stuck).is_zero());
        assert_eq!(interval * u32::try_from(pieces.count()).unwrap(), LATE_MAX);
    }

    #[test]
    fn the_log_is_made_way_for_only_while_it_is_written_to() {
        let dir = tempfile::tempdir().unwrap();
        let file = new_file(&dir);
        let pace = Pace::new();
        let later = || lock(&pace.speed).since.at -= SPEED_AGE_MAX;
        later();
        assert!(!pace.make_way(&mut Schedule::new(0, 1), &file, 1));
        pace.note_logged(1);
        later();
        assert!(pace.make_way(&mut Schedule::new(0, 1), &file, 1));
        later();
        assert!(!pace.make_way(&mut Schedule::new(0, 1), &file, 1));
    }

    #[test]
    fn what_was_written_in_pieces_reads_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = new_file(&dir);
        let pace = Pace::new();
        pace.note_logged(1);
        lock(&pace.speed).since.at -= SPEED_AGE_MAX;
        let data: Vec<u8> = (0_u32..100_000).flat_map(u32::to_le_bytes).collect();
        pace.write(&file, &[b"12345", &data], 0).unwrap();
        let mut read = vec![1; data.len() + 5];
        file.read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read[..5], b"12345");
        assert!(read[5..] == data);
        assert_eq!(file.metadata().unwrap().len(), read.len() as u64);
    }

    #[test]
    fn a_file_is_filled_to_its_length_whatever_the_log_does() {
        for logged in [0, 1, 2 << 20] {
            let dir = tempfile::tempdir().unwrap();
            let file = new_file(&dir);
            let pace = Pace::new();
            pace.note_logged(logged);
            lock(&pace.speed).since.at -= SPEED_AGE_MAX;
            let len = 2_000_000;
            pace.fill(&file, len).unwrap();
            let mut bytes = vec![1; 2_000_000];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0));
            assert_eq!(file.metadata().unwrap().len(), len);
        }
    }

    #[test]
    fn what_is_reserved_reads_as_zeroes() {
        let dir = tempfile::tempdir().unwrap();
        let file = new_file(&dir);
        // Not every file system can.
        if reserve(&file, 9000).unwrap() {
            let mut bytes = vec![1; 9000];
            file.read_exact_at(&mut bytes, 0).unwrap();
            assert_eq!(bytes, [0; 9000]);
            assert_eq!(file.metadata().unwrap().len(), 9000);
        }
    }
}

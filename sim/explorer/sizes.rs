//! The sizes of the store's files and buffers: small, so that a run crosses their borders many times.

use protocol::rng::Rng;
use storage::{Cipher, LIFE_LEN, StoreKey, StoreOptions};

/// The stream of randomness for keys.
const RNG_KEYS: u64 = 16;
/// The stream of randomness for sizes.
const RNG_SIZES: u64 = 14;

/// The usual ones.
pub(crate) fn small_files() -> StoreOptions {
    StoreOptions {
        log_file_len: 64 << 10,
        log_file_len_first: 16 << 10,
        log_reserve: 2 << 10,
        chunk_len: 8 << 10,
        recovery_read_len: 8 << 10,
        read_len: 2 << 10,
        tail_cache_max: 8 << 10,
        read_cache_max: 8 << 10,
        flush_threshold: 48 << 10,
        checkpoint_step: 12 << 10,
        segment_len_max: 64 << 10,
        ..StoreOptions::default()
    }
}

/// Sizes that make rare paths common: each is, one time in two, the least that works.
pub(super) fn rare_sizes(seed: u64) -> StoreOptions {
    let mut rng = Rng::new(seed, RNG_SIZES);
    let mut least = |usual: u64, least: u64| if rng.one_in(2) { least } else { usual };
    let usual = small_files();
    let mut size = |usual: usize, fewest: usize| {
        usize::try_from(least(usual as u64, fewest as u64)).unwrap_or(usual)
    };
    StoreOptions {
        chunk_len: size(usual.chunk_len, 512),
        tail_cache_max: size(usual.tail_cache_max, 0),
        read_cache_max: size(usual.read_cache_max, 0),
        log_files_ahead: size(usual.log_files_ahead, 0),
        log_file_len: least(usual.log_file_len, 16 << 10),
        log_file_len_first: least(usual.log_file_len_first, 4 << 10),
        log_reserve: least(usual.log_reserve, 0),
        flush_threshold: least(usual.flush_threshold, 8 << 10),
        segment_len_max: least(usual.segment_len_max, 4 << 10),
        ..usual
    }
}

/// Returns what the store is encrypted with in this life of the process: nothing, in three seeds of four,
/// or else with a cipher that may be another one each time.
pub(super) fn key(seed: u64, lives: u64) -> Option<StoreKey> {
    let mut rng = Rng::new(seed, RNG_KEYS);
    if !rng.one_in(4) {
        return None;
    }
    let mut key = [0; 32];
    for part in key.chunks_exact_mut(8) {
        part.copy_from_slice(&rng.below(u64::MAX).to_le_bytes());
    }
    let mut life = [0; LIFE_LEN];
    for (to, from) in life.iter_mut().zip(lives.to_le_bytes()) {
        *to = from;
    }
    let mut rng = Rng::new(seed.wrapping_add(lives), RNG_KEYS);
    let cipher = match rng.one_in(2) {
        true => Cipher::Aes256Gcm,
        false => Cipher::ChaCha20Poly1305,
    };
    Some(StoreKey::new(key, cipher, life))
}

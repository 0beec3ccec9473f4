//! Whether an account and the server have room for a stream.

use crate::js::config::StreamConfig;
use crate::js::enums::Storage;
use crate::js::errors::{
    ApiError, MAXIMUM_CONSUMERS_LIMIT, MAXIMUM_STREAMS_LIMIT, MEMORY_RESOURCES_EXCEEDED,
    STORAGE_RESOURCES_EXCEEDED,
};
use crate::js::info::AccountLimits;

/// What the other streams have taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Streams of the account; 0 when one is changed, not made.
    pub streams: i64,
    /// Bytes that the account's streams of the same storage may use, all replicas counted.
    pub account_bytes: i64,
    /// Bytes of that storage that the server has not promised to any stream.
    pub server_bytes_free: i64,
}

/// Checks whether there is room for a stream. For a change, `max_bytes` counts only as far as it grows:
/// `old_max_bytes` is what the stream has been promised already, 0 for a new one.
///
/// # Errors
/// When the account has too many streams, or the account or the server too few bytes.
pub fn check_resources(
    config: &StreamConfig,
    old_max_bytes: i64,
    limits: &AccountLimits,
    reserved: &Reserved,
) -> Result<(), ApiError> {
    if limits.max_streams > 0 && reserved.streams >= limits.max_streams {
        return Err(MAXIMUM_STREAMS_LIMIT);
    }
    if limits.max_consumers > 0 && config.max_consumers > limits.max_consumers {
        return Err(MAXIMUM_CONSUMERS_LIMIT);
    }
    let (limit, error) = match config.storage {
        Storage::Memory => (limits.max_memory, MEMORY_RESOURCES_EXCEEDED),
        Storage::File => (limits.max_storage, STORAGE_RESOURCES_EXCEEDED),
    };
    // A stream without a limit needs room for something.
    let wanted = if config.max_bytes < 0 {
        1
    } else {
        config.max_bytes
    };
    let copies = config.num_replicas.max(1);
    let footprint = reserved
        .account_bytes
        .saturating_add(wanted.saturating_mul(copies));
    if limit >= 0 && footprint > limit {
        return Err(error);
    }
    let growth = wanted.saturating_sub(old_max_bytes.max(0));
    if growth > reserved.server_bytes_free {
        return Err(error);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Reserved = Reserved {
        streams: 1,
        account_bytes: 60,
        server_bytes_free: 1000,
    };

    fn config(max_bytes: i64) -> StreamConfig {
        StreamConfig {
            max_bytes,
            num_replicas: 1,
            ..StreamConfig::default()
        }
    }

    #[test]
    fn streams_are_counted() {
        let limits = AccountLimits {
            max_streams: 1,
            ..AccountLimits::UNLIMITED
        };
        let found = check_resources(&config(1), 0, &limits, &FREE);
        assert_eq!(found, Err(MAXIMUM_STREAMS_LIMIT));
        let limits = AccountLimits {
            max_streams: 2,
            ..limits
        };
        assert_eq!(check_resources(&config(1), 0, &limits, &FREE), Ok(()));
    }

    #[test]
    fn promised_bytes_fit_the_account_and_the_server() {
        let limits = AccountLimits {
            max_storage: 100,
            ..AccountLimits::UNLIMITED
        };
        assert_eq!(check_resources(&config(40), 0, &limits, &FREE), Ok(()));
        let found = check_resources(&config(41), 0, &limits, &FREE);
        assert_eq!(found, Err(STORAGE_RESOURCES_EXCEEDED));
        let unlimited = AccountLimits::UNLIMITED;
        assert!(check_resources(&config(1001), 0, &unlimited, &FREE).is_err());
        assert_eq!(check_resources(&config(1001), 1, &unlimited, &FREE), Ok(()));
        let memory = StreamConfig {
            storage: Storage::Memory,
            ..config(2000)
        };
        let found = check_resources(&memory, 0, &unlimited, &FREE);
        assert_eq!(found, Err(MEMORY_RESOURCES_EXCEEDED));
    }
}

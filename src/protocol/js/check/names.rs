//! Names of streams and consumers.

use crate::js::errors::{ApiError, STREAM_CREATE};

/// Longest name of a station, in bytes.
const STATION_NAME_LEN_MAX: usize = 128;

/// Whose rules a stream's name must obey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NameRules {
    /// Those of NATS.
    #[default]
    Nats,
    /// Those of Memphis stations, for streams made through its listener.
    Memphis,
    /// Those of NATS, for Memphis' SDKs: they name streams as partitions are named.
    Sdk,
}

/// Reports whether a stream or consumer may have this name in NATS.
#[must_use]
pub(crate) fn is_valid_name(name: &str) -> bool {
    !name.is_empty() && !name.contains([' ', '\t', '\r', '\n', '\u{c}', '.', '*', '>', '\\', '/'])
}

/// Checks the name of a stream that becomes a station.
///
/// # Errors
/// When a station cannot be called so.
pub fn check_memphis_name(name: &str) -> Result<(), ApiError> {
    let text = if name.is_empty() {
        "stream name can not be empty"
    } else if name.len() > STATION_NAME_LEN_MAX {
        "stream name should be under 128 characters"
    } else if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    {
        "only alphanumeric and the '_', '-' characters are allowed in stream name"
    } else if name.starts_with(['_', '-']) || name.ends_with(['_', '-']) {
        "stream name can not start or end with non alphanumeric character"
    } else {
        return Ok(());
    };
    Err(STREAM_CREATE.with(text))
}

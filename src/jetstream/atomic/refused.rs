//! Why a message of a batch is refused, whatever its batch holds.

use protocol::headers::Headers;
use protocol::js::check::is_level_supported;
use protocol::js::errors::{self, ApiError};

use super::BATCH_COMMIT;
use crate::api;
use crate::env::Inbound;

/// Why a message is refused, and what becomes of its batch.
pub(super) struct Refused {
    pub(super) error: ApiError,
    /// Told to whoever listens, if the batch was open.
    pub(super) reason: Option<&'static str>,
}

impl Refused {
    pub(super) fn told(error: ApiError, reason: &'static str) -> Self {
        Self {
            error,
            reason: Some(reason),
        }
    }
}

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self {
            error,
            reason: None,
        }
    }
}

pub(super) fn check_level(msg: &Inbound<'_>) -> Result<(), Refused> {
    let headers = Headers::new(msg.headers);
    let level = headers.get(api::REQUIRED_API_LEVEL);
    if level.is_some_and(|level| !is_level_supported(level)) {
        return Err(Refused::told(errors::REQUIRED_API_LEVEL, "unsupported"));
    }
    Ok(())
}

pub(super) fn check_commit(msg: &Inbound<'_>) -> Result<(), Refused> {
    match Headers::new(msg.headers).get(BATCH_COMMIT) {
        None | Some(b"1" | b"eob") => Ok(()),
        Some(_) => Err(errors::ATOMIC_PUBLISH_INVALID_BATCH_COMMIT.into()),
    }
}

//! `Nats-Stream-Identity`: who copies from a stream asks whether it is still the one that it was.

use alloc::string::String;

use bytes::{Bytes, BytesMut};
use protocol::headers::{HeaderWriter, Headers};
use protocol::js::config::ConsumerConfig;
use protocol::js::errors::{self, ApiError};

use crate::env::ApiCall;
use crate::stream::StreamCore;

const KEY: &[u8] = b"Nats-Stream-Identity";

/// Reports whether the answer to a request for this consumer tells the stream's identity.
pub(super) fn is_told_to(config: &ConsumerConfig) -> bool {
    config.direct || config.sourcing
}

/// Reports whether a request asks for it.
pub(super) fn is_asked_for(call: &ApiCall<'_>) -> bool {
    Headers::new(call.msg.headers).get(KEY).is_some()
}

/// Refuses a request that means a stream of this name that was there before.
///
/// # Errors
/// When the identity in the request is another one.
pub(super) fn check(call: &ApiCall<'_>, core: &StreamCore) -> Result<(), ApiError> {
    let meant = Headers::new(call.msg.headers).get(KEY);
    let identity = core.identity();
    match meant.filter(|meant| !meant.is_empty()) {
        Some(meant) if meant != identity => {
            let identity = String::from_utf8_lossy(&identity);
            Err(errors::CONSUMER_STREAM_IDENTITY_MISMATCH.with(identity))
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the header block that tells it.
pub(super) fn headers(core: &StreamCore) -> Bytes {
    let mut out = BytesMut::new();
    let mut writer = HeaderWriter::new(&mut out);
    writer.push(KEY, &core.identity());
    writer.finish();
    out.freeze()
}

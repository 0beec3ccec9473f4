//! What the JetStream API answers, as far as the machine reads it.

use alloc::string::String;

use serde_json::Value;

/// JetStream error code: the consumer is not there.
pub(crate) const CONSUMER_NOT_FOUND: u64 = 10_014;
/// JetStream error code: the stream is gone.
pub(crate) const STREAM_NOT_FOUND: u64 = 10_059;
/// JetStream error code: more than one replica asked of a single server.
pub(crate) const REPLICAS_NOT_CLUSTERED: u64 = 10_074;

/// The error of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u64,
    pub(crate) text: String,
}

impl Failure {
    /// Says whether what was to be removed is not there anyway.
    pub(crate) fn is_absence(&self) -> bool {
        [STREAM_NOT_FOUND, CONSUMER_NOT_FOUND].contains(&self.code)
    }
}

/// Reads an answer. Bytes that are none, as when nobody answers, are a failure too.
pub(crate) fn read(answer: &[u8]) -> Result<Value, Failure> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(answer) else {
        return Err(Failure {
            code: 0,
            text: "JetStream did not answer".into(),
        });
    };
    match answer.get("error") {
        Some(error) => {
            let code = error.get("err_code").and_then(Value::as_u64);
            let text = error.get("description").and_then(Value::as_str);
            Err(Failure {
                code: code.unwrap_or_default(),
                text: text.unwrap_or_default().into(),
            })
        }
        None => Ok(Value::Object(answer)),
    }
}

//! The enumerations of configurations and requests.

use alloc::format;
use alloc::string::String;

use super::json::{Context, DecodeError, FromJson, Node, ToJson, Value, Writer, json_enum};

json_enum! {
    /// When a stream lets go of messages.
    pub enum Retention[error: DecodeError::unknown_name] {
        /// When a limit is reached.
        #[default]
        Limits = "limits",
        /// When every consumer has acknowledged them.
        Interest = "interest",
        /// When one consumer has acknowledged them.
        WorkQueue = "workqueue",
    }
}

json_enum! {
    /// What a full stream does with a new message. Requests may write it in either case.
    pub enum Discard[error: DecodeError::unknown_name] in either case {
        /// Removes old ones for it.
        #[default]
        Old = "old",
        /// Refuses it.
        New = "new",
    }
}

json_enum! {
    /// Where a stream keeps its messages.
    pub enum Storage[error: DecodeError::unknown_name] {
        /// On disk.
        #[default]
        File = "file",
        /// In memory only.
        Memory = "memory",
    }
}

json_enum! {
    /// How stored blocks are compressed.
    pub enum Compression[error: unknown_compression] {
        /// Not at all.
        #[default]
        None = "none",
        /// With S2.
        S2 = "s2",
    }
}

json_enum! {
    /// Where a consumer starts.
    pub enum DeliverPolicy[error: DecodeError::unknown_name] {
        /// At the first message; requests may say that it is undefined.
        #[default]
        All = "all" | "undefined",
        /// At the last message.
        Last = "last",
        /// After the last message.
        New = "new",
        /// At a sequence.
        ByStartSequence = "by_start_sequence",
        /// At a time.
        ByStartTime = "by_start_time",
        /// At the last message of each subject.
        LastPerSubject = "last_per_subject",
    }
}

json_enum! {
    /// What a consumer's acks mean.
    pub enum AckPolicy[error: DecodeError::unknown_name] {
        /// Delivered is acknowledged.
        #[default]
        None = "none",
        /// An ack covers everything before.
        All = "all",
        /// Each message needs its own.
        Explicit = "explicit",
        /// Answers to flow control acknowledge what came before.
        FlowControl = "flow_control",
    }
}

json_enum! {
    /// How fast a consumer gets old messages.
    pub enum ReplayPolicy[error: DecodeError::unknown_name] {
        /// As fast as it can.
        #[default]
        Instant = "instant",
        /// With the pauses of the publisher.
        Original = "original",
    }
}

json_enum! {
    /// Which of several clients of one consumer is served.
    pub enum PriorityPolicy[error: unknown_priority_policy] {
        /// Whoever asked first.
        #[default]
        None = "none",
        /// Those whose thresholds are exceeded.
        Overflow = "overflow",
        /// One, until it stops asking.
        PinnedClient = "pinned_client",
        /// The most urgent request.
        Prioritized = "prioritized",
    }
}

/// When a published message is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PersistMode {
    /// After it is on disk.
    #[default]
    Default,
    /// At once; it is written some time later.
    Async,
}

/// What a consumer create request means if the consumer exists or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsumerAction {
    /// Create it or change it.
    #[default]
    CreateOrUpdate,
    /// It must not exist with another configuration.
    Create,
    /// It must exist.
    Update,
}

impl PersistMode {
    /// Returns the JSON name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Async => "async",
        }
    }
}

impl FromJson for PersistMode {
    const GO_TYPE: &'static str = "server.PersistModeType";
    const GO_SLICE: &'static str = "[]server.PersistModeType";

    fn read(&mut self, node: &Node<'_>, _: &mut Context) -> Result<(), DecodeError> {
        *self = match name(node) {
            Some("default" | "") => Self::Default,
            Some("async") => Self::Async,
            _ => return Err(DecodeError::unknown_name(node)),
        };
        Ok(())
    }
}

impl ToJson for PersistMode {
    fn write(&self, to: &mut Writer) {
        to.string(self.as_str());
    }

    fn is_empty(&self) -> bool {
        *self == Self::Default
    }
}

impl ConsumerAction {
    /// Returns the JSON name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateOrUpdate => "",
            Self::Create => "create",
            Self::Update => "update",
        }
    }
}

impl FromJson for ConsumerAction {
    const GO_TYPE: &'static str = "server.ConsumerAction";
    const GO_SLICE: &'static str = "[]server.ConsumerAction";

    fn read(&mut self, node: &Node<'_>, _: &mut Context) -> Result<(), DecodeError> {
        *self = match name(node) {
            Some("") => Self::CreateOrUpdate,
            Some("create") => Self::Create,
            Some("update") => Self::Update,
            _ => {
                let raw = String::from_utf8_lossy(node.raw);
                return Err(DecodeError::new(format!("unknown consumer action: {raw}")));
            }
        };
        Ok(())
    }
}

impl ToJson for ConsumerAction {
    fn write(&self, to: &mut Writer) {
        to.string(self.as_str());
    }

    fn is_empty(&self) -> bool {
        *self == Self::CreateOrUpdate
    }
}

fn name<'a>(node: &'a Node<'_>) -> Option<&'a str> {
    match &node.value {
        Value::String(text) => Some(text),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            None
        }
    }
}

fn unknown_compression(node: &Node<'_>) -> DecodeError {
    match &node.value {
        Value::String(_) | Value::Null => DecodeError::new("unknown compression algorithm"),
        value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            let kind = value.kind();
            DecodeError::new(format!(
                "json: cannot unmarshal {kind} into Go value of type string"
            ))
        }
    }
}

fn unknown_priority_policy(node: &Node<'_>) -> DecodeError {
    let raw = String::from_utf8_lossy(node.raw);
    DecodeError::new(format!("unknown priority policy: {raw}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deliver_policy_may_be_called_undefined_and_no_other_policy() {
        assert_eq!(
            DeliverPolicy::from_name("undefined"),
            Some(DeliverPolicy::All)
        );
        assert_eq!(DeliverPolicy::All.as_str(), "all");
        assert_eq!(DeliverPolicy::from_name("UNDEFINED"), None);
        assert_eq!(AckPolicy::from_name("undefined"), None);
        assert_eq!(ReplayPolicy::from_name("undefined"), None);
    }
}

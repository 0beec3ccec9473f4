//! What of a stream's configuration has to be made ready before it can be used.
//!
//! *Invariant:* a function of the configuration. A transform that a configuration got past the checks
//! with although it cannot work changes nothing.

use protocol::js::config::{StreamConfig, TIERED};
use protocol::subject::transform::Transform;

/// The ready parts of a configuration.
#[derive(Debug)]
pub(crate) struct Rules {
    transform: Option<Transform>,
    republish: Option<Republish>,
    is_tiered: bool,
}

/// Where stored messages are published again.
#[derive(Debug)]
pub(crate) struct Republish {
    /// What subject they go to.
    pub(crate) transform: Transform,
    /// Whether bodies are left out.
    pub(crate) headers_only: bool,
}

impl Rules {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        let ready = |src: &str, dest: &str| {
            let dest = Some(dest).filter(|dest| !dest.is_empty());
            dest.and_then(|dest| Transform::new(src, dest).ok())
        };
        let transform = config.subject_transform.as_ref();
        let republish = config.republish.as_ref();
        Self {
            is_tiered: config
                .metadata
                .get(TIERED)
                .is_some_and(|said| said == "true"),
            transform: transform.and_then(|t| ready(&t.src, &t.dest)),
            republish: republish.and_then(|r| {
                Some(Republish {
                    transform: ready(&r.src, &r.dest)?,
                    headers_only: r.headers_only,
                })
            }),
        }
    }

    /// Says whether messages that retention lets go are to be kept until they were copied elsewhere.
    pub(crate) fn is_tiered(&self) -> bool {
        self.is_tiered
    }

    /// Returns how subjects change on their way in.
    pub(crate) fn transform(&self) -> Option<&Transform> {
        self.transform.as_ref()
    }

    /// Returns where a message stored on `subject` is published again.
    pub(crate) fn republish(&self, subject: &[u8]) -> Option<&Republish> {
        let republish = self.republish.as_ref()?;
        republish.transform.matches(subject).then_some(republish)
    }
}

//! A row of JetStream requests that belong together, and perhaps a change after the last one.

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

use crate::answer;
use crate::book::Change;
use crate::work::{Event, Step};

/// Requests one after the other.
#[derive(Debug)]
pub(crate) struct Calls {
    left: VecDeque<Ask>,
    then: Option<Change>,
    /// Whether the last answer is what was asked for.
    shows_answer: bool,
}

/// A request.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) subject: String,
    pub(crate) headers: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Calls {
    pub(crate) fn new(asks: impl IntoIterator<Item = Ask>, then: Option<Change>) -> Self {
        Self {
            left: asks.into_iter().collect(),
            then,
            shows_answer: false,
        }
    }

    /// One request whose answer is shown.
    pub(crate) fn question(ask: Ask) -> Self {
        Self {
            left: VecDeque::from([ask]),
            then: None,
            shows_answer: true,
        }
    }

    pub(crate) fn on(&mut self, event: &Event<'_>) -> Step {
        if let Event::Answer(answer) = event {
            match answer::read(answer) {
                Err(failure) => return Step::text(failure.text),
                Ok(_) if self.shows_answer => return Step::Answer(answer.to_vec()),
                Ok(_) => {}
            }
        }
        match (self.left.pop_front(), self.then.take()) {
            (Some(ask), then) => {
                self.then = then;
                let Ask {
                    subject,
                    headers,
                    body,
                } = ask;
                Step::Ask {
                    subject,
                    headers,
                    body,
                }
            }
            (None, Some(change)) => Step::Record(change),
            (None, None) => Step::done(),
        }
    }
}

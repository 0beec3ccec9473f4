//! The comparison at the end: both servers are asked for everything once more.

use std::collections::{BTreeMap, VecDeque};

use jetstream::archive::Message;
use protocol::id::Seq;
use serde_json::Value;

use super::ask::Source;
use super::consumers::floor;
use super::progress::Progress;
use super::reading::Reading;
use super::{ImportError, Link};

/// Messages of one side, in order.
struct Side<'a> {
    reading: Reading<'a>,
    ready: VecDeque<Message>,
}

impl Side<'_> {
    async fn next(&mut self, link: &mut Link) -> Result<Option<Message>, ImportError> {
        if self.ready.is_empty() {
            self.ready = self.reading.next(link).await?.into();
        }
        Ok(self.ready.pop_front())
    }
}

/// Compares a stream on both servers, up to where it was when the import began.
///
/// # Errors
/// What differs.
pub(super) async fn compare(
    from: &mut Link,
    to: &mut Link,
    source: &Source,
    progress: &Progress,
) -> Result<(), ImportError> {
    let theirs = Source::of(to, &source.name).await?;
    let differs = |what: String| Err(ImportError::Differs(what));
    if theirs.last < source.last {
        let (here, there) = (source.last.0, theirs.last.0);
        return differs(format!("it ends at {there} instead of {here}"));
    }
    compare_consumers(source, &theirs)?;
    // Both sides are asked for the same numbers.
    let side = || Side {
        reading: Reading::behind(source, Seq(0)),
        ready: VecDeque::new(),
    };
    let (mut ours, mut others) = (side(), side());
    let expires = expires(source);
    let mut seen = 0;
    let mut other = others.next(to).await?;
    while let Some(message) = ours.next(from).await? {
        seen += 1;
        if seen % 1000 == 0 {
            progress.bar(&source.name, "compared", seen, source.messages);
        }
        match &other {
            Some(same) if *same == message => other = others.next(to).await?,
            // It may have become too old between the two questions.
            Some(later) if later.seq > message.seq && expires => {}
            None if expires => {}
            Some(_) | None => {
                return differs(format!("message {} is not the same", message.seq.0));
            }
        }
    }
    match other {
        Some(more) if !expires => differs(format!("there is a message {} too many", more.seq.0)),
        Some(_) | None => {
            progress.line(&format!(
                "{}: {} messages, {} consumers: the same on both servers",
                source.name,
                seen,
                source.consumers.len()
            ));
            Ok(())
        }
    }
}

/// Says whether messages go by themselves.
fn expires(source: &Source) -> bool {
    let age = source.config.get("max_age").and_then(Value::as_u64);
    let own = source.config.get("allow_msg_ttl").and_then(Value::as_bool);
    age.is_some_and(|age| age > 0) || own.unwrap_or_default()
}

fn compare_consumers(source: &Source, theirs: &Source) -> Result<(), ImportError> {
    let floors = |side: &Source| -> BTreeMap<String, Seq> {
        let named = side.consumers.iter().filter_map(|info| {
            let name = info.get("name").and_then(Value::as_str)?;
            Some((name.to_owned(), floor(info).stream))
        });
        named.collect()
    };
    let theirs = floors(theirs);
    for (name, floor) in floors(source) {
        match theirs.get(&name) {
            Some(there) if *there >= floor => {}
            Some(there) => {
                let text = format!("consumer {name} is at {} instead of {}", there.0, floor.0);
                return Err(ImportError::Differs(text));
            }
            None => {
                let text = format!("consumer {name} is missing");
                return Err(ImportError::Differs(text));
            }
        }
    }
    Ok(())
}

//! `beale import memphis`: first the streams, then what makes stations of them, with all that they follow.
//!
//! *Invariant:* each step can be repeated: what is there and the same is left alone, so that an import
//! that was stopped is run again. Nothing is changed where it comes from.

mod api;
mod catalog;
mod making;

use super::progress::Progress;
use super::wanted::Wanted;
use super::{ImportError, Link, Outcome, ask, import_streams};
use api::{Http, Messages};
use catalog::Catalog;

/// What names of streams begin with that are Memphis' own.
const INTERNAL: &str = "$memphis";

/// Imports what was asked for.
pub(super) async fn import(
    from: &mut Link,
    to: &mut Link,
    wanted: &Wanted,
    progress: &Progress,
) -> Result<Outcome, ImportError> {
    let api = wanted.api.as_ref();
    let api = api.ok_or_else(|| ImportError::Usage("--api is missing".to_owned()))?;
    let mut old = Http::new(api);
    let mut theirs = Catalog::read(&mut old).await?;
    theirs.keep(wanted);
    let mut names = ask::stream_names(from).await?;
    names.retain(|name| !name.starts_with(INTERNAL) && wanted.wants(&station_of(name)));
    let mut outcome = Outcome::default();
    {
        let mut new = Messages(to);
        making::schemas(&theirs, &mut new, &mut outcome, progress).await?;
        making::users(&theirs, &mut new, &mut outcome, progress).await?;
    }
    let streams = import_streams(from, to, &names, wanted, progress).await?;
    outcome.imported += streams.imported;
    outcome.there += streams.there;
    outcome.failed += streams.failed;
    let mut new = Messages(to);
    making::stations(&theirs, &mut new, &mut outcome, progress).await?;
    if wanted.compare {
        let ours = Catalog::read(&mut new).await?;
        for difference in theirs.differences(&ours) {
            progress.line(&difference);
            outcome.failed += 1;
        }
        progress.line(&format!("{theirs}: compared"));
    }
    Ok(outcome)
}

/// Returns the name that people know of the station behind a stream.
fn station_of(stream: &str) -> String {
    let name = match stream.rsplit_once('$') {
        Some((name, number)) if number.bytes().all(|digit| digit.is_ascii_digit()) => name,
        Some(_) | None => stream,
    };
    name.to_lowercase().replace('#', ".")
}

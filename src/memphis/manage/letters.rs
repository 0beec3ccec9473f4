//! Dead letters: looked at, sent again, dropped.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::json;

use super::plan::name;
use super::{Plan, Refusal, View, show};
use crate::book::{Change, DeadLetterId};
use crate::machine::Host;
use crate::name::Kind;
use crate::request::Fields;
use crate::work::{Cx, Work};

pub(super) fn plan<H: Host>(route: &str, fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    match route {
        "resendPoisonMessages" => Ok(Plan::Resend {
            station: name(Kind::Station, fields, "station_name")?,
            ids: ids(fields, "poison_message_ids"),
            // Not in Memphis: one group of several.
            group: Some(String::from(fields.text("cg_name"))).filter(|group| !group.is_empty()),
        }),
        "dropDlsMessages" => {
            let station = name(Kind::Station, fields, "station_name")?;
            let ids: Vec<DeadLetterId> = ids(fields, "dls_message_ids")
                .into_iter()
                .map(DeadLetterId)
                .filter(|id| {
                    let dead = cx.rows().and_then(|rows| rows.dead_letters.get(*id));
                    dead.is_some_and(|dead| dead.station == station.external())
                })
                .collect();
            Ok(Plan::Work {
                work: Work::Note(Some(Change::DeadLettersDropped(ids))),
                topics: Vec::new(),
                view: View::Empty,
            })
        }
        "getPoisonMessageJourney" => {
            let id = fields.integer("message_id");
            let id = DeadLetterId(u64::try_from(id).unwrap_or_default());
            let dead = cx.rows().and_then(|rows| rows.dead_letters.get(id));
            let Some(dead) = dead else {
                return Err(Refusal::Showable(
                    "the message does not exist any more".into(),
                ));
            };
            Ok(Plan::Now(show::journey(id, dead, cx)))
        }
        "getDlsMessages" => {
            let station = name(Kind::Station, fields, "station_name")?;
            let lists = show::dead_letters(&station, cx);
            Ok(Plan::Now(json!(lists)))
        }
        _ => Err(Refusal::NoRoute),
    }
}

fn ids(fields: &Fields, key: &str) -> Vec<u64> {
    let ids = fields.integers(key).into_iter();
    ids.filter_map(|id| u64::try_from(id).ok()).collect()
}

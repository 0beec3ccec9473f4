//! Which route asks for what.

use alloc::string::String;
use alloc::vec::Vec;

use serde_json::Value;

use super::{Call, Refusal, View, integrations, letters, people, schemas, stations};
use crate::book::{ROOT, UserKind};
use crate::machine::Host;
use crate::name::Name;
use crate::request::Fields;
use crate::turns::Topic;
use crate::work::{Cx, Work};

/// What a call comes to.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
pub(crate) enum Plan {
    /// It is answered at once.
    Now(Value),
    /// It takes steps.
    Work {
        work: Work,
        topics: Vec<Topic>,
        view: View,
    },
    /// Dead letters are sent again: to a group, or to all.
    Resend {
        station: Name,
        ids: Vec<u64>,
        group: Option<String>,
    },
}

/// Reads a call.
pub(crate) fn plan<H: Host>(call: &Call<'_>, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    if !may_manage(call.user, cx) {
        return Err(Refusal::Unauthorized);
    }
    let body: &[u8] = if call.body.is_empty() {
        b"{}"
    } else {
        call.body
    };
    let mut fields =
        Fields::parse(body).map_err(|error| Refusal::Showable(alloc::format!("{error}")))?;
    fields.set("created_by_username", call.user);
    let (group, name) = call.route.split_once('/').unwrap_or((call.route, ""));
    match group {
        "stations" => match stations::plan(name, call.user, &mut fields, cx) {
            Err(Refusal::NoRoute) => letters::plan(name, &fields, cx),
            planned => planned,
        },
        "monitoring" => stations::monitor(name, &fields, cx),
        "schemas" => schemas::plan(name, &fields, cx),
        "usermgmt" => people::users(name, call.user, &fields, cx),
        "tags" => people::tags(name, &fields, cx),
        "integrations" => integrations::plan(name, &fields, cx),
        _ => Err(Refusal::NoRoute),
    }
}

fn may_manage<H: Host>(user: &str, cx: &Cx<'_, H>) -> bool {
    let row = cx.rows().and_then(|rows| rows.users.get(user));
    user == ROOT || row.is_some_and(|row| row.kind != UserKind::Application)
}

/// Reads a name that a call gives under `key`.
pub(super) fn name(kind: crate::name::Kind, fields: &Fields, key: &str) -> Result<Name, Refusal> {
    Name::new(kind, fields.text(key)).map_err(|error| Refusal::Showable(alloc::format!("{error}")))
}

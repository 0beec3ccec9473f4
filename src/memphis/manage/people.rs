//! Users and tags.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::{Plan, Refusal, View, show};
use crate::book::{Change, PeopleChange, Permissions, ROOT, Tagged, UserKind, UserRow, stamp};
use crate::logs;
use crate::machine::Host;
use crate::request::Fields;
use crate::work::{Cx, Work};

const USERNAME_BYTES_MAX: usize = 60;
const PASSWORD_BYTES_MIN: usize = 8;
const PASSWORD_BYTES_MAX: usize = 20;
/// The length of a bcrypt hash.
const HASH_BYTES: usize = 60;
const PASSWORD_SIGNS: &str = "!?-@#$%";
const TAG_BYTES_MAX: usize = 20;
const PATTERN_BYTES_MAX: usize = 120;
/// Most users of an account, and most tags.
const ROWS_MAX: usize = 10_000;

fn refuse<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Showable(text.into()))
}

pub(super) fn users<H: Host>(
    route: &str,
    caller: &str,
    fields: &Fields,
    cx: &Cx<'_, H>,
) -> Result<Plan, Refusal> {
    let of_kind = |kind: UserKind| {
        let users = cx.rows().into_iter().flat_map(|rows| &rows.users);
        let users = users.filter(|(_, user)| user.kind == kind);
        let shown: Vec<Value> = users.map(|(name, _)| show::user(name, cx.rows())).collect();
        shown
    };
    match route {
        "getAllUsers" => {
            let mut managers = Vec::from([show::root()]);
            managers.extend(of_kind(UserKind::Management));
            let clients = of_kind(UserKind::Application);
            let all = json!({"application_users": clients, "management_users": managers});
            Ok(Plan::Now(all))
        }
        "getFilterDetails" => Ok(Plan::Now(filters(fields.text("route"), cx))),
        "getApplicationUsers" => Ok(Plan::Now(json!(of_kind(UserKind::Application)))),
        "addUser" => add_user(fields, cx),
        "removeUser" => {
            let username = fields.text("username").to_lowercase();
            if username == caller {
                return refuse("You can not remove your own user");
            }
            if username == ROOT {
                return refuse("You can not remove the root user");
            }
            if known(&username, cx).is_none() {
                return refuse(format!("User {username} does not exist"));
            }
            Ok(noted(PeopleChange::UserGone(username), View::Empty))
        }
        "changePassword" => {
            let username = fields.text("username").to_lowercase();
            let Some(mut user) = known(&username, cx).cloned() else {
                return refuse(format!("User {username} does not exist"));
            };
            user.secret = secret(fields)?;
            Ok(noted(PeopleChange::User(username, user), View::Empty))
        }
        _ => Err(Refusal::NoRoute),
    }
}

/// Says what the lists of a page can be filtered by.
fn filters<H: Host>(page: &str, cx: &Cx<'_, H>) -> Value {
    let rows = cx.rows();
    let tags = |kind: Tagged| -> Vec<Value> {
        let all = rows.into_iter().flat_map(|rows| &rows.tags);
        let carried = all.filter(|(_, tag)| !tag.carriers(kind).is_empty());
        carried
            .map(|(name, tag)| show::tag_of(name, tag, rows))
            .collect()
    };
    match page.to_lowercase().as_str() {
        "stations" => {
            let all = rows.into_iter().flat_map(|rows| rows.stations.values());
            let makers = all.filter_map(|row| Some(row.station.as_ref()?.username.as_str()));
            let makers: BTreeSet<&str> = makers.collect();
            json!({"tags": tags(Tagged::Station), "users": makers, "storage": ["memory", "disk"]})
        }
        "schemaverse" => {
            let all = rows.into_iter().flat_map(|rows| rows.schemas.values());
            let makers = all.filter_map(|schema| Some(schema.versions.first()?.username.as_str()));
            let makers: BTreeSet<&str> = makers.collect();
            json!({
                "tags": tags(Tagged::Schema), "users": makers,
                "type": ["protobuf", "json", "graphql", "avro"], "usage": ["used", "not used"],
            })
        }
        "syslogs" => logs::filters(cx.log),
        _ => json!({}),
    }
}

fn known<'a, H: Host>(username: &str, cx: &Cx<'a, H>) -> Option<&'a UserRow> {
    cx.book.tenant(cx.tenant)?.users.get(username)
}

fn add_user<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let username = fields.text("username").to_lowercase();
    let is_allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
    if username.is_empty() || !username.bytes().all(is_allowed) {
        return refuse("username has to include only letters/numbers/./_/- ");
    }
    if username.len() > USERNAME_BYTES_MAX {
        return refuse("username exceeds the maximum allowed length of 60 characters");
    }
    let kind = match fields.text("user_type").to_lowercase().as_str() {
        "application" => UserKind::Application,
        "management" => UserKind::Management,
        other => {
            return refuse(format!(
                "user type has to be application/management and not {other}"
            ));
        }
    };
    if cx.knows_user(&username) {
        return refuse(format!("A user with the name {username} already exists"));
    }
    if cx.rows().is_some_and(|rows| rows.users.len() >= ROWS_MAX) {
        return refuse("there are too many users");
    }
    let mut about = BTreeMap::new();
    for (key, most) in [
        ("full_name", 30),
        ("team", 20),
        ("position", 30),
        ("owner", 60),
        ("description", 100),
    ] {
        let text = fields.text(key);
        if text.len() > most {
            return refuse(format!(
                "{key} exceeds the maximum allowed length of {most} characters"
            ));
        }
        about.insert(key.to_string(), text.to_string());
    }
    let user = UserRow {
        kind,
        secret: secret(fields)?,
        permissions: permissions(fields)?,
        about,
        avatar_id: fields.integer("avatar_id"),
        created: stamp(cx.host.now().wall),
    };
    Ok(noted(
        PeopleChange::User(username.clone(), user),
        View::User(username),
    ))
}

/// Reads a password's hash, and the password for its rules.
fn secret(fields: &Fields) -> Result<String, Refusal> {
    let (password, secret) = (fields.text("password"), fields.text("secret"));
    let has = |is: fn(char) -> bool| password.chars().any(is);
    let has_all = has(char::is_uppercase)
        && has(char::is_lowercase)
        && has(char::is_numeric)
        && password.contains(|c| PASSWORD_SIGNS.contains(c));
    if password.len() < PASSWORD_BYTES_MIN || !has_all {
        return refuse(
            "Password must be at least 8 characters long, contain both uppercase and lowercase, and at least one number and one special character",
        );
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return refuse("password exceeds the maximum allowed length of 20 characters");
    }
    // Hashing is slow on purpose, and so it is the caller's.
    if secret.len() != HASH_BYTES || !secret.starts_with("$2") {
        return refuse("the password has to come with its hash");
    }
    Ok(secret.into())
}

fn permissions(fields: &Fields) -> Result<Permissions, Refusal> {
    let list = |key: &str| -> Result<Vec<String>, Refusal> {
        let patterns = fields.list(key);
        let is_allowed =
            |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-*".contains(&b);
        let is_bad = |pattern: &&String| {
            // A star stands for a whole part.
            let mut parts = pattern.split('.');
            pattern.is_empty()
                || pattern.len() > PATTERN_BYTES_MAX
                || !pattern.bytes().all(is_allowed)
                || parts.any(|part| part.contains('*') && part != "*")
        };
        match patterns.iter().find(is_bad) {
            Some(pattern) => refuse(format!("{pattern} is not a valid pattern")),
            None => Ok(patterns),
        }
    };
    Ok(Permissions {
        allow_read: list("allow_read_permissions")?,
        allow_write: list("allow_write_permissions")?,
        deny_read: list("deny_read_permissions")?,
        deny_write: list("deny_write_permissions")?,
    })
}

pub(super) fn tags<H: Host>(route: &str, fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let rows = cx.book.tenant(cx.tenant);
    let all = rows.into_iter().flat_map(|rows| &rows.tags);
    match route {
        "getTags" => {
            let shown = all.map(|(name, tag)| show::tag_of(name, tag, rows));
            Ok(Plan::Now(json!(shown.collect::<Vec<Value>>())))
        }
        "getUsedTags" => {
            let used = all.filter(|(_, tag)| tag.is_used());
            let shown = used.map(|(name, tag)| show::tag_of(name, tag, rows));
            Ok(Plan::Now(json!(shown.collect::<Vec<Value>>())))
        }
        "createNewTag" => {
            let name = fields.text("name").to_lowercase();
            if name.is_empty() || name.len() > TAG_BYTES_MAX {
                return refuse("Tag name should be between 1 and 20 characters");
            }
            if rows.is_some_and(|rows| rows.tags.contains_key(&name)) {
                return refuse(format!("Tag with the name {name} already exists"));
            }
            if rows.is_some_and(|rows| rows.tags.len() >= ROWS_MAX) {
                return refuse("there are too many tags");
            }
            let color = fields.text("color").into();
            Ok(noted(
                PeopleChange::Tag(name.clone(), color),
                View::Tag(name),
            ))
        }
        "removeTag" => {
            let name = fields.text("name").to_lowercase();
            Ok(noted(PeopleChange::TagGone(name), View::Empty))
        }
        "updateTagsForEntity" => {
            let kind = match fields.text("entity_type").to_lowercase().as_str() {
                "station" => Tagged::Station,
                "schema" => Tagged::Schema,
                "user" => Tagged::User,
                _ => return refuse("entity type is not valid"),
            };
            let added = fields.objects("tags_to_add");
            let add = added.iter().map(|tag| tag.text("name").to_lowercase());
            let change = PeopleChange::Tagged {
                kind,
                name: fields.text("entity_name").to_lowercase(),
                add: add
                    .filter(|name| (1..=TAG_BYTES_MAX).contains(&name.len()))
                    .collect(),
                remove: fields.list("tags_to_remove"),
            };
            Ok(noted(change, View::Empty))
        }
        _ => Err(Refusal::NoRoute),
    }
}

fn noted(change: PeopleChange, view: View) -> Plan {
    Plan::Work {
        work: Work::Note(Some(Change::People(change))),
        topics: Vec::new(),
        view,
    }
}

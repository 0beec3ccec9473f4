//! Schemas, users and tags as people see them.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::time;
use crate::book::{Numbered, ROOT, StationRow, Tag, Tagged, Tenant, UserKind, id_of, number};
use crate::machine::Host;
use crate::work::Cx;

pub(in crate::manage) fn schema<H: Host>(name: &str, cx: &Cx<'_, H>) -> Value {
    let rows = cx.rows();
    let Some(schema) = rows.and_then(|rows| rows.schemas.get(name)) else {
        return json!({});
    };
    let versions: Vec<Value> = schema
        .versions
        .iter()
        .zip(1_u32..)
        .map(|(version, number)| {
            json!({
                "id": id_of("version", &[name, &number.to_string()]),
                "version_number": number,
                "active": number == schema.active,
                "created_by_username": version.username,
                "created_at": time(version.created),
                "schema_content": version.content,
                "message_struct_name": version.message_struct,
                "descriptor": version.descriptor,
            })
        })
        .collect();
    let stations = rows.into_iter().flat_map(|rows| &rows.stations);
    let used = stations.filter(|(_, row)| {
        row.schema
            .as_ref()
            .is_some_and(|attached| attached.schema == name)
    });
    let maker = schema.versions.first().map_or("", |v| v.username.as_str());
    json!({
        "id": number(Numbered::Schema, name, rows),
        "schema_name": name,
        "name": name,
        "type": schema.kind.as_str(),
        "versions": versions,
        "active_version_number": schema.active,
        "used_stations": used.map(|(station, _)| station).collect::<Vec<&String>>(),
        "tags": tags_of(Tagged::Schema, name, rows),
        "created_by_username": maker,
    })
}

/// Shows the schema that a station follows.
pub(in crate::manage) fn attached(row: Option<&StationRow>, rows: Option<&Tenant>) -> Value {
    let attached = row.and_then(|row| row.schema.as_ref());
    let Some(attached) = attached else {
        return json!({});
    };
    let known = rows.and_then(|rows| rows.schemas.get(&attached.schema));
    json!({
        "name": attached.schema,
        "schema_type": known.map_or("", |known| known.kind.as_str()),
        "version_number": attached.version,
        "updates_available": known.is_some_and(|known| known.active != attached.version),
    })
}

pub(in crate::manage) fn user(name: &str, rows: Option<&Tenant>) -> Value {
    let Some(user) = rows.and_then(|rows| rows.users.get(name)) else {
        return json!({});
    };
    let about = |key: &str| user.about.get(key).map_or("", String::as_str);
    json!({
        "id": number(Numbered::User, name, rows),
        "username": name,
        "user_type": user.kind.as_str(),
        "created_at": time(user.created),
        "avatar_id": user.avatar_id,
        "full_name": about("full_name"),
        "team": about("team"),
        "position": about("position"),
        "owner": about("owner"),
        "description": about("description"),
        "pending": false,
        "permissions": {
            "allow_read_permissions": user.permissions.allow_read,
            "allow_write_permissions": user.permissions.allow_write,
            "deny_read_permissions": user.permissions.deny_read,
            "deny_write_permissions": user.permissions.deny_write,
        },
    })
}

pub(in crate::manage) fn root() -> Value {
    json!({
        "id": number(Numbered::User, ROOT, None),
        "username": ROOT,
        "user_type": UserKind::Root.as_str(),
        "pending": false,
    })
}

pub(in crate::manage) fn tag(name: &str, rows: Option<&Tenant>) -> Value {
    let tag = rows.and_then(|rows| rows.tags.get(name));
    tag.map_or_else(|| json!({}), |tag| tag_of(name, tag, rows))
}

pub(in crate::manage) fn tag_of(name: &str, tag: &Tag, rows: Option<&Tenant>) -> Value {
    json!({
        "id": number(Numbered::Tag, name, rows),
        "name": name,
        "color": tag.color,
        "stations": tag.stations,
        "schemas": tag.schemas,
        "users": tag.users,
    })
}

pub(super) fn tags_of(kind: Tagged, name: &str, rows: Option<&Tenant>) -> Vec<Value> {
    let tags = rows.into_iter().flat_map(|rows| &rows.tags);
    let carried = tags.filter(|(_, tag)| tag.carriers(kind).contains(name));
    carried
        .map(|(tag_name, tag)| json!({"name": tag_name, "color": tag.color}))
        .collect()
}

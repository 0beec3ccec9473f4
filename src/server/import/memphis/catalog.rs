//! What a Memphis broker knows beyond its streams, in the same words for both sides.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::api::Api;
use crate::import::ImportError;
use crate::import::wanted::Wanted;

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) schemas: BTreeMap<String, Schema>,
    pub(super) users: BTreeMap<String, User>,
    pub(super) stations: BTreeMap<String, Station>,
}

/// A schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Schema {
    pub(super) kind: String,
    /// Content and message of each version, from 1.
    pub(super) versions: Vec<(String, String)>,
    pub(super) active: u64,
    pub(super) tags: Tags,
}

/// A user without a password.
#[derive(Debug, PartialEq)]
pub(super) struct User {
    pub(super) kind: String,
    /// What is told of it.
    pub(super) about: BTreeMap<&'static str, String>,
    /// What it may do, each list sorted.
    pub(super) permissions: BTreeMap<&'static str, BTreeSet<String>>,
    pub(super) avatar_id: i64,
}

/// A station.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Station {
    /// The options as `createStation` takes them.
    pub(super) options: BTreeMap<&'static str, Value>,
    /// The schema that it follows, and which version.
    pub(super) schema: Option<(String, u64)>,
    pub(super) tags: Tags,
}

/// Colours by names of tags.
pub(super) type Tags = BTreeMap<String, String>;

const ABOUT: [&str; 5] = ["full_name", "team", "position", "owner", "description"];
const PERMISSIONS: [&str; 4] = [
    "allow_read_permissions",
    "allow_write_permissions",
    "deny_read_permissions",
    "deny_write_permissions",
];

impl Catalog {
    /// Asks for everything.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(super) async fn read(api: &mut impl Api) -> Result<Self, ImportError> {
        let mut catalog = Self::default();
        let all = api.get("schemas/getAllSchemas", &json!({})).await?;
        for schema in items(&all) {
            let name = text(schema, "name");
            let fields = json!({"schema_name": name});
            let details = api.get("schemas/getSchemaDetails", &fields).await?;
            catalog
                .schemas
                .insert(name.to_owned(), Schema::of(&details));
        }
        let all = api.get("usermgmt/getAllUsers", &json!({})).await?;
        for key in ["application_users", "management_users"] {
            let users = all.get(key).into_iter().flat_map(items);
            // Root is everywhere, with the password that its configuration gives it.
            let users = users.filter(|user| text(user, "user_type") != "root");
            let named = users.map(|user| (text(user, "username").to_owned(), User::of(user)));
            catalog.users.extend(named);
        }
        let all = api.get("stations/getStations", &json!({})).await?;
        for entry in all.get("stations").into_iter().flat_map(items) {
            let station = entry.get("station").unwrap_or(entry);
            // Streams of NATS clients are stations by themselves.
            if flag(station, "is_native") && !partitions(station).is_empty() {
                let tags = entry.get("tags").map(tags).unwrap_or_default();
                let name = text(station, "name").to_owned();
                catalog.stations.insert(name, Station::of(station, tags));
            }
        }
        Ok(catalog)
    }

    /// Leaves out what is not wanted: stations, and the schemas that none of the others follows.
    pub(super) fn keep(&mut self, wanted: &Wanted) {
        let before = self.stations.len();
        self.stations.retain(|name, _| wanted.wants(name));
        if self.stations.len() < before {
            let followed: BTreeSet<&String> = self
                .stations
                .values()
                .filter_map(|station| {
                    let (schema, _) = station.schema.as_ref()?;
                    Some(schema)
                })
                .collect();
            self.schemas.retain(|name, _| followed.contains(name));
        }
    }

    /// Says what of this is missing in another catalog, or not the same.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let mut found = differing("schema", &self.schemas, &other.schemas);
        found.extend(differing("user", &self.users, &other.users));
        found.extend(differing("station", &self.stations, &other.stations));
        found
    }
}

impl fmt::Display for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (stations, schemas, users) =
            (self.stations.len(), self.schemas.len(), self.users.len());
        write!(f, "{stations} stations, {schemas} schemas, {users} users")
    }
}

fn differing<T: PartialEq>(
    what: &str,
    ours: &BTreeMap<String, T>,
    others: &BTreeMap<String, T>,
) -> Vec<String> {
    let told = ours
        .iter()
        .filter_map(|(name, ours)| match others.get(name) {
            Some(other) if other == ours => None,
            Some(_) => Some(format!("{what} {name} is not the same on both servers")),
            None => Some(format!("{what} {name} is missing")),
        });
    told.collect()
}

impl Schema {
    fn of(details: &Value) -> Self {
        let mut versions: Vec<&Value> = details
            .get("versions")
            .into_iter()
            .flat_map(items)
            .collect();
        versions.sort_by_key(|version| number(version, "version_number"));
        let active = versions.iter().find(|version| flag(version, "active"));
        let active = active.map_or(1, |version| number(version, "version_number"));
        let kind = text(details, "type").to_lowercase();
        let content = |version: &&Value| {
            // It is of no use to the other kinds.
            let message = match kind.as_str() {
                "protobuf" => text(version, "message_struct_name"),
                _ => "",
            };
            (
                text(version, "schema_content").to_owned(),
                message.to_owned(),
            )
        };
        Self {
            versions: versions.iter().map(content).collect(),
            kind,
            active,
            tags: details.get("tags").map(tags).unwrap_or_default(),
        }
    }
}

impl User {
    fn of(user: &Value) -> Self {
        let allowed = user.get("permissions").unwrap_or(&Value::Null);
        let list = |key: &'static str| {
            let list = allowed.get(key).into_iter().flat_map(items);
            (
                key,
                list.filter_map(Value::as_str).map(str::to_owned).collect(),
            )
        };
        Self {
            kind: text(user, "user_type").to_owned(),
            about: ABOUT.map(|key| (key, text(user, key).to_owned())).into(),
            permissions: PERMISSIONS.map(list).into(),
            avatar_id: user
                .get("avatar_id")
                .and_then(Value::as_i64)
                .unwrap_or_default(),
        }
    }
}

impl Station {
    fn of(station: &Value, tags: Tags) -> Self {
        let kept = station.get("dls_configuration");
        let kept = |key: &str, flat: &str| match kept {
            Some(kept) => flag(kept, key),
            None => flag(station, flat),
        };
        let kind = text(station, "retention_type").to_lowercase();
        // There it means nothing, and is whatever it was.
        let value = match kind.as_str() {
            "ack_based" => 0,
            _ => number(station, "retention_value"),
        };
        let storage = match text(station, "storage_type") {
            "memory" => "memory",
            _ => "file",
        };
        let options = [
            ("retention_type", kind.into()),
            ("retention_value", value.into()),
            ("storage_type", storage.into()),
            (
                "idempotency_window_in_ms",
                number(station, "idempotency_window_in_ms").into(),
            ),
            ("partitions_number", partitions(station).len().into()),
            ("dls_station", text(station, "dls_station").into()),
            (
                "tiered_storage_enabled",
                flag(station, "tiered_storage_enabled").into(),
            ),
            ("owner", text(station, "created_by_username").into()),
            (
                "dls_configuration",
                json!({
                    "poison": kept("poison", "dls_configuration_poison"),
                    "schemaverse": kept("schemaverse", "dls_configuration_schemaverse"),
                }),
            ),
        ];
        let schema = text(station, "schema_name");
        // Memphis spells it in two ways.
        let version =
            number(station, "schema_vesrion_number").max(number(station, "schema_version_number"));
        Self {
            options: options.into(),
            schema: (!schema.is_empty()).then(|| (schema.to_owned(), version.max(1))),
            tags,
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

fn partitions(station: &Value) -> Vec<u64> {
    let list = station.get("partitions_list").into_iter().flat_map(items);
    list.filter_map(Value::as_u64)
        .filter(|number| *number > 0)
        .collect()
}

fn tags(list: &Value) -> Tags {
    let tags = items(list).map(|tag| (text(tag, "name").to_owned(), text(tag, "color").to_owned()));
    tags.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memphis_and_its_successor_say_the_same_in_other_words() {
        let memphis = json!({
            "name": "a", "retention_type": "ack_based", "retention_value": 3600, "storage_type": "disk",
            "idempotency_window_in_ms": 100, "is_native": true, "partitions_list": [1, 2],
            "schema_name": "s", "schema_vesrion_number": 2, "dls_configuration_poison": true,
            "dls_station": "", "created_by_username": "root",
        });
        let ours = json!({
            "name": "a", "retention_type": "ack_based", "retention_value": 0, "storage_type": "file",
            "idempotency_window_in_ms": 100, "is_native": true, "partitions_list": [1, 2],
            "schema_name": "s", "schema_version_number": 2, "dls_configuration_poison": true,
            "dls_configuration": {"poison": true, "schemaverse": false},
            "dls_station": "", "created_by_username": "root", "tiered_storage_enabled": false,
        });
        let station = |json: &Value| Station::of(json, Tags::new());
        assert_eq!(station(&memphis), station(&ours));
        assert_eq!(station(&ours).schema, Some(("s".to_owned(), 2)));
    }

    #[test]
    fn what_is_missing_or_other_is_named() {
        let user = |kind: &str| User::of(&json!({"user_type": kind}));
        let ours = BTreeMap::from(
            [("a", "x"), ("b", "x"), ("c", "x")].map(|(n, k)| (n.to_owned(), user(k))),
        );
        let others = BTreeMap::from(
            [("a", "x"), ("b", "y"), ("d", "x")].map(|(n, k)| (n.to_owned(), user(k))),
        );
        let expected = [
            "user b is not the same on both servers",
            "user c is missing",
        ];
        assert_eq!(differing("user", &ours, &others), expected);
    }
}

//! The routes of the management interface: one table for answering and for describing them.

use hyper::Method;
use serde_json::{Map, Value};

/// A route below `/api/`.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// As the machine and Memphis' users call it.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    pub(super) fields: &'static [Field],
    pub(super) by: By,
}

/// What answers a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// The Memphis layer.
    Machine,
    /// The Memphis layer, which wants the hash of a password beside it.
    MachineWithHash,
    /// The Memphis layer, whose text becomes a file.
    MachineAsText,
    /// The driver, for anybody.
    Open(Open),
    /// The same for everybody who may manage.
    Same(Same),
}

/// Routes that need no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Open {
    Login,
    Refresh,
    SignUpFlag,
    ClusterInfo,
    Status,
}

/// Routes of parts of Memphis that are not there: answered, so that those who ask go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    Nothing,
    AsyncTasks,
    Functions,
    Replicas,
    ClusterConfig,
}

/// A field of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Integer,
    Flag,
    Texts,
    Integers,
    Object,
    Objects,
}

impl Route {
    /// Finds the routes of a path.
    pub(super) fn of(path: &str) -> impl Iterator<Item = &'static Self> {
        ROUTES.iter().filter(move |route| route.path == path)
    }

    /// Gives the fields of a query the types that they have in a body. What does not fit its type stays a
    /// text.
    pub(super) fn typed(&self, mut query: Map<String, Value>) -> Map<String, Value> {
        for field in self.fields {
            let Some(value) = query.get_mut(field.name) else {
                continue;
            };
            let text = value.as_str().unwrap_or_default();
            let typed = match field.kind {
                Kind::Flag => text.parse().ok().map(Value::Bool),
                Kind::Integer => text.parse::<i64>().ok().map(Value::from),
                Kind::Texts => Some(text.split(',').collect()),
                Kind::Text | Kind::Integers | Kind::Object | Kind::Objects => None,
            };
            if let Some(typed) = typed {
                *value = typed;
            }
        }
        query
    }
}

const fn text(name: &'static str) -> Field {
    field(name, Kind::Text)
}

const fn integer(name: &'static str) -> Field {
    field(name, Kind::Integer)
}

const fn flag(name: &'static str) -> Field {
    field(name, Kind::Flag)
}

const fn texts(name: &'static str) -> Field {
    field(name, Kind::Texts)
}

const fn field(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

const fn get(path: &'static str, by: By, summary: &'static str, fields: &'static [Field]) -> Route {
    route(Method::GET, path, by, summary, fields)
}

const fn post(
    path: &'static str,
    by: By,
    summary: &'static str,
    fields: &'static [Field],
) -> Route {
    route(Method::POST, path, by, summary, fields)
}

const fn put(path: &'static str, by: By, summary: &'static str, fields: &'static [Field]) -> Route {
    route(Method::PUT, path, by, summary, fields)
}

const fn delete(
    path: &'static str,
    by: By,
    summary: &'static str,
    fields: &'static [Field],
) -> Route {
    route(Method::DELETE, path, by, summary, fields)
}

const fn route(
    method: Method,
    path: &'static str,
    by: By,
    summary: &'static str,
    fields: &'static [Field],
) -> Route {
    Route {
        method,
        path,
        summary,
        fields,
        by,
    }
}

const STATION: &[Field] = &[text("station_name")];
const USER: &[Field] = &[
    text("username"),
    text("password"),
    text("user_type"),
    integer("avatar_id"),
    text("full_name"),
    text("team"),
    text("position"),
    text("owner"),
    text("description"),
    texts("allow_read_permissions"),
    texts("allow_write_permissions"),
    texts("deny_read_permissions"),
    texts("deny_write_permissions"),
];
const CREATE_STATION: &[Field] = &[
    text("name"),
    text("retention_type"),
    integer("retention_value"),
    integer("replicas"),
    text("storage_type"),
    field("tags", Kind::Objects),
    text("schema_name"),
    integer("idempotency_window_in_ms"),
    field("dls_configuration", Kind::Object),
    flag("tiered_storage_enabled"),
    integer("partitions_number"),
    text("dls_station"),
];
const PRODUCE: &[Field] = &[
    text("station_name"),
    integer("partition_number"),
    text("message_payload"),
    field("message_headers", Kind::Object),
    integer("amount"),
    flag("bypass_schema"),
];
const MESSAGE: &[Field] = &[
    text("station_name"),
    integer("partition_number"),
    integer("message_seq"),
    flag("is_dls"),
    text("dls_type"),
    integer("message_id"),
];
const SCHEMA: &[Field] = &[
    text("name"),
    text("type"),
    text("schema_content"),
    field("tags", Kind::Objects),
    text("message_struct_name"),
];
const INTEGRATION: &[Field] = &[
    text("name"),
    field("keys", Kind::Object),
    field("properties", Kind::Object),
    text("ui_url"),
];
const LOGS: &[Field] = &[text("log_type"), text("log_source"), integer("start_index")];

use By::{Machine, MachineWithHash, Open as O, Same as S};
use Same::{AsyncTasks, ClusterConfig, Functions, Nothing, Replicas};

/// All routes.
#[rustfmt::skip]
pub(super) static ROUTES: &[Route] = &[
    post("usermgmt/login", O(Open::Login), "Log in", &[text("username"), text("password")]),
    post("usermgmt/refreshToken", O(Open::Refresh), "Get another token for the cookie", &[]),
    get("usermgmt/getSignUpFlag", O(Open::SignUpFlag), "Whether anybody may sign up", &[]),
    post("usermgmt/addUser", MachineWithHash, "Make a user", USER),
    get("usermgmt/getAllUsers", Machine, "List all users", &[]),
    get("usermgmt/getApplicationUsers", Machine, "List the users that connect", &[]),
    delete("usermgmt/removeUser", Machine, "Remove a user", &[text("username")]),
    put("usermgmt/changePassword", MachineWithHash, "Change a user's password", &[text("username"), text("password")]),
    get("usermgmt/getFilterDetails", Machine, "What lists can be filtered by", &[text("route")]),
    post("usermgmt/doneNextSteps", S(Nothing), "Remember that the introduction was seen", &[]),
    post("usermgmt/skipGetStarted", S(Nothing), "Remember that the introduction was skipped", &[]),
    post("usermgmt/sendTrace", S(Nothing), "Nothing is traced", &[]),
    put("usermgmt/editAnalytics", S(Nothing), "Nothing is measured", &[]),
    post("stations/createStation", Machine, "Make a station", CREATE_STATION),
    get("stations/getStation", Machine, "Show a station", STATION),
    get("stations/getStations", Machine, "List the stations with what they hold", &[]),
    get("stations/getAllStations", Machine, "List the stations in short", &[]),
    delete("stations/removeStation", Machine, "Remove stations", &[texts("station_names")]),
    get("stations/getMessageDetails", Machine, "Show a message", MESSAGE),
    get("stations/getPoisonMessageJourney", Machine, "Show where a dead letter has been", &[integer("message_id")]),
    get("stations/getDlsMessages", Machine, "List a station's dead letters", STATION),
    post("stations/resendPoisonMessages", Machine, "Send dead letters again; all without ids", &[text("station_name"), field("poison_message_ids", Kind::Integers), text("cg_name")]),
    post("stations/dropDlsMessages", Machine, "Drop dead letters", &[text("station_name"), text("dls_type"), field("dls_message_ids", Kind::Integers)]),
    put("stations/updateDlsConfig", Machine, "Choose which dead letters are kept", &[text("station_name"), flag("poison"), flag("schemaverse")]),
    post("stations/attachDlsStation", Machine, "Copy dead letters to a station", &[text("name"), texts("station_names")]),
    delete("stations/detachDlsStation", Machine, "Copy them no more", &[text("name"), texts("station_names")]),
    delete("stations/purgeStation", Machine, "Remove messages and dead letters", &[text("station_name"), flag("purge_dls"), flag("purge_station"), field("partitions_list", Kind::Integers)]),
    delete("stations/removeMessages", Machine, "Remove single messages", &[text("station_name"), field("messages", Kind::Objects)]),
    post("stations/produce", Machine, "Store a message", PRODUCE),
    post("stations/useSchema", Machine, "Attach a schema to stations", &[texts("station_names"), text("schema_name")]),
    delete("stations/removeSchemaFromStation", Machine, "Detach the schema", STATION),
    get("stations/getUpdatesForSchemaByStation", Machine, "Whether another version is active", STATION),
    get("monitoring/getClusterInfo", O(Open::ClusterInfo), "Show the version", &[]),
    get("monitoring/getMainOverviewData", Machine, "Show everything in short", &[]),
    get("monitoring/getStationOverviewData", Machine, "Show all about a station", &[text("station_name"), integer("partition_number")]),
    get("monitoring/getSystemGeneralInfo", Machine, "Count what there is", &[]),
    get("monitoring/getAvailableReplicas", S(Replicas), "How many copies a station may have", &[]),
    get("monitoring/getSystemLogs", Machine, "Show the log's last lines", LOGS),
    get("monitoring/downloadSystemLogs", By::MachineAsText, "The same as a file", &[]),
    get("tags/getTags", Machine, "List the tags", &[text("entity_type"), text("entity_name")]),
    get("tags/getUsedTags", Machine, "List the tags that something carries", &[]),
    post("tags/createNewTag", Machine, "Make a tag", &[text("name"), text("color")]),
    delete("tags/removeTag", Machine, "Remove a tag", &[text("name")]),
    put("tags/updateTagsForEntity", Machine, "Put tags on something", &[text("entity_type"), text("entity_name"), field("tags_to_add", Kind::Objects), texts("tags_to_remove")]),
    post("schemas/createNewSchema", Machine, "Make a schema", SCHEMA),
    get("schemas/getAllSchemas", Machine, "List the schemas", &[]),
    get("schemas/getSchemaDetails", Machine, "Show a schema", &[text("schema_name")]),
    post("schemas/createNewVersion", Machine, "Add a version to a schema", &[text("schema_name"), text("schema_content"), text("message_struct_name")]),
    put("schemas/rollBackVersion", Machine, "Activate a version", &[text("schema_name"), integer("version_number")]),
    delete("schemas/removeSchema", Machine, "Remove schemas", &[texts("schema_names")]),
    post("schemas/validateSchema", Machine, "Check a schema", &[text("schema_type"), text("schema_content")]),
    post("integrations/createIntegration", Machine, "Have Slack told of events, or S3 take what leaves stations", INTEGRATION),
    post("integrations/updateIntegration", Machine, "Change what it is told or takes", INTEGRATION),
    delete("integrations/disconnectIntegration", Machine, "Give it nothing more", &[text("name")]),
    get("integrations/getAllIntegrations", Machine, "List the services outside", &[]),
    get("integrations/getIntegrationDetails", Machine, "Show a service outside", &[text("name")]),
    get("configurations/getClusterConfig", S(ClusterConfig), "Show the configuration", &[]),
    get("asyncTasks/getAsyncTasks", S(AsyncTasks), "There are none", &[]),
    get("functions/getAllFunctions", S(Functions), "There are none", &[]),
    get("status", O(Open::Status), "Say that the server is there", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_is_there_twice() {
        for route in ROUTES {
            let same = Route::of(route.path).filter(|other| other.method == route.method);
            assert_eq!(same.count(), 1, "{}", route.path);
        }
    }

    #[test]
    fn a_query_gets_the_types_of_a_body() {
        let route = Route::of("stations/getMessageDetails")
            .next()
            .expect("there");
        let query =
            super::super::query::parse("station_name=7&message_seq=12&is_dls=true&message_id=x");
        let typed = Value::Object(route.typed(query));
        let expected = serde_json::json!({
            "station_name": "7", "message_seq": 12, "is_dls": true, "message_id": "x",
        });
        assert_eq!(typed, expected);
    }
}

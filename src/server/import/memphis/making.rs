//! Makes what a catalog names, where it is missing.

use hyper::Method;
use serde_json::{Value, json};

use super::api::{Api, drawn_password};
use super::catalog::{Catalog, Schema, Station, Tags, User};
use crate::import::progress::Progress;
use crate::import::{ImportError, Outcome};
use crate::work::hash_of;

/// Makes schemas with all their versions.
pub(super) async fn schemas(
    theirs: &Catalog,
    api: &mut impl Api,
    outcome: &mut Outcome,
    progress: &Progress,
) -> Result<(), ImportError> {
    let ours = Catalog::read(api).await?;
    for (name, schema) in &theirs.schemas {
        let there = ours.schemas.get(name);
        let made = make_schema(name, schema, there, api).await;
        note(outcome, &format!("schema {name}"), made, progress)?;
    }
    Ok(())
}

async fn make_schema(
    name: &str,
    schema: &Schema,
    there: Option<&Schema>,
    api: &mut impl Api,
) -> Result<bool, ImportError> {
    let done = there.map_or(0, |there| there.versions.len());
    if let Some(there) = there
        && (there.kind != schema.kind || !schema.versions.starts_with(&there.versions))
    {
        return Err(ImportError::Differs("another one is there".to_owned()));
    }
    for (content, message) in schema.versions.iter().skip(done) {
        let fields = json!({
            "name": name, "schema_name": name, "type": schema.kind,
            "schema_content": content, "message_struct_name": message,
        });
        let named = json!({"schema_name": name});
        let route = match api.get("schemas/getSchemaDetails", &named).await {
            Ok(_) => "schemas/createNewVersion",
            Err(ImportError::Refused { .. }) => "schemas/createNewSchema",
            Err(error) => return Err(error),
        };
        api.call(Method::POST, route, &fields).await?;
    }
    put_tags("schema", name, &schema.tags, api).await?;
    let has_active = there.is_some_and(|there| there.active == schema.active);
    if !has_active {
        activate(name, schema.active, api).await?;
    }
    Ok(done < schema.versions.len())
}

async fn activate(name: &str, version: u64, api: &mut impl Api) -> Result<(), ImportError> {
    let fields = json!({"schema_name": name, "version_number": version});
    let done = api.call(Method::PUT, "schemas/rollBackVersion", &fields);
    done.await.map(drop)
}

async fn put_tags(
    kind: &str,
    name: &str,
    tags: &Tags,
    api: &mut impl Api,
) -> Result<(), ImportError> {
    if tags.is_empty() {
        return Ok(());
    }
    let known = api.get("tags/getTags", &json!({})).await?;
    let known: Vec<&Value> = known.as_array().into_iter().flatten().collect();
    let is_known = |tag: &str| {
        known
            .iter()
            .any(|known| known.get("name") == Some(&json!(tag)))
    };
    for (tag, color) in tags.iter().filter(|(tag, _)| !is_known(tag)) {
        let fields = json!({"name": tag, "color": color});
        api.call(Method::POST, "tags/createNewTag", &fields).await?;
    }
    let add: Vec<Value> = tags.keys().map(|tag| json!({"name": tag})).collect();
    let fields = json!({"entity_type": kind, "entity_name": name, "tags_to_add": add});
    let done = api.call(Method::PUT, "tags/updateTagsForEntity", &fields);
    done.await.map(drop)
}

/// Makes users, who get their passwords from those who manage them.
pub(super) async fn users(
    theirs: &Catalog,
    api: &mut impl Api,
    outcome: &mut Outcome,
    progress: &Progress,
) -> Result<(), ImportError> {
    let ours = Catalog::read(api).await?;
    let mut made = Vec::new();
    for (name, user) in &theirs.users {
        if ours.users.contains_key(name) {
            outcome.there += 1;
            continue;
        }
        let done = add_user(name, user, api).await.map(|()| true);
        if done.is_ok() {
            made.push(name.as_str());
        }
        note(outcome, &format!("user {name}"), done, progress)?;
    }
    if !made.is_empty() {
        let names = made.join(", ");
        progress.line(&format!(
            "{names}: passwords cannot be read, set them with usermgmt/changePassword"
        ));
    }
    Ok(())
}

async fn add_user(name: &str, user: &User, api: &mut impl Api) -> Result<(), ImportError> {
    let password = drawn_password();
    let mut fields = json!({
        "username": name, "user_type": user.kind, "avatar_id": user.avatar_id,
        "password": password, "secret": hash_of(&password),
    });
    if let Some(fields) = fields.as_object_mut() {
        let about = user.about.iter();
        fields.extend(about.map(|(key, text)| ((*key).to_owned(), json!(text))));
        let lists = user.permissions.iter();
        fields.extend(lists.map(|(key, list)| ((*key).to_owned(), json!(list))));
    }
    let done = api.call(Method::POST, "usermgmt/addUser", &fields);
    done.await.map(drop)
}

/// Makes stations of streams that are there.
pub(super) async fn stations(
    theirs: &Catalog,
    api: &mut impl Api,
    outcome: &mut Outcome,
    progress: &Progress,
) -> Result<(), ImportError> {
    let ours = Catalog::read(api).await?;
    for (name, station) in &theirs.stations {
        let there = ours.stations.get(name);
        let made = make_station(name, station, there, theirs, api).await;
        note(outcome, &format!("station {name}"), made, progress)?;
    }
    Ok(())
}

async fn make_station(
    name: &str,
    station: &Station,
    there: Option<&Station>,
    theirs: &Catalog,
    api: &mut impl Api,
) -> Result<bool, ImportError> {
    if there.is_none() {
        let mut fields = json!({"name": name, "adopt": true});
        if let Some(fields) = fields.as_object_mut() {
            let options = station.options.iter();
            fields.extend(options.map(|(key, value)| ((*key).to_owned(), value.clone())));
        }
        api.call(Method::POST, "stations/createStation", &fields)
            .await?;
    }
    put_tags("station", name, &station.tags, api).await?;
    let follows = there.and_then(|there| there.schema.as_ref());
    if let Some((schema, version)) = &station.schema
        && follows != station.schema.as_ref()
    {
        // A station follows the version that is active when it is told to.
        let active = theirs.schemas.get(schema).map_or(*version, |s| s.active);
        if active != *version {
            activate(schema, *version, api).await?;
        }
        let fields = json!({"station_names": [name], "schema_name": schema});
        let used = api.call(Method::POST, "stations/useSchema", &fields).await;
        if active != *version {
            activate(schema, active, api).await?;
        }
        used?;
    }
    Ok(there.is_none())
}

/// Counts what was made, was there, or failed.
fn note(
    outcome: &mut Outcome,
    what: &str,
    made: Result<bool, ImportError>,
    progress: &Progress,
) -> Result<(), ImportError> {
    match made {
        Ok(true) => outcome.imported += 1,
        Ok(false) => outcome.there += 1,
        Err(error) => outcome.fail(what, error, progress)?,
    }
    Ok(())
}

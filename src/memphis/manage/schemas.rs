//! Schemas and their versions.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::plan::name;
use super::{Plan, Refusal, View, show};
use crate::book::{Change, Schema, SchemaKind};
use crate::guard::SchemaText;
use crate::machine::Host;
use crate::name::{Kind, Name};
use crate::request::Fields;
use crate::schema::Versioning;
use crate::turns::Topic;
use crate::work::{Cx, Work};

pub(super) fn plan<H: Host>(route: &str, fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    match route {
        "getAllSchemas" => {
            let schemas = cx.rows().into_iter().flat_map(|rows| rows.schemas.keys());
            let all: Vec<Value> = schemas.map(|name| show::schema(name, cx)).collect();
            Ok(Plan::Now(json!(all)))
        }
        "getSchemaDetails" => {
            let (schema, _) = known(fields, cx)?;
            Ok(Plan::Now(show::schema(schema.external(), cx)))
        }
        "createNewSchema" => {
            let schema = name(Kind::Schema, fields, "name")?;
            if cx
                .rows()
                .is_some_and(|rows| rows.schemas.contains_key(schema.external()))
            {
                let text = format!("Schema with the name {} already exists", schema.external());
                return Err(Refusal::Showable(text));
            }
            if fields.text("type") == "protobuf" && fields.text("message_struct_name").is_empty() {
                let text = "message struct name is required when schema type is Protobuf";
                return Err(Refusal::Showable(text.into()));
            }
            version(fields, &schema)
        }
        "createNewVersion" => {
            let (schema, known) = known(fields, cx)?;
            let mut fields = fields.clone();
            fields.set("name", schema.external());
            fields.set("type", known.kind.as_str());
            version(&fields, &schema)
        }
        "rollBackVersion" => {
            let (schema, known) = known(fields, cx)?;
            let number = u32::try_from(fields.integer("version_number")).unwrap_or_default();
            if known.version(number).is_none() {
                let text = format!("Schema version {number} does not exist");
                return Err(Refusal::Showable(text));
            }
            let change = Change::SchemaActivated(schema.external().into(), number);
            Ok(noted(change, &schema, View::Schema(schema.clone())))
        }
        "removeSchema" => {
            let mut works = Vec::new();
            let mut topics = Vec::new();
            for schema in fields.list("schema_names") {
                let refuse = |error| Refusal::Showable(format!("{error}"));
                let schema = Name::new(Kind::Schema, &schema).map_err(refuse)?;
                works.push(Work::Note(Some(Change::SchemaGone(
                    schema.external().into(),
                ))));
                topics.push(Topic::Schema(schema));
            }
            Ok(Plan::Work {
                work: Work::Chain(works.into()),
                topics,
                view: View::Empty,
            })
        }
        "validateSchema" => validate(fields, cx),
        _ => Err(Refusal::NoRoute),
    }
}

fn version(fields: &Fields, schema: &Name) -> Result<Plan, Refusal> {
    let work = Versioning::from_request(fields).map_err(|text| match text {
        text if text.starts_with("your ") => Refusal::Content(text),
        text => Refusal::Showable(text),
    })?;
    Ok(Plan::Work {
        work: Work::Versioning(work),
        topics: vec![Topic::Schema(schema.clone())],
        view: View::Schema(schema.clone()),
    })
}

fn noted(change: Change, schema: &Name, view: View) -> Plan {
    Plan::Work {
        work: Work::Note(Some(change)),
        topics: vec![Topic::Schema(schema.clone())],
        view,
    }
}

fn known<'a, H: Host>(fields: &Fields, cx: &Cx<'a, H>) -> Result<(Name, &'a Schema), Refusal> {
    let schema = name(Kind::Schema, fields, "schema_name")?;
    let rows = cx.book.tenant(cx.tenant);
    match rows.and_then(|rows| rows.schemas.get(schema.external())) {
        Some(known) => Ok((schema, known)),
        None => {
            let text = format!("Schema {} does not exist", schema.external());
            Err(Refusal::Showable(text))
        }
    }
}

fn validate<H: Host>(fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let kind = SchemaKind::named(&fields.text("schema_type").to_lowercase());
    let Some(kind) = kind else {
        return Err(Refusal::Content("unsupported schema type".into()));
    };
    let compiled = cx.library.compile(SchemaText {
        kind,
        file_name: "schema.proto",
        content: fields.text("schema_content"),
        message_struct: "",
    });
    match compiled {
        Ok(_) => Ok(Plan::Now(json!({"is_valid": true}))),
        Err(text) => Err(Refusal::Content(text)),
    }
}

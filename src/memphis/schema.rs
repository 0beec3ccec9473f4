//! Schemas: they are stored, versioned, and told to the producers of the stations they are attached
//! to. Messages are validated by the SDKs.

use alloc::format;
use alloc::string::{String, ToString as _};

use serde_json::Value;

use crate::book::{Change, SchemaKind, Version, stamp};
use crate::machine::Host;
use crate::name::{Kind, Name};
use crate::proto;
use crate::reply;
use crate::request::Fields;
use crate::work::{Cx, Event, Step};

/// A schema's creation, or that of another version.
#[derive(Debug)]
pub(crate) struct Versioning {
    schema: Name,
    kind: SchemaKind,
    version: Version,
    asked: bool,
}

impl Versioning {
    pub(crate) fn from_request(fields: &Fields) -> Result<Self, String> {
        let schema = Name::new(Kind::Schema, fields.text("name")).map_err(|e| e.to_string())?;
        let kind = SchemaKind::named(&fields.text("type").to_lowercase());
        let kind = kind.ok_or("unsupported schema type")?;
        let content = fields.text("schema_content");
        check(kind, content)?;
        let message_struct = match kind {
            SchemaKind::Protobuf => first_message(content).unwrap_or_default(),
            SchemaKind::Json | SchemaKind::Graphql | SchemaKind::Avro => "",
        };
        Ok(Self {
            schema,
            kind,
            version: Version {
                content: content.into(),
                message_struct: message_struct.into(),
                username: fields.text("created_by_username").to_lowercase(),
                created: 0,
            },
            asked: false,
        })
    }

    pub(crate) const fn schema(&self) -> &Name {
        &self.schema
    }

    pub(crate) fn on<H: Host>(&mut self, _: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        if self.asked {
            return Step::Answer(reply::schema_created(""));
        }
        let name = self.schema.external();
        let refuse = |text: &str| Step::Answer(reply::schema_created(text));
        if !cx.knows_user(&self.version.username) {
            return refuse(&format!("User {} does not exist", self.version.username));
        }
        if let Some(known) = cx.rows().and_then(|rows| rows.schemas.get(name)) {
            if known.kind != self.kind {
                let kind = known.kind.as_str();
                return refuse(&format!("{name} already exist with type - {kind}"));
            }
            let content = &self.version.content;
            if known.versions.iter().any(|v| v.content == *content) {
                return refuse(&format!(
                    "{name} already exists in the db with the same schema content"
                ));
            }
        }
        self.asked = true;
        self.version.created = stamp(cx.host.now().wall);
        Step::Record(Change::SchemaVersion {
            schema: name.into(),
            kind: self.kind,
            version: self.version.clone(),
        })
    }
}

/// Checks what can be checked without the schema languages: that there is content, and that JSON is
/// JSON.
fn check(kind: SchemaKind, content: &str) -> Result<(), String> {
    if content.trim().is_empty() {
        return Err("your schema content is invalid".into());
    }
    let is_json = || serde_json::from_str::<Value>(content).is_ok();
    match kind {
        SchemaKind::Json if !is_json() => Err("your json schema is invalid".into()),
        SchemaKind::Avro if !is_json() => {
            Err("your Avro file is invalid: it is not a JSON document".into())
        }
        SchemaKind::Protobuf => match proto::compile("", content) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("your Proto file is invalid: {error}")),
        },
        SchemaKind::Json | SchemaKind::Avro | SchemaKind::Graphql => Ok(()),
    }
}

/// Returns the name of the first message of a `.proto` file.
fn first_message(content: &str) -> Option<&str> {
    content.lines().find_map(|line| {
        let rest = line.trim_start().strip_prefix("message")?;
        if !rest.starts_with(char::is_whitespace) {
            return None;
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let rest = rest.trim_start();
        let name = rest.split(|c| !is_part(c)).next()?;
        (!name.is_empty()).then_some(name)
    })
}

/// A schema is attached to a station, or the one that is attached is taken off.
#[derive(Debug)]
pub(crate) struct Attaching {
    station: Name,
    /// None to take it off.
    schema: Option<Name>,
    username: String,
    asked: bool,
}

impl Attaching {
    pub(crate) fn attachment(fields: &Fields) -> Result<Self, String> {
        let schema = Name::new(Kind::Schema, fields.text("name")).map_err(|e| e.to_string())?;
        Self::new(fields, Some(schema))
    }

    pub(crate) fn detachment(fields: &Fields) -> Result<Self, String> {
        Self::new(fields, None)
    }

    fn new(fields: &Fields, schema: Option<Name>) -> Result<Self, String> {
        let station = fields.text("station_name");
        Ok(Self {
            station: Name::new(Kind::Station, station).map_err(|e| e.to_string())?,
            schema,
            username: fields.text("username").to_lowercase(),
            asked: false,
        })
    }

    pub(crate) const fn station(&self) -> &Name {
        &self.station
    }

    pub(crate) const fn schema(&self) -> Option<&Name> {
        self.schema.as_ref()
    }

    pub(crate) fn on<H: Host>(&mut self, _: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        if self.asked {
            let (subject, payload) = reply::schema_push(&self.station, cx.rows());
            cx.publish(&subject, b"", &payload);
            return Step::done();
        }
        let station = self.station.external();
        if cx.partitions(&self.station).is_empty() {
            return Step::text(format!("memphis: Station {station} does not exist"));
        }
        if !cx.knows_user(&self.username) {
            return Step::text(format!("User {} does not exist", self.username));
        }
        let change = match &self.schema {
            Some(schema) => {
                let schema = schema.external();
                let Some(known) = cx.rows().and_then(|rows| rows.schemas.get(schema)) else {
                    return Step::text(format!("Schema {schema} does not exist"));
                };
                Change::Attached {
                    station: station.into(),
                    schema: schema.into(),
                    version: known.active,
                }
            }
            None => Change::Detached(station.into()),
        };
        self.asked = true;
        Step::Record(change)
    }
}

//! Schemas: they are compiled, stored, versioned, and told to the producers of the stations they are
//! attached to.

use alloc::format;
use alloc::string::{String, ToString as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::book::{Change, SchemaKind, Version, stamp};
use crate::guard::SchemaText;
use crate::machine::Host;
use crate::name::{Kind, Name};
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
        if content.trim().is_empty() {
            return Err("your schema content is invalid".into());
        }
        Ok(Self {
            schema,
            kind,
            version: Version {
                content: content.into(),
                message_struct: fields.text("message_struct_name").into(),
                descriptor: String::new(),
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
        let known = cx.rows().and_then(|rows| rows.schemas.get(name));
        let number = known.map_or(0, |known| known.versions.len()) + 1;
        let compiled = cx.library.compile(SchemaText {
            kind: self.kind,
            // The Go SDK looks the file up by this name.
            file_name: &format!("{name}_{number}.proto"),
            content: &self.version.content,
            message_struct: &self.version.message_struct,
        });
        match compiled {
            Ok(compiled) => {
                self.version.message_struct = compiled.message_struct;
                self.version.descriptor = STANDARD.encode(compiled.descriptor);
            }
            Err(text) => return refuse(&text),
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

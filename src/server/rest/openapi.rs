//! The description of the management interface, for tools that make clients and pages from it.

use serde_json::{Map, Value, json};

use super::routes::{By, Field, Kind, ROUTES, Route};

/// Returns the OpenAPI document.
pub(super) fn describe(version: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for route in ROUTES {
        let path = paths
            .entry(format!("/api/{}", route.path))
            .or_insert_with(|| json!({}));
        if let Some(methods) = path.as_object_mut() {
            methods.insert(route.method.as_str().to_ascii_lowercase(), operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Beale: management",
            "description": "The routes of Memphis' management API.",
            "version": version,
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {"Error": {"type": "object", "properties": {"message": {"type": "string"}}}},
        },
        "security": [{"token": []}],
        "paths": paths,
    })
}

fn operation(route: &Route) -> Value {
    let (group, name) = route.path.split_once('/').unwrap_or(("", route.path));
    let refused = json!({
        "description": "Refused: the text is for the user",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    });
    let mut operation = json!({
        "operationId": name,
        "tags": [group],
        "summary": route.summary,
        "responses": {
            "200": {"description": "Done", "content": {"application/json": {}}},
            "401": refused, "406": refused,
        },
    });
    let Some(fields) = operation.as_object_mut() else {
        return operation;
    };
    if matches!(route.by, By::Open(_)) {
        fields.insert("security".into(), json!([]));
    }
    if route.method == hyper::Method::GET {
        let parameters = route
            .fields
            .iter()
            .map(|field| json!({"name": field.name, "in": "query", "schema": schema(field.kind)}));
        fields.insert("parameters".into(), parameters.collect());
    } else if !route.fields.is_empty() {
        let body = json!({"content": {"application/json": {"schema": object(route.fields)}}});
        fields.insert("requestBody".into(), body);
    }
    operation
}

fn object(fields: &[Field]) -> Value {
    let properties = fields.iter();
    let properties = properties.map(|field| (field.name.to_owned(), schema(field.kind)));
    json!({"type": "object", "properties": properties.collect::<Map<String, Value>>()})
}

fn schema(kind: Kind) -> Value {
    match kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Integer => json!({"type": "integer"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Texts => json!({"type": "array", "items": {"type": "string"}}),
        Kind::Integers => json!({"type": "array", "items": {"type": "integer"}}),
        Kind::Object => json!({"type": "object"}),
        Kind::Objects => json!({"type": "array", "items": {"type": "object"}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_with_what_it_takes() {
        let document = describe("1");
        let paths = document["paths"].as_object().expect("there are paths");
        let operations = paths
            .values()
            .map(|path| path.as_object().expect("methods").len());
        assert_eq!(operations.sum::<usize>(), ROUTES.len());
        let create = &document["paths"]["/api/stations/createStation"]["post"];
        let fields = &create["requestBody"]["content"]["application/json"]["schema"]["properties"];
        assert_eq!(fields["partitions_number"]["type"], "integer");
        let login = &document["paths"]["/api/usermgmt/login"]["post"];
        assert_eq!(login["security"], json!([]));
    }
}

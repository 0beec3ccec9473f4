//! Schemas of each language, what they accept, and bombs.

use std::rc::Rc;

use memphis::book::SchemaKind;
use memphis::guard::{Compiled, SchemaLibrary as _, SchemaText, Validator};

use super::Languages;

fn compile(kind: SchemaKind, content: &str) -> Result<Compiled, String> {
    Languages.compile(SchemaText {
        kind,
        file_name: "s_1.proto",
        content,
        message_struct: "",
    })
}

fn validator(kind: SchemaKind, content: &str) -> Rc<dyn Validator> {
    compile(kind, content).unwrap().validator
}

fn refused(kind: SchemaKind, content: &str, why: &str) {
    let error = compile(kind, content).unwrap_err();
    assert!(error.contains(why), "{error}");
}

#[test]
fn each_draft_of_json_schema_judges_by_its_own_rules() {
    // `exclusiveMinimum` is a flag in draft 4 and a number since draft 6; lists of `items` are
    // `prefixItems` since 2020-12.
    let of = |draft: &str, rest: &str| {
        validator(
            SchemaKind::Json,
            &format!("{{\"$schema\":\"{draft}\",{rest}}}"),
        )
    };
    let four = of(
        "http://json-schema.org/draft-04/schema#",
        "\"minimum\":5,\"exclusiveMinimum\":true",
    );
    assert!(four.check(b"6").is_ok() && four.check(b"5").is_err());
    for draft in [
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        let schema = of(draft, "\"exclusiveMinimum\":5");
        assert!(
            schema.check(b"6").is_ok() && schema.check(b"5").is_err(),
            "{draft}"
        );
    }
    let tuple = of(
        "https://json-schema.org/draft/2020-12/schema",
        "\"prefixItems\":[{\"type\":\"string\"}],\"items\":false",
    );
    assert!(tuple.check(b"[\"a\"]").is_ok() && tuple.check(b"[\"a\",1]").is_err());
}

#[test]
fn a_json_message_that_does_not_fit_is_told_where() {
    let order = r#"{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}}"#;
    let order = validator(SchemaKind::Json, order);
    assert_eq!(order.check(br#"{"id":"1"}"#), Ok(()));
    assert_eq!(
        order.check(b"{}").unwrap_err(),
        "\"id\" is a required property"
    );
    assert_eq!(
        order.check(br#"{"id":1}"#).unwrap_err(),
        "/id: 1 is not of type \"string\""
    );
    assert!(
        order
            .check(b"hello")
            .unwrap_err()
            .starts_with("it is not JSON")
    );
}

#[test]
fn a_tree_is_a_schema_and_a_list_of_itself_at_one_place_twice_is_a_bomb() {
    let tree = r##"{"type":"object","properties":{"name":{"type":"string"},
        "left":{"$ref":"#"},"right":{"$ref":"#"},"children":{"type":"array","items":{"$ref":"#"}}},
        "additionalProperties":false}"##;
    let tree = validator(SchemaKind::Json, tree);
    assert!(
        tree.check(br#"{"left":{"children":[{"name":"x"}]}}"#)
            .is_ok()
    );
    assert!(
        tree.check(br#"{"left":{"children":[{"name":1}]}}"#)
            .is_err()
    );
    refused(
        SchemaKind::Json,
        r##"{"properties":{"n":{"allOf":[{"$ref":"#"},{"$ref":"#"}]}}}"##,
        "recurses more than once at the same place",
    );
    refused(
        SchemaKind::Json,
        r##"{"properties":{"n":{"$ref":"#"}},"patternProperties":{"^n":{"$ref":"#"}}}"##,
        "recurses more than once at the same place",
    );
}

#[test]
fn a_json_schema_that_would_work_for_ever_is_refused() {
    refused(
        SchemaKind::Json,
        r##"{"$ref":"#"}"##,
        "refers to itself without end",
    );
    refused(
        SchemaKind::Json,
        r##"{"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"}"##,
        "refers to itself without end",
    );
    // Each doubles the next one: 2^40 judgements of one value.
    let mut laughs = String::from(r##"{"$ref":"#/$defs/d0","$defs":{"##);
    for n in 0..40 {
        let next = n + 1;
        laughs += &format!(
            r##""d{n}":{{"allOf":[{{"$ref":"#/$defs/d{next}"}},{{"$ref":"#/$defs/d{next}"}}]}},"##
        );
    }
    laughs += r#""d40":{"type":"string"}}}"#;
    refused(SchemaKind::Json, &laughs, "work for too long");
    // The same, one level of the message for each.
    let deeper = laughs.replace("{\"allOf\"", "{\"properties\":{\"a\":{\"allOf\"");
    let deeper = deeper.replace("\"}]}", "\"}]}}}");
    refused(SchemaKind::Json, &deeper, "work for too long");
    refused(
        SchemaKind::Json,
        r#"{"pattern":"^(a+)+\\1$"}"#,
        "json schema is invalid",
    );
    refused(
        SchemaKind::Json,
        r#"{"pattern":"(((a{100}){100}){100}){100}"}"#,
        "json schema",
    );
}

#[test]
fn a_json_schema_fetches_nothing() {
    refused(
        SchemaKind::Json,
        r#"{"$ref":"http://127.0.0.1:1/x.json"}"#,
        "leads nowhere in it",
    );
    refused(
        SchemaKind::Json,
        r#"{"$ref":"file:///etc/passwd"}"#,
        "leads nowhere in it",
    );
    let inside = r#"{"$id":"https://x.test/root.json","$ref":"item.json",
        "$defs":{"item":{"$id":"item.json","type":"integer"}}}"#;
    let inside = validator(SchemaKind::Json, inside);
    assert!(inside.check(b"1").is_ok() && inside.check(b"\"1\"").is_err());
}

#[test]
fn huge_and_deep_schemas_are_refused_in_each_language() {
    for kind in [
        SchemaKind::Json,
        SchemaKind::Protobuf,
        SchemaKind::Graphql,
        SchemaKind::Avro,
    ] {
        refused(kind, &" ".repeat(600 << 10), "longer than");
        for bracket in ["{", "[", "("] {
            refused(kind, &bracket.repeat(100_000), "nested deeper than");
        }
    }
    let deep = "message M { ".repeat(1000);
    refused(SchemaKind::Protobuf, &deep, "nested deeper than");
}

#[test]
fn protobuf_messages_have_known_fields_of_the_right_kind() {
    let content = "syntax = \"proto3\"; package t;\n\
                   message M { string id = 1; repeated int32 n = 2; map<string, M> more = 3; }";
    let compiled = compile(SchemaKind::Protobuf, content).unwrap();
    assert_eq!(compiled.message_struct, "M");
    let set = String::from_utf8_lossy(&compiled.descriptor).into_owned();
    assert!(
        set.contains("s_1.proto"),
        "the file's name is what SDKs look for"
    );
    let m = compiled.validator;
    assert_eq!(m.check(b"\x0a\x01x"), Ok(()));
    assert_eq!(m.check(b""), Ok(()));
    assert_eq!(m.check(b"\x28\x01").unwrap_err(), "t.M has no field 5");
    // Inside a map's value, too.
    let nested = b"\x1a\x07\x0a\x01k\x12\x02\x28\x01";
    assert_eq!(m.check(nested).unwrap_err(), "t.M has no field 5");
    assert!(m.check(b"\x0a\x05x").is_err(), "the text ends too early");
    let deep: Vec<u8> = (0..200).fold(Vec::new(), |inner, _| {
        let mut entry = Vec::from(*b"\x0a\x00\x12");
        entry.extend(varint(inner.len()));
        entry.extend(inner);
        let mut outer = Vec::from(*b"\x1a");
        outer.extend(varint(entry.len()));
        outer.extend(entry);
        outer
    });
    assert!(
        m.check(&deep).is_err(),
        "nested deeper than the library allows"
    );
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
    out
}

#[test]
fn a_proto_file_that_cannot_be_compiled_is_named() {
    refused(
        SchemaKind::Protobuf,
        "syntax = \"proto3\";",
        "it has no message",
    );
    refused(
        SchemaKind::Protobuf,
        "import \"a.proto\"; message M {}",
        "a.proto",
    );
    refused(
        SchemaKind::Protobuf,
        "message M { string = 1; }",
        "your Proto file is invalid",
    );
    refused(
        SchemaKind::Protobuf,
        "message M { Nope x = 1; }",
        "your Proto file is invalid",
    );
    let two = "syntax = \"proto2\"; message M { required string id = 1; }";
    let two = validator(SchemaKind::Protobuf, two);
    assert_eq!(two.check(b"").unwrap_err(), "M lacks the required field id");
}

#[test]
fn avro_judges_json() {
    let user = r#"{"type":"record","name":"User","fields":[{"name":"name","type":"string"},
        {"name":"age","type":["null","int"],"default":null},
        {"name":"score","type":"double","default":0},
        {"name":"friend","type":["null","User"],"default":null}]}"#;
    let user = validator(SchemaKind::Avro, user);
    assert_eq!(user.check(br#"{"name":"a","age":3,"score":1}"#), Ok(()));
    assert_eq!(user.check(br#"{"name":"a","friend":{"name":"b"}}"#), Ok(()));
    assert!(user.check(br#"{"name":1}"#).is_err());
    assert!(user.check(br#"{"name":"a","friend":{"name":2}}"#).is_err());
    assert!(user.check(b"{}").is_err() && user.check(b"x").is_err());
    refused(
        SchemaKind::Avro,
        r#"{"type":"nope"}"#,
        "your Avro file is invalid",
    );
}

#[test]
fn an_avro_union_of_two_that_recurse_is_a_bomb() {
    let bomb = r#"{"type":"record","name":"A","fields":[{"name":"n","type":["null","A",
        {"type":"record","name":"B","fields":[{"name":"n","type":["null","A","B"]}]}]}]}"#;
    refused(
        SchemaKind::Avro,
        bomb,
        "recurses more than once at the same place",
    );
}

#[test]
fn graphql_messages_are_queries_that_the_schema_answers() {
    let schema = "type Query { user(id: ID!): User } type User { name: String! friends: [User] }";
    let schema = validator(SchemaKind::Graphql, schema);
    assert_eq!(
        schema.check(b"{ user(id: 1) { name friends { name } } }"),
        Ok(())
    );
    let error = schema.check(b"{ user(id: 1) { nope } }").unwrap_err();
    assert!(error.contains("nope"), "{error}");
    assert!(
        schema.check(b"{ user { name } }").is_err(),
        "an argument is missing"
    );
    assert!(schema.check(b"hello {").is_err() && schema.check(b"").is_err());
    let deep = "{ friends ".repeat(100_000);
    assert!(
        schema
            .check(deep.as_bytes())
            .unwrap_err()
            .contains("nested deeper")
    );
    // Fragments that use each other twice: 2^40 fields if they were put in place.
    let mut laughs = String::from("query { user(id: 1) { ...f0 } }");
    for n in 0..40 {
        let next = n + 1;
        laughs += &format!(" fragment f{n} on User {{ friends {{ ...f{next} }} }}");
    }
    laughs += " fragment f40 on User { name }";
    assert_eq!(schema.check(laughs.as_bytes()), Ok(()));
    refused(
        SchemaKind::Graphql,
        "type Query { a: Nope }",
        "your schema content is invalid",
    );
}

/// Each of these messages costs its judge a multiple of its length, or all of its stack, if that is not
/// prevented: the test ends at once or not at all.
#[test]
fn messages_made_to_take_long_are_judged_soon() {
    let list = validator(
        SchemaKind::Json,
        r##"{"type":"array","items":{"$ref":"#"}}"##,
    );
    let tree = validator(
        SchemaKind::Avro,
        r#"{"type":"record","name":"T","fields":[{"name":"t","type":["null","T"],"default":null}]}"#,
    );
    let levels = 100_000;
    let deep = "[".repeat(levels) + &"]".repeat(levels);
    assert!(list.check(deep.as_bytes()).is_err());
    let deep = "{\"t\":".repeat(levels) + "null" + &"}".repeat(levels);
    assert!(tree.check(deep.as_bytes()).is_err());

    let nested = validator(
        SchemaKind::Protobuf,
        "syntax = \"proto3\"; message M { M m = 1; }",
    );
    let mut message = Vec::new();
    for _ in 0..5_000 {
        let mut outer = vec![0x0a];
        outer.extend(varint(message.len()));
        outer.append(&mut message);
        message = outer;
    }
    assert!(nested.check(&message).is_err());

    let schema = "type Query { user(id: ID!): User } type User { name: String! friends: [User] }";
    let schema = validator(SchemaKind::Graphql, schema);
    // Each fragment holds the next one twice: 2^40 fields if they were put in place.
    let mut laughs = String::from("query { user(id: 1) { ...f0 } }");
    for n in 0..40 {
        let next = n + 1;
        laughs += &format!(
            " fragment f{n} on User {{ a: friends {{ ...f{next} }} b: friends {{ ...f{next} }} }}"
        );
    }
    laughs += " fragment f40 on User { name }";
    let _judged = schema.check(laughs.as_bytes());
    // The same field many times over, each to be held against each other one.
    let same = "user(id: 1) { name friends { name } } ".repeat(6_000);
    let _judged = schema.check(format!("{{ {same} }}").as_bytes());
    let circle = "query { user(id: 1) { ...a } } fragment a on User { friends { ...a } }";
    assert!(schema.check(circle.as_bytes()).is_err(), "it has no end");
}

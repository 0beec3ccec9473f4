//! The management interface: users, what they may, and tags.

use alloc::string::ToString as _;

use serde_json::{Value, json};

use super::world::{World, consumer, producer, station, with};
use crate::dispatch::{
    CONSUMER_CREATIONS, PRODUCER_CREATIONS, SCHEMA_CREATIONS, STATION_CREATIONS,
};

fn user(name: &str) -> Value {
    json!({
        "username": name, "password": "Passw0rd!", "secret": "$2a$04$abcdefghijklmnopqrstuuM4aYjWJiVmAZ9Q8S0HOqfmV6dKf5qGK",
        "user_type": "application", "description": "d",
    })
}

#[test]
fn users_follow_memphis_rules() {
    let mut world = World::new();
    let made = world.manage("usermgmt/addUser", &user("App"));
    assert_eq!(
        (&made["username"], &made["user_type"]),
        (&json!("app"), &json!("application"))
    );
    assert!(made.get("secret").is_none(), "no hash leaves");
    assert_eq!(world.host.users_changed, [("app".into(), true)]);
    let mut refused = |body: Value| {
        let (status, body) = world.call("root", "usermgmt/addUser", &body);
        assert_eq!(status, 406);
        body["message"].as_str().unwrap().to_string()
    };
    assert_eq!(
        refused(user("app")),
        "A user with the name app already exists"
    );
    assert_eq!(
        refused(user("a b")),
        "username has to include only letters/numbers/./_/- "
    );
    assert!(refused(with(user("b"), "password", "short")).starts_with("Password must be"));
    assert_eq!(
        refused(with(user("b"), "user_type", "king")),
        "user type has to be application/management and not king"
    );
    assert_eq!(
        refused(with(user("b"), "allow_read_permissions", json!(["a*"]))),
        "a* is not a valid pattern"
    );
    let root = json!({"username": "root"});
    let (_, body) = world.call("root", "usermgmt/removeUser", &root);
    assert_eq!(body["message"], "You can not remove your own user");
    world.crash();
    assert_eq!(
        world.host.users_changed.len(),
        2,
        "users are back after a crash"
    );
    world.manage("usermgmt/removeUser", &json!({"username": "app"}));
    let all = world.manage("usermgmt/getAllUsers", &json!({}));
    assert_eq!(all["application_users"], json!([]));
    assert_eq!(all["management_users"][0]["username"], "root");
}

#[test]
fn a_user_is_kept_from_stations_and_cannot_act_as_another() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("orders.eu", 1));
    let app = with(user("app"), "deny_write_permissions", json!(["orders.*"]));
    let app = with(app, "deny_read_permissions", json!(["secret"]));
    world.manage("usermgmt/addUser", &app);
    // The request names root; who has logged in counts.
    let reply = world.ask_as("app", PRODUCER_CREATIONS, &producer("p", "orders.eu"));
    assert!(
        reply.contains("user app is not allowed to access station orders.eu"),
        "{reply}"
    );
    let reply = world.ask_as("app", STATION_CREATIONS, &station("orders.us", 1));
    assert_eq!(reply, "user app is not allowed to create station orders.us");
    let reply = world.ask_as("app", CONSUMER_CREATIONS, &consumer("c", "secret", "g"));
    assert_eq!(reply, "user app is not allowed to access station secret");
    let reply = world.ask_as("app", CONSUMER_CREATIONS, &consumer("c", "orders.eu", "g"));
    assert!(reply.contains(r#""error":"""#), "{reply}");
    assert_eq!(world.streams(), ["orders#eu$1"]);
    world.ask_as(
        "app",
        SCHEMA_CREATIONS,
        &json!({"name": "s", "type": "json", "schema_content": "{}"}),
    );
    assert_eq!(world.rows().schemas["s"].versions[0].username, "app");
}

#[test]
fn tags_are_made_carried_and_removed() {
    let mut world = World::new();
    world.ask_ok(STATION_CREATIONS, &station("a", 1));
    world.manage(
        "tags/createNewTag",
        &json!({"name": "Hot", "color": "1, 2, 3"}),
    );
    let (status, body) = world.call("root", "tags/createNewTag", &json!({"name": "hot"}));
    assert_eq!(
        (status, &body["message"]),
        (406, &json!("Tag with the name hot already exists"))
    );
    let change = json!({
        "entity_type": "station", "entity_name": "a",
        "tags_to_add": [{"name": "hot"}], "tags_to_remove": ["default"],
    });
    world.manage("tags/updateTagsForEntity", &change);
    let shown = world.manage("stations/getStation", &json!({"station_name": "a"}));
    assert_eq!(shown["tags"], json!([{"name": "hot", "color": "1, 2, 3"}]));
    let used = world.manage("tags/getUsedTags", &json!({}));
    assert_eq!(used.as_array().unwrap().len(), 1);
    let wrong = with(change, "entity_type", "planet");
    let (_, body) = world.call("root", "tags/updateTagsForEntity", &wrong);
    assert_eq!(body["message"], "entity type is not valid");
    world.manage("tags/removeTag", &json!({"name": "hot"}));
    assert_eq!(world.manage("tags/getUsedTags", &json!({})), json!([]));
}

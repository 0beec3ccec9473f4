//! The management interface.

use serde_json::{Value, json};

use super::{Answered, Site, serve_while};

/// Somebody who is logged in.
struct Session {
    site: Site,
    authorization: String,
}

async fn post(site: &Site, path: &str, head: &str, body: &Value) -> Answered {
    let line = format!("POST /api/{path}");
    site.ask("management", &line, head, &body.to_string()).await
}

async fn login(site: &Site, username: &str, password: &str) -> Answered {
    let who = json!({"username": username, "password": password});
    post(site, "usermgmt/login", "", &who).await
}

impl Session {
    async fn of_root(site: Site) -> Self {
        let answered = login(&site, "root", "memphis").await;
        assert_eq!(answered.status, 200, "{answered:?}");
        Self::of(site, &answered)
    }

    fn of(site: Site, answered: &Answered) -> Self {
        let jwt = answered.body["jwt"].as_str().expect("a token");
        Self {
            site,
            authorization: format!("Authorization: Bearer {jwt}\r\n"),
        }
    }

    async fn ask(&self, line: &str, body: &Value) -> Answered {
        let (method, path) = line.split_once(' ').expect("a method");
        let line = format!("{method} /api/{path}");
        let body = Some(body).filter(|body| !body.is_null());
        let body = body.map(Value::to_string).unwrap_or_default();
        let head = &self.authorization;
        self.site.ask("management", &line, head, &body).await
    }
}

#[test]
fn root_logs_in_and_makes_shows_and_removes_a_station() {
    serve_while(|site| async move {
        let root = Session::of_root(site).await;
        let station = json!({"name": "Orders.EU", "partitions_number": 2, "retention_type": "messages",
                             "retention_value": 10, "storage_type": "file"});
        let made = root.ask("POST stations/createStation", &station).await;
        assert_eq!(made.status, 200, "{made:?}");
        assert_eq!(made.body["name"], "orders.eu");
        let again = root.ask("POST stations/createStation", &station).await;
        assert_eq!(again.status, 406);
        assert_eq!(
            again.body,
            json!({"message": "Station orders.eu already exists"})
        );
        let line = "GET stations/getStation?station_name=orders.eu";
        let shown = root.ask(line, &Value::Null).await;
        assert_eq!(shown.body["partitions_list"], json!([1, 2]));
        assert_eq!(shown.body["storage_type"], "disk");
        let removal = json!({"station_names": ["orders.eu"]});
        let removed = root.ask("DELETE stations/removeStation", &removal).await;
        assert_eq!((removed.status, removed.body), (200, json!({})));
        let gone = root.ask(line, &Value::Null).await;
        assert_eq!(gone.status, 406);
    });
}

#[test]
fn nobody_gets_in_without_a_token_of_theirs() {
    serve_while(|site| async move {
        let unauthorized = json!({"message": "Unauthorized"});
        let wrong = login(&site, "root", "nope").await;
        assert_eq!((wrong.status, &wrong.body), (401, &unauthorized));
        let nobody = login(&site, "nobody", "memphis").await;
        assert_eq!(nobody.status, 401);
        let elsewhere = login(&site, "root$2", "memphis").await;
        assert_eq!(elsewhere.status, 401);
        let heads = [
            "",
            "Authorization: Bearer x.y.z\r\n",
            "Authorization: Basic cm9vdDptZW1waGlz\r\n",
        ];
        for head in heads {
            let line = "GET /api/stations/getStations";
            let refused = site.ask("management", line, head, "").await;
            assert_eq!((refused.status, &refused.body), (401, &unauthorized));
        }
        // A refresh token is no access token.
        let answered = login(&site, "root", "memphis").await;
        let cookie = answered.cookie();
        let (_, token) = cookie.split_once('=').expect("a value");
        let head = format!("Authorization: Bearer {token}\r\n");
        let line = "GET /api/stations/getStations";
        let refused = site.ask("management", line, &head, "").await;
        assert_eq!(refused.status, 401);
    });
}

#[test]
fn the_cookie_of_a_login_is_worth_another_token() {
    serve_while(|site| async move {
        let answered = login(&site, "root", "memphis").await;
        assert!(
            answered.head.contains("; HttpOnly; SameSite=Strict"),
            "{answered:?}"
        );
        let path = "usermgmt/refreshToken";
        let head = format!("Cookie: other=1; {}\r\n", answered.cookie());
        let fresh = post(&site, path, &head, &json!({})).await;
        assert_eq!(
            (fresh.status, &fresh.body["username"]),
            (200, &json!("root"))
        );
        let none = post(&site, path, "", &json!({})).await;
        assert_eq!(none.status, 401);
        let session = Session::of(site, &fresh);
        let listed = session.ask("GET stations/getStations", &Value::Null).await;
        assert_eq!((listed.status, listed.body), (200, json!({"stations": []})));
    });
}

#[test]
fn managers_come_in_until_they_are_removed_and_clients_do_not() {
    serve_while(|site| async move {
        let root = Session::of_root(site.clone()).await;
        for (name, kind) in [("boss", "management"), ("app", "application")] {
            let user = json!({"username": name, "password": "Secret-1", "user_type": kind});
            let made = root.ask("POST usermgmt/addUser", &user).await;
            assert_eq!(
                (made.status, &made.body["user_type"]),
                (200, &json!(kind)),
                "{made:?}"
            );
        }
        let weak = json!({"username": "weak", "password": "x", "user_type": "application"});
        let refused = root.ask("POST usermgmt/addUser", &weak).await;
        assert_eq!(refused.status, 406);
        assert_eq!(login(&site, "app", "Secret-1").await.status, 401);
        assert_eq!(login(&site, "boss", "Secret-2").await.status, 401);
        let answered = login(&site, "Boss", "Secret-1").await;
        assert_eq!(
            (answered.status, &answered.body["username"]),
            (200, &json!("boss"))
        );
        let boss = Session::of(site.clone(), &answered);
        assert_eq!(
            boss.ask("GET usermgmt/getAllUsers", &Value::Null)
                .await
                .status,
            200
        );
        let changed = json!({"username": "boss", "password": "Secret-3"});
        let changed = boss.ask("PUT usermgmt/changePassword", &changed).await;
        assert_eq!(changed.status, 200, "{changed:?}");
        assert_eq!(login(&site, "boss", "Secret-1").await.status, 401);
        assert_eq!(login(&site, "boss", "Secret-3").await.status, 200);
        let removed = root
            .ask("DELETE usermgmt/removeUser", &json!({"username": "boss"}))
            .await;
        assert_eq!(removed.status, 200);
        // The token would hold for longer than its user is there.
        assert_eq!(
            boss.ask("GET usermgmt/getAllUsers", &Value::Null)
                .await
                .status,
            401
        );
    });
}

#[test]
fn what_is_no_request_of_this_interface_is_refused_for_what_it_is() {
    serve_while(|site| async move {
        let root = Session::of_root(site.clone()).await;
        assert_eq!(root.ask("GET nope/nope", &Value::Null).await.status, 404);
        let line = "POST stations/getStations";
        assert_eq!(root.ask(line, &json!({})).await.status, 405);
        let line = "POST stations/createStation";
        assert_eq!(root.ask(line, &json!([1])).await.status, 400);
        let large = json!({"name": "x".repeat(2 << 20)});
        assert_eq!(root.ask(line, &large).await.status, 413);
        let content = json!({"schema_type": "json", "schema_content": "{\"type\": 1}"});
        let refused = root.ask("POST schemas/validateSchema", &content).await;
        assert_eq!(refused.status, 555);
    });
}

#[test]
fn anybody_sees_that_it_is_there_and_how_it_is_asked() {
    serve_while(|site| async move {
        let status = site.ask("management", "GET /api/status", "", "").await;
        assert_eq!(
            (status.status, status.body),
            (200, json!({"message": "Ok"}))
        );
        let line = "GET /api/openapi.json";
        let document = site.ask("management", line, "", "").await;
        assert_eq!(document.body["openapi"], "3.1.0");
        let head = "Origin: http://127.0.0.1:1\r\n";
        let line = "OPTIONS /api/usermgmt/login";
        let preflight = site.ask("management", line, head, "").await;
        assert_eq!(preflight.status, 204);
        let same = "Access-Control-Allow-Origin: http://127.0.0.1:1\r\n";
        assert!(preflight.head.contains(same), "{}", preflight.head);
    });
}

#[test]
fn the_log_can_be_looked_at_by_kind_and_from_a_number_on() {
    serve_while(|site| async move {
        let root = Session::of_root(site).await;
        let all = root.ask("GET monitoring/getSystemLogs", &Value::Null).await;
        let logs = all.body["logs"].as_array().expect("a list").clone();
        let last = logs.last().expect("a line")["message_seq"].clone();
        let line = format!("GET monitoring/getSystemLogs?start_index={last}");
        let newest = root.ask(&line, &Value::Null).await;
        assert_eq!(newest.body["logs"].as_array().map(Vec::len), Some(1));
        let line = "GET monitoring/getSystemLogs?log_type=err&start_index=-1";
        let errors = root.ask(line, &Value::Null).await;
        assert_eq!(errors.body, json!({"logs": []}));
    });
}

#[test]
fn the_token_that_opens_every_tenant_is_shown_to_the_first_ones_root() {
    serve_while(|site| async move {
        for (user, password, shown) in [("root", "memphis", "memphis"), ("root$7", "pw7", "")] {
            let answered = login(&site, user, password).await;
            assert_eq!(answered.body["connection_token"], shown, "{user}");
        }
    });
}

#[test]
fn the_log_of_the_process_is_not_another_tenants() {
    serve_while(|site| async move {
        let root = Session::of_root(site.clone()).await;
        let file = "GET monitoring/downloadSystemLogs";
        let all = root.ask(file, &Value::Null).await;
        assert!(all.text.contains("Listening for"), "{}", all.text);
        let answered = login(&site, "root$7", "pw7").await;
        let other = Session::of(site, &answered);
        let logs = "GET monitoring/getSystemLogs";
        let seen = other.ask(logs, &Value::Null).await;
        assert_eq!(seen.body, json!({"logs": []}));
        assert_eq!(other.ask(file, &Value::Null).await.text, "");
    });
}

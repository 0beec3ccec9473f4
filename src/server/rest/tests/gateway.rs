//! The REST gateway.

use serde_json::{Value, json};

use super::{Answered, Site, serve_while};

async fn authenticate(site: &Site, asked: &Value) -> Answered {
    let body = asked.to_string();
    site.ask("gateway", "POST /auth/authenticate", "", &body)
        .await
}

/// Somebody with a token.
struct Caller {
    site: Site,
    head: String,
}

impl Caller {
    async fn of_root(site: Site) -> Self {
        let root = json!({"username": "root", "password": "memphis"});
        let answered = authenticate(&site, &root).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        let jwt = answered.body["jwt"].as_str().expect("a token");
        let head = format!("Authorization: Bearer {jwt}\r\n");
        Self { site, head }
    }

    async fn post(&self, path: &str, kind: &str, body: &str) -> Answered {
        let head = format!("{}Content-Type: {kind}\r\nX-Mine: yes\r\n", self.head);
        let line = format!("POST {path}");
        self.site.ask("gateway", &line, &head, body).await
    }

    async fn consume(&self, station: &str, asked: &Value) -> Answered {
        let path = format!("/stations/{station}/consume/batch");
        self.post(&path, "application/json", &asked.to_string())
            .await
    }
}

#[test]
fn messages_go_in_and_come_out_once() {
    serve_while(|site| async move {
        let caller = Caller::of_root(site).await;
        let single = "/stations/Orders.EU/produce/single";
        let stored = caller.post(single, "application/json", "{\"id\": 1}").await;
        let success = json!({"success": true, "error": null});
        assert_eq!((stored.status, stored.body), (200, success.clone()));
        let batch = "/stations/orders.eu/produce/batch";
        let stored = caller
            .post(batch, "application/json", "[{\"id\": 2}, {\"id\": 3}]")
            .await;
        assert_eq!((stored.status, stored.body), (200, success));
        let asked = json!({"consumer_name": "c", "batch_size": 10, "batch_max_wait_time_ms": 1000});
        let got = caller.consume("orders.eu", &asked).await;
        assert_eq!(got.status, 200, "{got:?}");
        let got = got.body.as_array().expect("a list").clone();
        let texts: Vec<&str> = got.iter().filter_map(|m| m["message"].as_str()).collect();
        assert_eq!(texts, ["{\"id\": 1}", "{\"id\":2}", "{\"id\":3}"]);
        let headers = got[0]["headers"].as_object().expect("headers");
        assert_eq!(headers["X-Mine"], "yes");
        // Tokens stay where they are.
        assert!(!headers.contains_key("Authorization"), "{headers:?}");
        let none = caller.consume("orders.eu", &asked).await;
        assert_eq!((none.status, none.body), (200, json!([])));
    });
}

#[test]
fn a_token_is_worth_what_its_session_is() {
    serve_while(|site| async move {
        let wrong = [
            json!({"username": "root", "password": "nope"}),
            json!({"username": "root", "password": "memphis", "account_id": 2}),
            json!({"username": "root", "password": "memphis", "connection_token": "memphis"}),
            json!({"username": "root"}),
            json!({}),
        ];
        for asked in wrong {
            let refused = authenticate(&site, &asked).await;
            assert_eq!(
                (refused.status, &refused.body["message"]),
                (401, &json!("Unauthorized")),
                "{asked}"
            );
        }
        let token = json!({"username": "root", "connection_token": "memphis", "account_id": 1});
        let answered = authenticate(&site, &token).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        let refresh = json!({"jwt_refresh_token": answered.body["jwt_refresh_token"]}).to_string();
        let renewed = site
            .ask("gateway", "POST /auth/refreshToken", "", &refresh)
            .await;
        assert_eq!(renewed.status, 200, "{renewed:?}");
        let jwt = renewed.body["jwt"].as_str().expect("a token");
        let line = format!("POST /stations/s/produce/single?authorization={jwt}");
        let stored = site
            .ask("gateway", &line, "Content-Type: text/plain\r\n", "x")
            .await;
        assert_eq!(stored.status, 200, "{stored:?}");
        let misused = json!({"jwt_refresh_token": jwt}).to_string();
        let refused = site
            .ask("gateway", "POST /auth/refreshToken", "", &misused)
            .await;
        assert_eq!(refused.status, 401);
        let bare = site
            .ask("gateway", "POST /stations/s/produce/single", "", "x")
            .await;
        assert_eq!(bare.status, 401);
    });
}

#[test]
fn what_is_wrong_is_said_in_the_gateways_words() {
    serve_while(|site| async move {
        let caller = Caller::of_root(site.clone()).await;
        let single = "/stations/s/produce/single";
        let said = caller.post(single, "image/png", "x").await;
        let text = json!("unsupported content type");
        assert_eq!((said.status, &said.body["error"]), (500, &text));
        let said = caller
            .post("/stations/a%20b/produce/single", "text/plain", "x")
            .await;
        assert_eq!((said.status, &said.body["success"]), (500, &json!(false)));
        let said = caller.consume("s", &json!({})).await;
        let text = json!("Consumer name is required");
        assert_eq!((said.status, &said.body["error"]), (400, &text));
        let said = caller
            .post("/stations/s/consume/batch", "application/json", "[")
            .await;
        assert_eq!(
            (said.status, &said.body["error"]),
            (400, &json!("Invalid request body"))
        );
        let large = "x".repeat(2 << 20);
        assert_eq!(caller.post(single, "text/plain", &large).await.status, 413);
        let up = site.ask("gateway", "GET /monitoring/status", "", "").await;
        assert_eq!((up.status, up.body), (200, json!({"status": "ok"})));
        assert_eq!(caller.post("/nope", "text/plain", "").await.status, 404);
    });
}

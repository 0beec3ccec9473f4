//! The management interface on Memphis' port 9000: login, and its routes below `/api/`.
//!
//! *Invariant:* each call is made in the name of a manager who exists at that moment; a token alone is
//! not enough.

mod login;
mod logs;

use core::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use config::options::{Memphis, Rest};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use broker::{Answer, Manager};

use super::reply::{self, Reply};
use super::routes::{By, Open, Route, Same};
use super::tokens::{Purpose, Signer};
use super::{openapi, query};
use crate::driver::{Driver, ManagedBy};
use crate::web::{BodyError, Site, read_body};
use login::Claims;

/// Most bytes of a request: schemas are the largest, and no larger than this.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How many passwords may be waiting for the thread that checks them.
const PASSWORDS_MAX: usize = 16;
const PREFIX: &str = "/api/";

/// What answers management.
pub(crate) struct Management {
    driver: Rc<Driver>,
    access: Signer,
    refresh: Signer,
    rest: Rest,
    /// Where clients connect.
    clients_port: i64,
    payload_max: u32,
    dls_retention_hours: u32,
    logs_retention_days: u32,
    gc_retention_hours: u32,
    tiering_s: u32,
    connection_token: Option<String>,
    user_pass_based_auth: bool,
    /// Whether pages of other hosts may ask: not while everybody knows the password.
    is_open_to_pages: bool,
    passwords: Semaphore,
    description: Bytes,
}

impl Site for Management {
    const CONNECTIONS_MAX: usize = 256;

    async fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let mut answered = self.dispatch(&parts, body).await;
        reply::allow_origin(&parts.headers, self.is_open_to_pages, &mut answered);
        answered
    }
}

impl Management {
    pub(super) fn new(driver: &Rc<Driver>, memphis: &Memphis, payload_max: u32) -> Self {
        let rest = memphis.rest.clone();
        Self {
            driver: Rc::clone(driver),
            access: Signer::new(Purpose::Access, rest.jwt_secret.as_deref()),
            refresh: Signer::new(Purpose::Refresh, rest.refresh_jwt_secret.as_deref()),
            rest,
            clients_port: memphis.listen.port,
            payload_max,
            dls_retention_hours: memphis.dls_retention_hours,
            logs_retention_days: memphis.logs_retention_days,
            gc_retention_hours: memphis.gc_producer_consumer_retention_hours,
            tiering_s: memphis.tiered_storage_upload_interval_seconds,
            connection_token: memphis.connection_token.clone(),
            user_pass_based_auth: memphis.user_pass_based_auth,
            is_open_to_pages: memphis.root_password != Memphis::DEFAULT_PASSWORD,
            passwords: Semaphore::new(PASSWORDS_MAX),
            description: openapi::describe(config::VERSION).to_string().into(),
        }
    }

    async fn dispatch(&self, parts: &Parts, body: Incoming) -> Reply {
        if parts.method == Method::OPTIONS {
            return reply::preflight();
        }
        let path = parts.uri.path();
        let path = path.strip_prefix(PREFIX).unwrap_or_default();
        if path == "openapi.json" && parts.method == Method::GET {
            return reply::document(200, self.description.clone());
        }
        let Some(first) = Route::of(path).next() else {
            return reply::message(404, "Not found");
        };
        let Some(route) = Route::of(path).find(|route| route.method == parts.method) else {
            let text = format!("the method of this route is {}", first.method);
            return reply::message(405, &text);
        };
        let fields = match self.fields(route, parts, body).await {
            Ok(fields) => fields,
            Err(refused) => return refused,
        };
        if let By::Open(open) = route.by {
            return self.answer_anybody(open, &fields, &parts.headers).await;
        }
        let Some(manager) = self.manager(&parts.headers) else {
            return reply::unauthorized();
        };
        match route.by {
            By::Machine => self.call(route, &manager, fields).await,
            By::MachineWithHash => self.call_with_hash(route, &manager, fields).await,
            By::Same(same) => reply::json(200, &self.same(same)),
            By::MachineAsText => self.text(route, &manager, fields).await,
            By::Open(_) => reply::unauthorized(),
        }
    }

    /// Reads what a request says, from its query or its body.
    async fn fields(
        &self,
        route: &Route,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Map<String, Value>, Reply> {
        let query = query::parse(parts.uri.query().unwrap_or_default());
        let mut fields = route.typed(query);
        if route.method == Method::GET {
            return Ok(fields);
        }
        let body = read_body(body, BODY_BYTES_MAX).await;
        let body = body.map_err(|error| match error {
            BodyError::TooLarge => reply::message(413, "the request is too large"),
            BodyError::Incomplete => reply::message(400, "the request is not complete"),
        })?;
        if body.is_empty() {
            return Ok(fields);
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(said)) => {
                fields.extend(said);
                Ok(fields)
            }
            Ok(_) | Err(_) => Err(reply::message(400, "the request is not a JSON object")),
        }
    }

    /// Returns who asks, if the token says so and they are still there.
    fn manager(&self, headers: &HeaderMap) -> Option<Manager> {
        let token = headers.get(AUTHORIZATION)?.to_str().ok()?;
        let (scheme, token) = token.split_once(' ')?;
        let token = scheme.eq_ignore_ascii_case("bearer").then_some(token)?;
        let claims: Claims = self.access.check(token.trim(), self.driver.wall())?;
        claims.manager(&self.driver)
    }

    async fn answer_anybody(
        &self,
        open: Open,
        fields: &Map<String, Value>,
        headers: &HeaderMap,
    ) -> Reply {
        match open {
            Open::Login => self.login(fields).await,
            Open::Refresh => self.refresh(headers),
            Open::SignUpFlag => reply::json(200, &json!({"show_signup": false})),
            Open::ClusterInfo => reply::json(200, &json!({"version": config::VERSION})),
            Open::Status => reply::message(200, "Ok"),
        }
    }

    async fn call(&self, route: &Route, manager: &Manager, fields: Map<String, Value>) -> Reply {
        match self.asked(route, manager, fields).await {
            Some(answer) => reply::json(answer.status, &answer.body),
            None => reply::busy(),
        }
    }

    /// Calls for a file.
    async fn text(&self, route: &Route, manager: &Manager, fields: Map<String, Value>) -> Reply {
        match self.asked(route, manager, fields).await {
            Some(answer) if answer.status == 200 => logs::file(&answer.body),
            Some(answer) => reply::json(answer.status, &answer.body),
            None => reply::busy(),
        }
    }

    async fn asked(
        &self,
        route: &Route,
        manager: &Manager,
        fields: Map<String, Value>,
    ) -> Option<Answer> {
        let by = ManagedBy {
            account: manager.account.clone(),
            user: manager.user.clone(),
        };
        let body = Value::Object(fields).to_string().into();
        self.driver.manage(by, route.path, body).await
    }

    /// Calls with the hash of a password: the layer keeps that, and checks the password's rules.
    async fn call_with_hash(
        &self,
        route: &Route,
        manager: &Manager,
        mut fields: Map<String, Value>,
    ) -> Reply {
        let Ok(_place) = self.passwords.try_acquire() else {
            return reply::busy();
        };
        let password = fields.get("password").and_then(Value::as_str);
        let password = password.unwrap_or_default().to_owned();
        if let Some(hash) = self.driver.hash_password(password).await {
            fields.insert("secret".into(), hash.into());
        }
        self.call(route, manager, fields).await
    }

    fn same(&self, same: Same) -> Value {
        match same {
            Same::Nothing => json!({}),
            Same::AsyncTasks => json!({"async_tasks": []}),
            Same::Functions => json!({
                "scm_integrated": false, "other": [], "installed": [], "connected_repos": [],
            }),
            Same::Replicas => json!({"available_replicas": 1}),
            Same::ClusterConfig => json!({
                "dls_retention": self.dls_retention_hours,
                "logs_retention": self.logs_retention_days,
                "broker_host": "", "ui_host": "", "rest_gw_host": "",
                "tiered_storage_time_sec": self.tiering_s,
                "max_msg_size_mb": self.payload_max >> 20,
                "gc_producer_consumer_retention_hours": self.gc_retention_hours,
            }),
        }
    }
}

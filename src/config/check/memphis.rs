//! The `memphis` block, and the defaults that Memphis takes from the environment.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::listen::Address;
use super::reader::{Reader, set};
use super::{accounts, jetstream, users};
use crate::Surroundings;
use crate::options::{Listen, Memphis, Rest, Tenant, TenantLimits, User};
use crate::value::{Node, Value};

/// Most minutes that a token holds: a year.
const MINUTES_MAX: u32 = 366 * 24 * 60;

/// The block as far as the file sets it.
#[derive(Default)]
pub(crate) struct Draft {
    address: Address,
    root_password: Option<String>,
    connection_token: Option<String>,
    user_pass_based_auth: Option<bool>,
    users: Vec<User>,
    limits: TenantLimits,
    tenants: Vec<Tenant>,
    dls_retention_hours: Option<u32>,
    logs_retention_days: Option<u32>,
    gc_retention_hours: Option<u32>,
    tiered_storage_s: Option<u32>,
    rest: RestDraft,
    slack_url: Option<String>,
}

/// What it says about HTTP. A port of 0 stands for "off".
#[derive(Default)]
struct RestDraft {
    ui_port: Option<u16>,
    rest_gw_port: Option<u16>,
    ws_port: Option<u16>,
    jwt_secret: Option<String>,
    refresh_jwt_secret: Option<String>,
    jwt_minutes: Option<u32>,
    refresh_jwt_minutes: Option<u32>,
}

impl Draft {
    /// Returns what holds without any configuration: Memphis' users expect its HTTP ports, too.
    pub(crate) fn as_memphis() -> Self {
        Self {
            rest: RestDraft {
                ui_port: Some(Rest::MANAGEMENT_PORT),
                rest_gw_port: Some(Rest::GATEWAY_PORT),
                ws_port: Some(Rest::WEBSOCKET_PORT),
                ..RestDraft::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn read(read: &mut Reader, node: &Node) -> Self {
        let mut draft = Self::default();
        read.each(node, |read, key, node| {
            match key {
                "root_password" | "password" => set(&mut draft.root_password, read.secret(node)),
                "connection_token" | "token" => {
                    set(&mut draft.connection_token, read.secret(node));
                }
                "user_pass_based_auth" => {
                    draft.user_pass_based_auth = read.boolean(node);
                }
                "slack_url" => draft.slack_url = read.text(node),
                "users" => draft.users = users::users(read, node),
                "tenants" | "accounts" => draft.tenants = tenants(read, node),
                _ => {
                    return draft.address.read(read, key, node)
                        || limits(&mut draft.limits, read, key, node)
                        || draft.rest.read(read, key, node)
                        || draft.retention(read, key, node);
                }
            }
            true
        });
        draft
    }

    /// Reads the keys that Memphis' own configuration has at its top level.
    pub(super) fn retention(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        match key {
            "dls_retention_hours" => self.dls_retention_hours = within(read, key, node, 1, 30),
            "logs_retention_days" => self.logs_retention_days = within(read, key, node, 1, 100),
            "gc_producer_consumer_retention_hours" => {
                self.gc_retention_hours = within(read, key, node, 1, 168);
            }
            "ui_port" | "rest_gw_port" | "ws_port" => return self.rest.read(read, key, node),
            "k8s_namespace" | "ui_host" | "rest_gw_host" | "broker_host" => read.ignored(key, node),
            "tiered_storage_upload_interval_seconds" => {
                self.tiered_storage_s = within(read, key, node, 1, 3600);
            }
            _ => return false,
        }
        true
    }

    /// Fills what is not set here from the keys outside of the block.
    pub(super) fn or(mut self, outside: Self) -> Self {
        self.dls_retention_hours = self.dls_retention_hours.or(outside.dls_retention_hours);
        self.logs_retention_days = self.logs_retention_days.or(outside.logs_retention_days);
        self.gc_retention_hours = self.gc_retention_hours.or(outside.gc_retention_hours);
        self.tiered_storage_s = self.tiered_storage_s.or(outside.tiered_storage_s);
        self.rest.ui_port = self.rest.ui_port.or(outside.rest.ui_port);
        self.rest.rest_gw_port = self.rest.rest_gw_port.or(outside.rest.rest_gw_port);
        self.rest.ws_port = self.rest.ws_port.or(outside.rest.ws_port);
        self
    }

    /// Fills what is still not set from the environment, then with the defaults.
    pub(crate) fn finish(self, around: &mut dyn Surroundings) -> Memphis {
        let mut variable = |name: &str| around.variable(name).filter(|v| !v.is_empty());
        let default = Memphis::default();
        let root_password = self.root_password.or_else(|| variable("ROOT_PASSWORD"));
        let root_password = root_password.unwrap_or(default.root_password);
        // A password that everyone knows must not be reachable from elsewhere.
        let guarded = root_password != Memphis::DEFAULT_PASSWORD;
        let host = if guarded {
            "0.0.0.0"
        } else {
            Memphis::LOOPBACK
        };
        // The token is a password too: the default one must not open what a password guards.
        let default_token = (!guarded).then(|| Memphis::DEFAULT_TOKEN.to_owned());
        let listen = self.address.or(host, Memphis::DEFAULT_PORT);
        Memphis {
            rest: self.rest.finish(&listen.host, &mut variable),
            listen,
            root_password,
            connection_token: self
                .connection_token
                .or_else(|| variable("CONNECTION_TOKEN"))
                .or(default_token),
            user_pass_based_auth: self
                .user_pass_based_auth
                .or_else(|| Some(variable("USER_PASS_BASED_AUTH")? != "false"))
                .unwrap_or(default.user_pass_based_auth),
            slack_url: self.slack_url.unwrap_or(default.slack_url),
            users: self.users,
            limits: self.limits,
            tenants: self.tenants,
            dls_retention_hours: self
                .dls_retention_hours
                .unwrap_or(default.dls_retention_hours),
            logs_retention_days: self
                .logs_retention_days
                .unwrap_or(default.logs_retention_days),
            gc_producer_consumer_retention_hours: self
                .gc_retention_hours
                .unwrap_or(default.gc_producer_consumer_retention_hours),
            tiered_storage_upload_interval_seconds: self
                .tiered_storage_s
                .unwrap_or(default.tiered_storage_upload_interval_seconds),
        }
    }
}

impl RestDraft {
    fn read(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        match key {
            "ui_port" => self.ui_port = port(read, key, node),
            "rest_gw_port" => self.rest_gw_port = port(read, key, node),
            "ws_port" => self.ws_port = port(read, key, node),
            "jwt_secret" => set(&mut self.jwt_secret, read.secret(node)),
            "refresh_jwt_secret" => set(&mut self.refresh_jwt_secret, read.secret(node)),
            "jwt_expires_in_minutes" => {
                self.jwt_minutes = within(read, key, node, 1, MINUTES_MAX);
            }
            "refresh_jwt_expires_in_minutes" => {
                self.refresh_jwt_minutes = within(read, key, node, 1, MINUTES_MAX);
            }
            _ => return false,
        }
        true
    }

    fn finish(self, host: &str, variable: &mut dyn FnMut(&str) -> Option<String>) -> Rest {
        let default = Rest::default();
        let on = |port: Option<u16>| {
            let port = port.filter(|port| *port != 0);
            port.map(|port| Listen {
                host: host.to_owned(),
                port: i64::from(port),
            })
        };
        let mut minutes = |name: &str| {
            let said = variable(name)?.parse().ok();
            said.filter(|minutes| (1..=MINUTES_MAX).contains(minutes))
        };
        let jwt_minutes = self
            .jwt_minutes
            .or_else(|| minutes("JWT_EXPIRES_IN_MINUTES"));
        let refresh_jwt_minutes = self
            .refresh_jwt_minutes
            .or_else(|| minutes("REFRESH_JWT_EXPIRES_IN_MINUTES"));
        Rest {
            management: on(self.ui_port),
            gateway: on(self.rest_gw_port),
            websocket: on(self.ws_port),
            jwt_secret: self.jwt_secret.or_else(|| variable("JWT_SECRET")),
            refresh_jwt_secret: self
                .refresh_jwt_secret
                .or_else(|| variable("REFRESH_JWT_SECRET")),
            jwt_expires_in_minutes: jwt_minutes.unwrap_or(default.jwt_expires_in_minutes),
            refresh_jwt_expires_in_minutes: refresh_jwt_minutes
                .unwrap_or(default.refresh_jwt_expires_in_minutes),
        }
    }
}

fn port(read: &mut Reader, key: &str, node: &Node) -> Option<u16> {
    let n: u32 = read.count(key, node)?;
    let port = u16::try_from(n).ok();
    if port.is_none() {
        read.error(&node.at, format!("{key} must be a port, or 0 for none"));
    }
    port
}

fn within(read: &mut Reader, key: &str, node: &Node, min: u32, max: u32) -> Option<u32> {
    let n = read.count(key, node)?;
    if (min..=max).contains(&n) {
        return Some(n);
    }
    read.error(&node.at, format!("{key} must be between {min} and {max}"));
    None
}

/// Reads tenants: a map from name to block, or a list of blocks with names.
fn tenants(read: &mut Reader, node: &Node) -> Vec<Tenant> {
    let mut tenants: Vec<Tenant> = Vec::new();
    let mut add = |read: &mut Reader, name: Option<&str>, node: &Node| {
        let tenant = tenant(read, name, node);
        let taken = tenants
            .iter()
            .any(|t| t.id == tenant.id || t.name == tenant.name);
        if tenant.id < 2 || tenant.name.is_empty() || taken {
            read.error(
                &node.at,
                "a tenant needs a name and an id above 1 that no other has",
            );
        } else {
            tenants.push(tenant);
        }
    };
    match &node.value {
        Value::Map(map) => {
            for (name, node) in map.iter() {
                add(read, Some(name), node);
            }
        }
        Value::List(items) => {
            for item in items {
                add(read, None, item);
            }
        }
        _ => {
            read.mismatch::<()>(node, "a map or a list of tenants");
        }
    }
    tenants
}

fn tenant(read: &mut Reader, name: Option<&str>, node: &Node) -> Tenant {
    let mut tenant = Tenant {
        name: name.unwrap_or_default().to_owned(),
        ..Tenant::default()
    };
    read.each(node, |read, key, node| {
        match key {
            "id" => set(&mut tenant.id, read.count(key, node)),
            "name" => set(&mut tenant.name, read.text(node)),
            "users" => tenant.users = users::users(read, node),
            _ => return limits(&mut tenant.limits, read, key, node),
        }
        true
    });
    tenant
}

fn limits(limits: &mut TenantLimits, read: &mut Reader, key: &str, node: &Node) -> bool {
    match key {
        "limits" => limits.connections = accounts::limits(read, node),
        "jetstream" => limits.jetstream = jetstream::of_account(read, node),
        _ => return false,
    }
    true
}

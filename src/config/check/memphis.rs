//! The `memphis` block, and the defaults that Memphis takes from the environment.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::listen::Address;
use super::reader::{Reader, set};
use super::users;
use crate::Surroundings;
use crate::options::{Memphis, Tenant, User};
use crate::value::{Node, Value};

/// The block as far as the file sets it.
#[derive(Default)]
pub(crate) struct Draft {
    address: Address,
    root_password: Option<String>,
    connection_token: Option<String>,
    user_pass_based_auth: Option<bool>,
    users: Vec<User>,
    tenants: Vec<Tenant>,
    dls_retention_hours: Option<u32>,
    logs_retention_days: Option<u32>,
    gc_retention_hours: Option<u32>,
}

impl Draft {
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
                "users" => draft.users = users::users(read, node),
                "tenants" | "accounts" => draft.tenants = tenants(read, node),
                _ => {
                    return draft.address.read(read, key, node) || draft.retention(read, key, node);
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
            "ui_port"
            | "rest_gw_port"
            | "k8s_namespace"
            | "ui_host"
            | "rest_gw_host"
            | "broker_host"
            | "tiered_storage_upload_interval_seconds" => read.ignored(key, node),
            _ => return false,
        }
        true
    }

    /// Fills what is not set here from the keys outside of the block.
    pub(super) fn or(mut self, outside: Self) -> Self {
        self.dls_retention_hours = self.dls_retention_hours.or(outside.dls_retention_hours);
        self.logs_retention_days = self.logs_retention_days.or(outside.logs_retention_days);
        self.gc_retention_hours = self.gc_retention_hours.or(outside.gc_retention_hours);
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
        Memphis {
            listen: self.address.or(host, Memphis::DEFAULT_PORT),
            root_password,
            connection_token: self
                .connection_token
                .or_else(|| variable("CONNECTION_TOKEN"))
                .or(default_token),
            user_pass_based_auth: self
                .user_pass_based_auth
                .or_else(|| Some(variable("USER_PASS_BASED_AUTH")? != "false"))
                .unwrap_or(default.user_pass_based_auth),
            users: self.users,
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
        }
    }
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
            _ => return false,
        }
        true
    });
    tenant
}

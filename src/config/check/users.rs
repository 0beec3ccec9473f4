//! Users, their permissions, and the `authorization` block.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use identity::{KeyKind, PublicKey};

use super::callout;
use super::reader::{Reader, go_shown, set};
use super::subject;
use crate::options::{
    Auth, CONNECTION_TYPES, ConnectionType, PermissionList, Permissions, ResponseLimits, User,
};
use crate::value::{Node, Value};

pub(super) fn authorization(read: &mut Reader, node: &Node) -> Auth {
    let mut auth = Auth::default();
    read.each(node, |read, key, node| {
        match key {
            "user" | "username" => set(&mut auth.user, read.name(node)),
            "pass" | "password" => set(&mut auth.password, read.name(node)),
            "token" => set(&mut auth.token, read.name(node)),
            "timeout" => set(
                &mut auth.timeout,
                read.seconds("authorization", node).map(Some),
            ),
            "users" => auth.users = users(read, node),
            "default_permission" | "default_permissions" | "permissions" => {
                auth.default_permissions = Some(permissions(read, node));
            }
            "auth_callout" | "auth_hook" => auth.callout = callout::callout(read, node),
            "proxy_required" => set(&mut auth.proxy_required, read.boolean(node)),
            _ => return false,
        }
        true
    });
    let single = auth.user.is_some() || auth.password.is_some();
    if single && auth.token.is_some() {
        read.error(&node.at, "Cannot have a user/pass and token");
    }
    if single && !auth.users.is_empty() {
        read.error(
            &node.at,
            "Can not have a single user/pass and a users array",
        );
    }
    if auth.token.is_some() && !auth.users.is_empty() {
        read.error(&node.at, "Can not have a token and a users array");
    }
    auth
}

pub(super) fn users(read: &mut Reader, node: &Node) -> Vec<User> {
    let Value::List(items) = &node.value else {
        let shown = go_shown(&node.value);
        let reason = format!("Expected users field to be an array, got {shown}");
        read.error(&node.at, reason);
        return Vec::new();
    };
    items.iter().filter_map(|item| user(read, item)).collect()
}

fn user(read: &mut Reader, node: &Node) -> Option<User> {
    let mut user = User::default();
    let mut named = None;
    let mut at = &node.at;
    if let Value::Map(map) = &node.value {
        // A user without a name is reported where nats-server has got to.
        at = map.iter().last().map_or(at, |(_, last)| &last.at);
    }
    read.each(node, |read, key, node| {
        match key {
            "user" | "username" => set(&mut named, read.name(node)),
            "pass" | "password" => set(&mut user.password, read.name(node)),
            "nkey" => set(&mut user.nkey, read.name(node)),
            "permission" | "permissions" | "authorization" => {
                user.permissions = Some(permissions(read, node));
            }
            "allowed_connection_types" | "connection_types" | "clients" => {
                user.allowed_connection_types = connection_types(read, node);
            }
            "proxy_required" => set(&mut user.proxy_required, read.boolean(node)),
            _ => return false,
        }
        true
    });
    match (&named, &user.nkey) {
        (Some(_), Some(_)) => {
            read.error(at, "Nkey users do not take usernames or passwords");
            None
        }
        (None, None) => {
            read.error(at, "User entry requires a user");
            None
        }
        (None, Some(nkey)) if !is_public_user_nkey(nkey) => {
            read.error(at, "Not a valid public nkey for a user");
            None
        }
        _ => {
            user.name = named.unwrap_or_default();
            Some(user)
        }
    }
}

/// Tells whether `nkey` is a user's public key.
fn is_public_user_nkey(nkey: &str) -> bool {
    PublicKey::parse_as(KeyKind::User, nkey).is_some()
}

fn connection_types(read: &mut Reader, node: &Node) -> Vec<ConnectionType> {
    let mut types = Vec::new();
    for name in read.texts(node, "allowed connection types") {
        let known = CONNECTION_TYPES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name));
        match known {
            Some((_, kind)) => types.push(*kind),
            None => read.error(&node.at, format!("invalid connection types [{name:?}]")),
        }
    }
    types
}

pub(super) fn permissions(read: &mut Reader, node: &Node) -> Permissions {
    let mut permissions = Permissions::default();
    let Some(map) = read.map_of(node, "permissions") else {
        return permissions;
    };
    for (key, node) in map.iter() {
        match key.to_ascii_lowercase().as_str() {
            "pub" | "publish" | "import" => {
                permissions.publish = Some(permission_list(read, node, subject::is_valid));
            }
            "sub" | "subscribe" | "export" => {
                let list = permission_list(read, node, subject::is_valid_with_queue);
                permissions.subscribe = Some(list);
            }
            "publish_allow_responses" | "allow_responses" => {
                permissions.responses = responses(read, node);
            }
            _ if node.referenced => {}
            _ => read.error(
                &node.at,
                format!("Unknown field {key:?} parsing permissions"),
            ),
        }
    }
    if permissions.responses.is_some() {
        // A service that may answer may publish nothing else unless it is allowed to.
        let publish = permissions.publish.get_or_insert_default();
        publish.allow.get_or_insert_default();
    }
    permissions
}

fn permission_list(read: &mut Reader, node: &Node, valid: fn(&str) -> bool) -> PermissionList {
    let mut list = PermissionList::default();
    let Value::Map(map) = &node.value else {
        list.allow = Some(subjects(read, node, valid));
        return list;
    };
    for (key, node) in map.iter() {
        match key.to_ascii_lowercase().as_str() {
            "allow" => list.allow = Some(subjects(read, node, valid)),
            "deny" => list.deny = subjects(read, node, valid),
            _ if node.referenced => {}
            _ => read.error(
                &node.at,
                format!("Unknown field name {key:?} parsing subject permissions, only 'allow' or 'deny' are permitted"),
            ),
        }
    }
    list
}

pub(super) fn subjects(read: &mut Reader, node: &Node, valid: fn(&str) -> bool) -> Vec<String> {
    let mut subjects = listed(read, node);
    subjects.retain(|subject| {
        let valid = valid(subject);
        if !valid {
            read.error(
                &node.at,
                format!("subject {subject:?} is not a valid subject"),
            );
        }
        valid
    });
    subjects
}

/// Returns one subject or a list of them.
fn listed(read: &mut Reader, node: &Node) -> Vec<String> {
    let items = match &node.value {
        Value::Text(subject) => return Vec::from([subject.clone()]),
        Value::List(items) => items,
        other => {
            let kind = other.kind();
            read.error(
                &node.at,
                format!(
                    "Expected subject permissions to be a subject, or array of subjects, got {kind}"
                ),
            );
            return Vec::new();
        }
    };
    let mut subjects = Vec::new();
    for item in items {
        match &item.value {
            Value::Text(subject) => subjects.push(subject.clone()),
            _ => read.error(
                &item.at,
                "Subject in permissions array cannot be cast to string",
            ),
        }
    }
    subjects
}

fn responses(read: &mut Reader, node: &Node) -> Option<ResponseLimits> {
    if let Value::Bool(switch) = node.value {
        return switch.then(ResponseLimits::default);
    }
    let mut limits = ResponseLimits::default();
    if !matches!(node.value, Value::Map(_)) {
        let reason = "error parsing response permissions, expected a boolean or a map";
        read.error(&node.at, reason);
        return None;
    }
    read.each(node, |read, key, node| {
        match key {
            // 0 is the default, as if the key were not there.
            "max" | "max_msgs" | "max_messages" | "max_responses" => {
                if let Some(max) = read.cap(key, node).filter(|max| *max != Some(0)) {
                    limits.msgs_max = max;
                }
            }
            "expires" | "expiration" | "ttl" => {
                limits.expires = read
                    .duration("expires", node)
                    .filter(|d| *d != Duration::ZERO);
            }
            _ => return false,
        }
        true
    });
    Some(limits)
}

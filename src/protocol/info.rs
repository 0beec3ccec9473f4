//! `INFO`: what a server tells about itself. The fields stand in the order in which nats-server
//! writes them, and those that are empty are left out where it leaves them out.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;
use serde::de::IgnoredAny;

use crate::text::json;

/// Says whether what a client sent as its INFO can be read: a JSON object, or null.
#[must_use]
pub fn is_readable(json: &[u8]) -> bool {
    serde_json::from_slice::<Option<BTreeMap<String, IgnoredAny>>>(json).is_ok()
}

/// The INFO of a client listener.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// The server's public key, `N...`.
    pub server_id: String,
    /// The server's name; its id if it was given none.
    pub server_name: String,
    /// The protocol's version that clients look at.
    pub version: String,
    /// Always 1: the client may be sent INFO at any time.
    pub proto: u8,
    /// The commit the server was built from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub git_commit: String,
    /// The version of Go, where clients expect one.
    pub go: String,
    /// The address that the listener was given.
    pub host: String,
    /// The listener's port.
    pub port: u16,
    /// Whether headers are supported.
    pub headers: bool,
    /// Whether the client must send credentials.
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    /// Whether the client must switch to TLS.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    /// Whether the client must show a certificate.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    /// Whether the client may switch to TLS.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_available: bool,
    /// The longest headers plus payload.
    pub max_payload: i64,
    /// Whether JetStream is there.
    #[serde(skip_serializing_if = "is_false")]
    pub jetstream: bool,
    /// The connection's number.
    #[serde(skip_serializing_if = "is_zero")]
    pub client_id: u64,
    /// The address that the client comes from.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_ip: String,
    /// What the client must sign.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// The cluster's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Whether the cluster's name was made up.
    #[serde(skip_serializing_if = "is_false")]
    pub cluster_dynamic: bool,
    /// The JetStream domain.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// Where else the client can connect to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    /// Whether the server is about to stop.
    #[serde(skip_serializing_if = "is_false")]
    pub ldm: bool,
    /// Whether this INFO answers the client's CONNECT.
    #[serde(skip_serializing_if = "is_false")]
    pub connect_info: bool,
    /// The account that the client got.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote_account: String,
    /// Whether that is the system account.
    #[serde(skip_serializing_if = "is_false")]
    pub acc_is_sys: bool,
    /// The JetStream API level.
    #[serde(skip_serializing_if = "is_zero")]
    pub api_lvl: u64,
    /// The server's public curve key, `X...`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub xkey: String,
}

impl Info {
    /// Returns the JSON for [`crate::encode::info`].
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::to_vec(self).expect("strings, numbers and lists of strings always serialise")
    }
}

fn is_false(value: &bool) -> bool {
    !*value
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;

    use super::*;

    #[test]
    fn fields_stand_in_nats_servers_order_and_empty_ones_are_left_out() {
        let info = Info {
            server_id: "ID".to_owned(),
            server_name: "s1".to_owned(),
            version: "2.15.1".to_owned(),
            proto: 1,
            go: "go1.27.2".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 4222,
            headers: true,
            auth_required: true,
            max_payload: 1_048_576,
            jetstream: true,
            client_ip: "127.0.0.1".to_owned(),
            client_id: 6,
            nonce: "n".to_owned(),
            domain: "dom".to_owned(),
            connect_info: true,
            remote_account: "A".to_owned(),
            api_lvl: 5,
            xkey: "X".to_owned(),
            ..Info::default()
        };
        // The order of a recorded INFO, of the first and of the second kind at once.
        let expected = concat!(
            r#"{"server_id":"ID","server_name":"s1","version":"2.15.1","proto":1,"go":"go1.27.2","#,
            r#""host":"127.0.0.1","port":4222,"headers":true,"auth_required":true,"#,
            r#""max_payload":1048576,"jetstream":true,"client_id":6,"client_ip":"127.0.0.1","#,
            r#""nonce":"n","domain":"dom","connect_info":true,"remote_account":"A","api_lvl":5,"#,
            r#""xkey":"X"}"#,
        );
        assert_eq!(core::str::from_utf8(&info.to_json()).unwrap(), expected);
    }
}

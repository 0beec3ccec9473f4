//! What advisories say beside what happened: who did it, and what kind of change it was.

use alloc::string::String;
use alloc::vec::Vec;

use crate::js::json::{ToJson, Writer, json_struct};
use crate::text::duration::Nanos;
use crate::time::Wall;

/// What was done with a stream or consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was made.
    Create,
    /// It was deleted.
    Delete,
    /// It was changed.
    Modify,
}

impl ToJson for Action {
    fn write(&self, to: &mut Writer) {
        to.string(match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Modify => "modify",
        });
    }

    fn is_empty(&self) -> bool {
        false
    }
}

json_struct! {
    /// A client, as advisories and the system account's events describe it.
    pub struct ClientInfo["ClientInfo"] {
        /// When it connected.
        start: Option<Wall> = "start" omit,
        /// From where.
        host: String = "host" omit,
        /// Its number on the server.
        id: u64 = "id" omit,
        /// Its account.
        account: String = "acc" omit,
        /// The account whose service it asked.
        service: String = "svc" omit,
        /// Its user.
        user: String = "user" omit,
        /// What it calls itself.
        name: String = "name" omit,
        /// The language of its library.
        lang: String = "lang" omit,
        /// The version of its library.
        version: String = "ver" omit,
        /// How long it takes to answer.
        rtt: Nanos = "rtt" omit,
        /// The server's name.
        server: String = "server" omit,
        /// The server's cluster.
        cluster: String = "cluster" omit,
        /// Other clusters that can serve it.
        alternates: Vec<String> = "alts" omit,
        /// When it left.
        stop: Option<Wall> = "stop" omit,
        /// Its token.
        jwt: String = "jwt" omit,
        /// The key that signed it.
        issuer_key: String = "issuer_key" omit,
        /// The name in it.
        name_tag: String = "name_tag" omit,
        /// The tags in it.
        tags: Vec<String> = "tags" omit,
        /// Client, leaf node and so on.
        kind: String = "kind" omit,
        /// The protocol it speaks.
        client_type: String = "client_type" omit,
        /// Its MQTT id.
        mqtt_client: String = "client_id" omit,
        /// What it signed.
        nonce: String = "nonce" omit,
    }
}

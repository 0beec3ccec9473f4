//! Why a listener cannot be had, in the words that nats-server ends a start with.

use std::io;

use config::options::{Listen, Peers};

use crate::net::Net;
use crate::reason;

/// Whom a listener is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whose {
    Clients,
    WebSockets,
    Monitoring,
    Peers(Peers),
}

/// Binds a listener.
pub(crate) async fn bind<N: Net>(whose: Whose, listen: &Listen) -> io::Result<N::Listener> {
    let Ok(port) = u16::try_from(listen.port) else {
        let why = format!("listen tcp: address {}: invalid port", listen.port);
        return Err(io::Error::other(worded(whose, listen, &why)));
    };
    let listener = N::bind(&listen.host, port).await;
    listener.map_err(|error| refused(whose, listen, &error))
}

/// Says which port could not be had.
fn refused(whose: Whose, listen: &Listen, error: &io::Error) -> io::Error {
    // A name that nobody knows has no number of an error.
    let why = match error.raw_os_error() {
        Some(_) => format!("listen tcp {listen}: bind: {}", reason(error)),
        None => format!("listen tcp: lookup {}: no such host", listen.host),
    };
    io::Error::new(error.kind(), worded(whose, listen, &why))
}

fn worded(whose: Whose, listen: &Listen, why: &str) -> String {
    let port = listen.port;
    match whose {
        Whose::Clients => format!("Error listening on port: {listen}, {why:?}"),
        Whose::WebSockets => format!("Unable to listen for websocket connections: {why}"),
        Whose::Monitoring => {
            format!("Can't start monitoring: can't listen to the monitor port: {why}")
        }
        Whose::Peers(Peers::Cluster) => {
            format!("Error listening on router port: {port} - {why}")
        }
        Whose::Peers(Peers::Gateway) => {
            format!("Error listening on gateway port: {port} - {why}")
        }
        Whose::Peers(Peers::LeafNodes) => {
            format!("Error listening on leafnode port: {port} - {why}")
        }
        Whose::Peers(Peers::Mqtt) => format!("Unable to listen for MQTT connections: {why}"),
    }
}

/// Says that monitoring is to be had in the clear and encrypted.
pub(crate) fn both_sites(http: &Listen, https: &Listen) -> io::Error {
    let (http, https) = (http.port, https.port);
    io::Error::other(format!(
        "Can't start monitoring: can't specify both HTTP ({http}) and HTTPs ({https}) ports"
    ))
}

/// Says that monitoring is to be encrypted without a certificate.
pub(crate) fn site_without_tls() -> io::Error {
    io::Error::other("Can't start monitoring: TLS cert and key required for HTTPS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_listener_has_its_own_words() {
        let taken = io::Error::from_raw_os_error(98);
        let listen = Listen {
            host: "127.0.0.1".to_owned(),
            port: 1,
        };
        let bind = "listen tcp 127.0.0.1:1: bind: address already in use";
        for (whose, text) in [
            (
                Whose::Clients,
                format!("Error listening on port: 127.0.0.1:1, {bind:?}"),
            ),
            (
                Whose::WebSockets,
                format!("Unable to listen for websocket connections: {bind}"),
            ),
            (
                Whose::Peers(Peers::Cluster),
                format!("Error listening on router port: 1 - {bind}"),
            ),
        ] {
            assert_eq!(refused(whose, &listen, &taken).to_string(), text);
        }
        let unknown = io::Error::other("failed to lookup address information");
        let text = refused(Whose::Clients, &listen, &unknown).to_string();
        assert!(
            text.ends_with("\"listen tcp: lookup 127.0.0.1: no such host\""),
            "{text}"
        );
    }
}

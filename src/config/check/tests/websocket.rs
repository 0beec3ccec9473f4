//! The `websocket` block, and what nats-server says when it does not fit.

use alloc::string::ToString;
use core::time::Duration;

use super::{errors, options};
use crate::check::settle;

#[test]
fn a_websocket_block_is_read_and_without_a_port_it_is_none() {
    let text = "websocket { listen: \"127.0.0.1:-1\", no_tls: true, compress: true, origin: \"http://a\"\n\
                handshake_timeout: 3, jwt_cookie: j, headers { X-A: b }, authentication { token: t } }";
    let ws = options(text).websocket.expect("on");
    assert_eq!((ws.listen.host.as_str(), ws.listen.port), ("127.0.0.1", 0));
    assert!(ws.no_tls && ws.compression && ws.overrides_auth());
    assert_eq!(ws.handshake_timeout, Some(Duration::from_secs(3)));
    assert_eq!(ws.headers, [("X-A".into(), "b".into())]);
    assert_eq!(options("ws { no_tls: true }").websocket, None);
    assert_eq!(
        errors("ws { zap: 1 }"),
        ["nats.conf:1:5: unknown field \"zap\""]
    );
}

#[test]
fn a_websocket_block_that_does_not_fit_is_told_in_nats_servers_words() {
    let table = [
        ("", "websocket requires TLS configuration"),
        (
            "no_tls: true, origins: [\"ftp://x\"]",
            "unable to parse allowed origin \"ftp://x\": allowed origins must be absolute URLs with \
             http or https scheme",
        ),
        (
            "no_tls: true, headers { Upgrade: x }",
            "websocket: invalid header \"Upgrade\" not allowed",
        ),
        (
            "no_tls: true, headers { Sec-Websocket-Key: x }",
            "websocket: invalid header \"Sec-Websocket-Key\", \"Sec-WebSocket-\" prefix not allowed",
        ),
        (
            "no_tls: true, authorization { token: t }",
            "websocket authentication token not compatible with presence of users/nkeys",
        ),
        (
            "no_tls: true, no_auth_user: q",
            "no_auth_user: \"q\" not present as user or nkey in authorization block or account \
             configuration",
        ),
    ];
    for (inside, reason) in table {
        let users = "authorization { users = [{user: u, password: p}] }";
        let mut options = options(&alloc::format!(
            "websocket {{ port: 80, {inside} }}\n{users}"
        ));
        let told = settle(&mut options).expect_err(inside);
        assert_eq!(told.to_string(), reason);
    }
}

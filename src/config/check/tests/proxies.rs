//! The proxies that are trusted.

use alloc::format;
use alloc::string::ToString;

use super::{errors, options};

const KEY: &str = "UDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCYSJF";

#[test]
fn proxies_are_known_by_their_public_keys() {
    let options = options(&format!(
        "proxies {{ trusted = [ {{key: {KEY}}}, {{public_key: {KEY}}} ] }}\n\
         authorization {{ proxy_required: true, user: a, password: b }}\nproxy_protocol: true"
    ));
    let trusted = options.proxies.expect("a block").trusted;
    assert_eq!(trusted, [KEY, KEY]);
    assert!(options.auth.proxy_required);
    assert!(options.proxy_protocol);
}

#[test]
fn what_is_wrong_with_them_is_told_as_nats_server_does() {
    for (text, expected) in [
        ("proxies {x: 1}", "2:10: unknown field \"x\"".to_string()),
        (
            "proxies {trusted: [{key: abc}]}",
            "2:21: invalid proxy key \"abc\"".to_string(),
        ),
        (
            "proxies {trusted: [{keyx: abc}]}",
            "2:21: unknown field \"keyx\"".to_string(),
        ),
        (
            &format!("proxies {{trusted: [{{key: {KEY}, x: 1}}]}}"),
            "2:84: unknown field \"x\"".to_string(),
        ),
    ] {
        let told = errors(&format!("\n{text}"));
        let first = told.first().expect("an error");
        assert_eq!(*first, format!("nats.conf:{expected}"), "{text}");
    }
}

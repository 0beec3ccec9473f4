//! `tls` blocks, and what nats-server says when they are wrong.

use core::time::Duration;

use super::{checked, errors};
use crate::options::{CipherSuite, Curve, HandshakeFirst, TlsVersion};

#[test]
fn a_tls_block_is_read_with_its_limits_on_what_may_be_negotiated() {
    let text = "tls { cert_file: c, key_file: k, verify_and_map: true, timeout: 0.5, min_version: \"1.3\"\n\
                first: \"300ms\", curve_preferences: [CurveP256, CurveP521]\n\
                cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA] }";
    let checked = checked(text);
    assert_eq!(checked.errors, []);
    // What is not served of a list is told, and the rest of it holds.
    assert_eq!(checked.unsupported.len(), 2);
    let tls = checked.options.tls.expect("on");
    assert!(tls.verify && tls.verify_and_map);
    assert_eq!(tls.timeout(), Duration::from_millis(500));
    assert_eq!(tls.min_version, TlsVersion::V1_3);
    assert_eq!(tls.curves, [Curve::P256]);
    assert_eq!(tls.cipher_suites, [CipherSuite::EcdheRsaAes128]);
    assert_eq!(
        tls.handshake_first,
        HandshakeFirst::Within(Duration::from_millis(300))
    );
}

#[test]
fn mistakes_in_a_tls_block_are_told_as_nats_server_tells_them() {
    for (inside, at, reason) in TLS_MISTAKES {
        let text = alloc::format!("tls {{ cert_file: c, key_file: k, {inside} }}");
        let expected = alloc::format!("nats.conf:1:{at}: {reason}");
        assert_eq!(errors(&text), [expected], "{text}");
    }
}

const TLS_MISTAKES: &[(&str, u32, &str)] = &[
    ("cipher_suites: [NOPE]", 49, "unrecognized cipher NOPE"),
    (
        "cipher_suites: []",
        33,
        "error parsing tls config, 'cipher_suites' cannot be empty",
    ),
    (
        "cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]",
        0,
        "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: \
         TLS_RSA_WITH_AES_128_CBC_SHA",
    ),
    (
        "cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA]",
        33,
        "none of these cipher suites is served",
    ),
    (
        "curve_preferences: [NOPE]",
        53,
        "unrecognized curve preference NOPE",
    ),
    (
        "min_version: \"1.1\"",
        33,
        "error parsing tls config: unsupported TLS version: TLS 1.1",
    ),
    (
        "min_version: \"9\"",
        33,
        "error parsing tls config: unknown version: 9",
    ),
    (
        "min_version: 1.2",
        33,
        "error parsing tls config: 'min_version' wrong type: 1.2",
    ),
    (
        "handshake_first: abc",
        33,
        "field \"handshake_first\"'s value \"abc\" is invalid",
    ),
    (
        "handshake_first: 3",
        33,
        "field \"handshake_first\" should be a boolean or a string, got int64",
    ),
    (
        "bogus: 1",
        33,
        "error parsing tls config, unknown field \"bogus\"",
    ),
    (
        "verify: a",
        33,
        "error parsing tls config, expected 'verify' to be a boolean",
    ),
    (
        "certs: [{cert_file: c, key_file: k}]",
        0,
        "error parsing tls config, cannot combine 'cert_file' option with 'certs' option",
    ),
    (
        "pinned_certs: [zz]",
        48,
        "error parsing tls config, 'pinned_certs' key zz does not look like hex-encoded sha256 of \
         DER encoded SubjectPublicKeyInfo",
    ),
    (
        "verify_cert_and_check_known_urls: true",
        33,
        "verify_cert_and_check_known_urls not supported in this context",
    ),
];

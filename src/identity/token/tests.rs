//! Tokens that hold, and those that somebody has had their hands on.

use alloc::string::ToString;

use serde_json::json;

use super::*;

fn pair(kind: KeyKind, seed: u8) -> KeyPair {
    KeyPair::from_entropy(kind, [seed; 32])
}

fn user_token(issuer: &KeyPair) -> String {
    let standard = Standard {
        sub: pair(KeyKind::User, 9).public().to_string(),
        name: "bob".to_string(),
        iat: 1_700_000_000,
        exp: 1_800_000_000,
        ..Standard::default()
    };
    let nats = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": 512,
        "pub": {"allow": ["a.>"]}, "sub": {}, "src": "10.0.0.0/8, ::1/128", "bearer_token": true,
        "issuer_account": "A", "times": null});
    encode(standard, &nats, issuer)
}

#[test]
fn claims_are_read_as_their_issuer_wrote_them() {
    let account = pair(KeyKind::Account, 1);
    let claims = decode(&user_token(&account)).unwrap();
    assert_eq!(claims.standard.iss, account.public().to_string());
    assert_eq!(claims.standard.exp, 1_800_000_000);
    let Body::User(user) = claims.body else {
        panic!("a user");
    };
    assert_eq!(user.limits.permissions.r#pub.allow, ["a.>"]);
    assert_eq!(user.limits.src, ["10.0.0.0/8", "::1/128"]);
    assert!(user.limits.bearer_token && user.limits.payload == 512);
}

#[test]
fn null_is_nothing_wherever_claims_carry_it() {
    let operator = pair(KeyKind::Operator, 1);
    let nats = json!({"type": "account", "version": 2, "exports": null, "imports": [], "tags": null,
        "limits": {"subs": -1, "tiered_limits": null, "leaf": null}, "signing_keys": null,
        "revocations": null, "default_permissions": {"pub": null, "sub": {"deny": null}}});
    let claims = decode(&encode(Standard::default(), &nats, &operator)).unwrap();
    let Body::Account(account) = claims.body else {
        panic!("an account");
    };
    assert_eq!((account.limits.subs, account.limits.leaf), (-1, 0));
    assert!(account.exports.is_empty() && account.signing_keys.is_empty());
}

#[test]
fn a_forged_token_is_none() {
    let token = user_token(&pair(KeyKind::Account, 1));
    let parts: [&str; 3] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let [header, payload, signature] = parts;
    let text = URL_SAFE_NO_PAD.decode(payload).unwrap();
    let text = String::from_utf8(text).unwrap();
    // Other claims under the same signature.
    let richer = URL_SAFE_NO_PAD.encode(text.replace("512", "999"));
    let forged = format!("{header}.{richer}.{signature}");
    assert_eq!(decode(&forged), Err(TokenError::Signature(2)));
    // Another issuer's name over the forger's signature.
    let forger = pair(KeyKind::Account, 2);
    let signed = format!("{header}.{payload}");
    let forged = format!("{signed}.{}", forger.sign_text(signed.as_bytes()));
    assert_eq!(decode(&forged), Err(TokenError::Signature(2)));
    // No signature at all, as some libraries let it pass.
    for alg in ["none", "ed25519x", "HS256"] {
        let header = URL_SAFE_NO_PAD.encode(format!("{{\"typ\":\"JWT\",\"alg\":\"{alg}\"}}"));
        for signature in ["", signature] {
            let forged = format!("{header}.{payload}.{signature}");
            assert_eq!(decode(&forged), Err(TokenError::Algorithm(alg.to_string())));
        }
    }
    let other = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWS","alg":"ed25519-nkey"}"#);
    let forged = format!("{other}.{payload}.{signature}");
    assert_eq!(decode(&forged), Err(TokenError::Type("JWS".to_string())));
}

#[test]
fn a_truncated_token_is_none() {
    let token = user_token(&pair(KeyKind::Account, 1));
    for len in 0..token.len() {
        assert!(decode(&token[..len]).is_err(), "{len}");
    }
    assert_eq!(decode(""), Err(TokenError::Chunks));
    assert_eq!(decode("a.b.c.d"), Err(TokenError::Chunks));
    assert_eq!(decode(&"a".repeat(TOKEN_MAX + 1)), Err(TokenError::TooLong));
}

#[test]
fn only_accounts_sign_users() {
    for kind in [KeyKind::User, KeyKind::Operator, KeyKind::Server] {
        assert_eq!(decode(&user_token(&pair(kind, 3))), Err(TokenError::Issuer));
    }
}

#[test]
fn claims_without_a_version_or_of_a_later_one_are_not_read() {
    let issuer = pair(KeyKind::Account, 1);
    for (version, error) in [(0, TokenError::NoVersion), (3, TokenError::Version)] {
        let nats = json!({"type": "user", "version": version});
        let token = encode(Standard::default(), &nats, &issuer);
        assert_eq!(decode(&token), Err(error));
    }
}

/// A token as it was written of old: the type outside, the header not signed.
fn old_token(claims: &serde_json::Value, issuer: &KeyPair) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"jwt","alg":"ed25519"}"#);
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let signature = issuer.sign_text(payload.as_bytes());
    format!("{header}.{payload}.{signature}")
}

#[test]
fn claims_of_version_1_are_read_too() {
    let issuer = pair(KeyKind::Account, 1);
    let claims = json!({"iss": issuer.public().to_string(), "sub": "U", "type": "user",
        "issuer_account": "A", "tags": ["t"], "nats": {"payload": 10, "max": 3, "pub": {}}});
    let token = old_token(&claims, &issuer);
    let Body::User(user) = decode(&token).unwrap().body else {
        panic!("a user");
    };
    assert_eq!((user.issuer_account.as_str(), user.tags.len()), ("A", 1));
    assert_eq!((user.limits.subs, user.limits.payload), (-1, 10));

    let operator = pair(KeyKind::Operator, 1);
    let claims = json!({"iss": operator.public().to_string(), "sub": "A", "type": "account",
        "nats": {"limits": {"conn": 5, "disk_storage": 7}, "signing_keys": ["AK"]}});
    let Body::Account(account) = decode(&old_token(&claims, &operator)).unwrap().body else {
        panic!("an account");
    };
    assert_eq!((account.limits.conn, account.limits.disk_storage), (5, 0));
    assert_eq!(account.signing_keys[0].key, "AK");
}

#[test]
fn a_signature_of_old_does_not_cover_claims_of_today() {
    let issuer = pair(KeyKind::Account, 1);
    let claims = json!({"iss": issuer.public().to_string(), "sub": "U",
        "nats": {"type": "user", "version": 2}});
    let token = old_token(&claims, &issuer);
    assert_eq!(decode(&token), Err(TokenError::Signature(2)));
    let forger = pair(KeyKind::Account, 2);
    let claims = json!({"iss": issuer.public().to_string(), "sub": "U", "type": "user"});
    assert_eq!(
        decode(&old_token(&claims, &forger)),
        Err(TokenError::Signature(1))
    );
}

#[test]
fn signing_keys_are_keys_or_scopes() {
    let nats = json!({"type": "account", "version": 2, "signing_keys": ["AK",
        {"kind": "user_scope", "key": "AS", "role": "r", "template": {"subs": 3}}],
        "limits": {"subs": -1, "conn": 5}, "revocations": {"*": 7}});
    let token = encode(Standard::default(), &nats, &pair(KeyKind::Operator, 1));
    let Ok(Claims {
        body: Body::Account(account),
        ..
    }) = decode(&token)
    else {
        panic!("an account");
    };
    assert_eq!(account.signing_keys[0].template, None);
    let scope = account.signing_keys[1].template.as_ref().unwrap();
    assert_eq!(
        (account.signing_keys[1].key.as_str(), scope.subs),
        ("AS", 3)
    );
    // A template's limits are none where it has none.
    assert_eq!((scope.data, scope.payload), (-1, -1));
    assert_eq!((account.limits.conn, account.limits.leaf), (5, 0));
    assert_eq!(account.revocations.get("*"), Some(&7));
}

#[test]
fn a_token_is_found_between_dashes() {
    let decorated =
        "-----BEGIN NATS OPERATOR JWT-----\neyJ.a.b\n------END NATS OPERATOR JWT------\n";
    assert_eq!(undecorated(decorated), "eyJ.a.b");
    assert_eq!(undecorated(" eyJ.a.b\n"), "eyJ.a.b");
}

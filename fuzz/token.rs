//! JWTs: as they come, and with claims that somebody has signed, as far as an account's configuration.

use ::config::fake::Fake;
use ::config::load;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use identity::{KeyKind, KeyPair, decode, undecorated};
use serde_json::{Value, json};

/// An input that is a JSON object is claims, others are tokens.
pub fn run(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    if decode(undecorated(text)).is_ok() {
        return;
    }
    let Ok(Value::Object(mut claims)) = serde_json::from_str(text) else {
        return;
    };
    let operator = KeyPair::from_entropy(KeyKind::Operator, [1; 32]);
    let account = KeyPair::from_entropy(KeyKind::Account, [2; 32]);
    for issuer in [&operator, &account] {
        claims.insert("iss".to_owned(), issuer.public().to_string().into());
        claims.insert("sub".to_owned(), account.public().to_string().into());
        let claims = Value::Object(claims.clone());
        for version in [1, 2] {
            let token = signed(&claims, issuer, version);
            if decode(&token).is_ok() {
                start(&operator, &account, &token);
            }
        }
    }
}

/// Signs as version 1 did, the claims alone, or as version 2 does.
fn signed(claims: &Value, issuer: &KeyPair, version: u8) -> String {
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    let text = format!("{header}.{claims}");
    let signature = match version {
        1 => issuer.sign_text(claims.as_bytes()),
        _ => issuer.sign_text(text.as_bytes()),
    };
    format!("{text}.{signature}")
}

/// Starts a server that has the token for an account's.
fn start(operator: &KeyPair, account: &KeyPair, token: &str) {
    let key = operator.public().to_string();
    let claims = json!({"iss": key, "sub": key, "nats": {"type": "operator", "version": 2}});
    let operator = signed(&claims, operator, 2);
    let account = account.public();
    let text = format!(
        "operator: {operator}\nresolver: MEMORY\nresolver_preload {{ {account}: {token} }}"
    );
    let args = [String::from("-c"), String::from("nats.conf")];
    let _ = load("nats-server", &args, &mut Fake::with_config(&text));
}

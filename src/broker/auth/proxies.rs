//! Proxies that are trusted: one signs, for a client that comes through it, what that was given to sign.
//!
//! *Invariant:* a signature counts only for the connection whose nonce it is of.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use config::options::Proxies;
use identity::{PublicKey, decode_signature};

/// Which way a client came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// No proxy shows itself, or none is expected.
    Direct,
    /// Through the proxy that has this key.
    Through(Rc<str>),
    /// Through one that is not trusted.
    Untrusted,
}

/// The proxies that are trusted.
#[derive(Debug, Default)]
pub(crate) struct TrustedProxies {
    keys: Vec<(PublicKey, Rc<str>)>,
}

impl TrustedProxies {
    pub(crate) fn new(options: Option<&Proxies>) -> Self {
        let trusted = options.iter().flat_map(|proxies| &proxies.trusted);
        let key = |text: &String| Some((PublicKey::parse(text).ok()?, Rc::from(text.as_str())));
        Self {
            keys: trusted.filter_map(key).collect(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns which way a client came that was given `nonce` to sign.
    pub(crate) fn route(&self, signature: &str, nonce: &str) -> Route {
        if signature.is_empty() || self.is_empty() {
            return Route::Direct;
        }
        let Some(signature) = decode_signature(signature).filter(|_| !nonce.is_empty()) else {
            return Route::Untrusted;
        };
        let signed = |key: &PublicKey| key.has_signed(nonce.as_bytes(), &signature);
        match self.keys.iter().find(|(key, _)| signed(key)) {
            Some((_, text)) => Route::Through(Rc::clone(text)),
            None => Route::Untrusted,
        }
    }

    /// Says whether a proxy is one of them.
    pub(crate) fn trusts(&self, proxy: &str) -> bool {
        self.keys.iter().any(|(_, text)| **text == *proxy)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec;

    use identity::{KeyKind, KeyPair};

    use super::*;

    #[test]
    fn a_proxy_is_known_by_its_signature_of_this_connections_nonce() {
        let pair = |byte| KeyPair::from_entropy(KeyKind::User, [byte; 32]);
        let key = pair(1).public().to_string();
        let options = Proxies {
            trusted: vec![key.clone()],
        };
        let proxies = TrustedProxies::new(Some(&options));
        let by = |byte, nonce: &str| pair(byte).sign_text(nonce.as_bytes());
        for (signature, nonce, expected) in [
            (by(1, "abc"), "abc", Route::Through(Rc::from(key.as_str()))),
            (by(1, "abd"), "abc", Route::Untrusted),
            (by(2, "abc"), "abc", Route::Untrusted),
            (by(1, ""), "", Route::Untrusted),
            ("!!".to_string(), "abc", Route::Untrusted),
            (String::new(), "abc", Route::Direct),
        ] {
            assert_eq!(proxies.route(&signature, nonce), expected, "{signature}");
        }
        let none = TrustedProxies::default();
        assert_eq!(none.route(&by(1, "abc"), "abc"), Route::Direct);
    }
}

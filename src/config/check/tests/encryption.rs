//! Encryption at rest: what it is set by, and what is refused.

use alloc::format;

use super::{check, checked, options};
use crate::fake::Fake;
use crate::options::StoreCipher;
use crate::parse::parse_file;

#[test]
fn encryption_at_rest_has_a_key_the_one_before_and_a_cipher() {
    for keys in [
        "key: a, prev_key: b, cipher: AES",
        "ek: a, prev_ek: b, cipher: aes",
        "encryption_key: a, prev_encryption_key: b, cipher: aes",
    ] {
        let encryption = options(&format!("jetstream {{ {keys} }}"))
            .jetstream
            .encryption;
        assert_eq!(encryption.key.as_deref(), Some("a"));
        assert_eq!(encryption.key_before.as_deref(), Some("b"));
        assert_eq!(encryption.cipher, StoreCipher::Aes);
    }
    for cipher in ["chacha", "chachapoly"] {
        let js = options(&format!("jetstream {{ key: a, cipher: {cipher} }}")).jetstream;
        assert_eq!(js.encryption.cipher, StoreCipher::ChaCha);
    }
}

#[test]
fn configuration_of_an_event_bus_of_argo_events_is_served_and_encrypted() {
    let mut around = Fake::with_config(
        "max_payload: 1MB\nport: 4222\npid_file: \"/var/run/nats/nats.pid\"\nhttp: 8222\n\
         server_name: $POD_NAME\njetstream {\n  key: $JS_KEY\n  store_dir: \"/data/jetstream/store\"\n\
         max_memory_store: -1\n  max_file_store: 1TB\n}\nsystem_account: sys\n\
         accounts { js { jetstream: true, users: [{ user: a, password: b }] }, sys {} }\n\
         lame_duck_duration: 120s\n",
    );
    around.env.insert("POD_NAME", "eventbus-0");
    around.env.insert("JS_KEY", "from-the-secret");
    let map = parse_file("nats.conf", &mut around).expect("follows the grammar");
    let checked = check(&map, &mut around);
    assert_eq!(
        (checked.errors, checked.unsupported),
        ([].into(), [].into())
    );
    let key = checked.options.jetstream.encryption.key;
    assert_eq!(key.as_deref(), Some("from-the-secret"));
}

#[test]
fn what_would_leave_the_store_in_the_clear_by_mistake_is_refused() {
    for (text, error) in [
        ("key: a, cipher: foo", "Unknown cipher type: \"foo\""),
        (
            "key: 5",
            "interface conversion: interface {} is int64, not string",
        ),
        (
            "key: \"\"",
            "jetstream.key is empty: nothing would be encrypted",
        ),
    ] {
        let checked = checked(&format!("jetstream {{ {text} }}"));
        let [found] = checked.errors.as_slice() else {
            panic!("{text}: {:?}", checked.errors);
        };
        assert_eq!(found.reason, error, "{text}");
    }
}

//! Changes that are adopted and changes that are refused, as nats-server 2.15.1 tells them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{ReloadError, reload};
use crate::Options;
use crate::fake::Fake;
use crate::load::{Launch, load};
use crate::options::SignedAccount;

fn options(args: &[String], config: &str) -> Options {
    match load("nats-server", args, &mut Fake::with_config(config)) {
        Ok(Launch::Serve(setup)) => setup.options,
        other => panic!("{config}: {other:?}"),
    }
}

fn change_with(flags: &str, old: &str, new: &str) -> Result<Vec<String>, ReloadError> {
    let line = format!("-c nats.conf {flags}");
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    // A file must not be empty.
    let [old, new] = [old, new].map(|text| format!("ping_max: 2\n{text}"));
    let current = options(&args, &old);
    let mut around = Fake::with_config(&new);
    Ok(reload("nats-server", &args, &current, &mut around)?.notes)
}

fn change(old: &str, new: &str) -> Result<Vec<String>, String> {
    change_with("", old, new).map_err(|error| error.to_string())
}

#[test]
fn users_and_accounts_are_told_of_a_file_that_says_the_same() {
    let users = "authorization {users: [{user: a, password: b}]}";
    let notes = change(users, &format!("# A remark\n{users}"));
    let told = ["Reloaded: authorization users", "Reloaded: accounts"];
    assert_eq!(notes.expect("adopted"), told);
}

#[test]
fn users_and_accounts_count_as_changed_with_anything_else() {
    let notes = change("", "ping_interval: 5s").expect("adopted");
    assert_eq!(
        notes,
        [
            "Reloaded: authorization users",
            "Reloaded: accounts",
            "Reloaded: ping_interval = 5s"
        ]
    );
}

#[test]
fn proxies_that_come_and_go_are_named() {
    let (one, other) = (
        "UDVEU3DD4KOFECV66VIHWEZOYX4ZKR3WV27L464SIIPOU2IUI3JCYSJF",
        "UAJZR5RMNUNEK7CRXJVEWXZ5XUXWT7FJGILCDDOITF7EC26RPWJ4VH26",
    );
    let trusting = |key| format!("proxies {{ trusted = [ {{key: {key}}} ] }}");
    let notes = change(&trusting(one), &trusting(other)).expect("adopted");
    let told = [
        format!("Reloaded: proxies trusted keys [\"{one}\"] were removed"),
        format!("Reloaded: proxies trusted keys [\"{other}\"] were added"),
    ];
    assert_eq!(notes.get(2..), Some(told.as_slice()));
    // nats-server falls over when the block goes.
    let notes = change(&trusting(one), "").expect("adopted");
    assert_eq!(notes.get(2..), told.get(..1));
    let user = "user: a, password: b";
    let refused = change(
        &format!("authorization {{{user}}}"),
        &format!("authorization {{{user}, proxy_required: true}}"),
    );
    assert_eq!(
        refused.expect_err("refused"),
        "config reload not supported for ProxyRequired: old=false, new=true"
    );
}

#[test]
fn changes_are_told_in_nats_servers_order() {
    let new = "max_connections: 5\nmax_payload: 5000\ndebug: true\nping_max: 4\nlogtime_utc: true\n\
               trace: true\nclient_advertise: \"a:2\"\nmax_control_line: 2000\nwrite_deadline: 4s\n\
               max_traced_msg_len: 5\nserver_tags: [a]\nauthorization {token: x, timeout: 3}\n\
               ping_interval: 5s\npid_file: \"x.pid\"\nno_fast_producer_stall: true\n\
               server_metadata: {a: b}";
    let notes = change("", new).expect("adopted");
    assert_eq!(
        notes,
        [
            "Reload: client_advertise = a:2",
            "Reloaded: trace = true",
            "Reloaded: debug = true",
            "Reloaded: logtime_utc = true",
            "Reloaded: max_connections = 5",
            "Reloaded: authorization users",
            "Reloaded: accounts",
            "Reloaded: authorization token",
            "Reloaded: ping_interval = 5s",
            "Reloaded: ping_max = 4",
            "Reloaded: authorization timeout = 3",
            "Reloaded: max_control_line = 2000",
            "Reloaded: max_payload = 5000",
            "Reloaded: fast producers will not be stalled",
            "Reloaded: pid_file = x.pid",
            "Reloaded: write_deadline = 4s",
            "Reloaded: max_traced_msg_len = 5",
            "Reloaded: tags",
            "Reloaded: metadata",
        ]
    );
}

/// Changes a setting from one text to the other, and expects the reason for the refusal.
fn refuse(table: &[(&str, &str, &str)]) {
    for (old, new, expected) in table {
        let expected = format!("config reload not supported for {expected}");
        assert_eq!(change(old, new), Err(expected), "{old} -> {new}");
    }
}

#[test]
#[rustfmt::skip]
fn what_holds_for_the_life_of_the_process_is_refused_with_both_values() {
    refuse(&[
        ("", "port: 5", "Port: old=4222, new=5"),
        ("", "server_name: x", "ServerName: old=, new=x"),
        ("", "host: a", "Host: old=0.0.0.0, new=a"),
        ("", "max_subscriptions: 5", "MaxSubs: old=0, new=5"),
        ("", "max_pending: 10000000", "MaxPending: old=67108864, new=10000000"),
        ("", "lame_duck_duration: 40s", "LameDuckDuration: old=2m0s, new=40s"),
        ("", "lame_duck_grace_period: 5s", "LameDuckGracePeriod: old=10s, new=5s"),
        ("", "max_closed_clients: 5", "MaxClosedClients: old=10000, new=5"),
        ("", "no_header_support: true", "NoHeaderSupport: old=false, new=true"),
        ("", "http: 14997", "HTTPPort: old=0, new=14997"),
        ("", "http_base_path: \"/x\"", "HTTPBasePath: old=, new=/x"),
        ("", "no_system_account: true", "NoSystemAccount: old=false, new=true"),
        ("", "logfile_size_limit: 5000", "LogSizeLimit: old=0, new=5000"),
        ("", "feature_flags: {js_ack_fc_v2: true}", "FeatureFlags: old=map[], new=map[js_ack_fc_v2:true]"),
        ("authorization {users: [{user: a, password: b}]}",
         "authorization {users: [{user: a, password: b}]}\nno_auth_user: a",
         "NoAuthUser: old=, new=a"),
        ("accounts {A: {}}", "accounts {A: {}}\nsystem_account: A", "SystemAccount: old=, new=A"),
    ]);
}

#[test]
#[rustfmt::skip]
fn where_and_how_streams_are_stored_stays() {
    let js = "jetstream {store_dir: \"js\"}";
    let bounded = "jetstream {store_dir: \"js\", max_mem: 1G, max_file: 1G}";
    refuse(&[
        (js, "jetstream {store_dir: \"js2\"}", "jetstream storage directory"),
        (js, "jetstream {store_dir: \"js\", max_mem: 1G}", "jetstream dynamic max memory and store"),
        (bounded, "jetstream {store_dir: \"js\", max_mem: 1G, max_file: 5M}", "decreasing jetstream max memory and store"),
        (bounded, js, "jetstream max memory and max store"),
        (js, "jetstream {store_dir: \"js\", domain: x}", "JetStreamDomain: old=, new=x"),
        (js, "jetstream {store_dir: \"js\", sync_interval: always}", "SyncAlways: old=false, new=true"),
        (js, "jetstream {store_dir: \"js\", max_buffered_msgs: 50}", "StreamMaxBufferedMsgs: old=0, new=50"),
    ]);
}

#[test]
fn a_user_for_everybody_may_go_only_with_its_account() {
    let user = "authorization {users: [{user: a, password: b}]}";
    let old = format!("{user}\nno_auth_user: a");
    assert!(change(&old, "").is_ok());
    assert!(change(&old, user).is_err());
}

#[test]
#[rustfmt::skip]
fn each_part_of_tls_is_told_or_refused_by_itself() {
    let with = |more: &str| format!("tls {{cert_file: a, key_file: b, {more}}}");
    let same = with("");
    let told = |old: &str, new: &str| {
        let notes = change(old, new).expect("adopted");
        notes.iter().skip(2).map(|note| note.trim_start_matches("Reloaded: ").to_string()).collect::<Vec<_>>()
    };
    assert_eq!(told("", &same), ["authorization timeout = 3", "tls = enabled"]);
    assert_eq!(told(&same, ""), ["authorization timeout = 2", "tls = disabled"]);
    assert_eq!(told(&same, "tls {cert_file: c, key_file: b}"), ["tls = enabled"]);
    assert_eq!(
        told(&same, &with("ca_file: c, verify: true, timeout: 5, handshake_first: true")),
        ["authorization timeout = 6", "tls timeout = 5", "tls = enabled", "Client TLS handshake first: true"]
    );
    assert_eq!(
        told(&with("handshake_first: 10ms"), &with("handshake_first: auto")),
        ["Client TLS handshake first fallback delay: 50ms"]
    );
    // The same files under another name are the same.
    assert_eq!(told(&same, "tls {certs: [{cert_file: a, key_file: b}]}"), Vec::<String>::new());
    refuse(&[
        (&with("ca_file: c"), &with("ca_file: c, verify_and_map: true"), "TLSMap: old=false, new=true"),
        (&same, &with("connection_rate_limit: 3"), "TLSRateLimit: old=0, new=3"),
    ]);
}

#[test]
fn accounts_that_were_fetched_are_known_after_a_reload() {
    let key = "ODCYNRX5XGH75DKMSW6IY7XZIJQRNUMKXPXXQMPTPWXHCK5HFLKFP6GN";
    let text = format!("trusted_keys: [{key}]\nresolver: URL(http://h)\n");
    let args = ["-c", "nats.conf"].map(String::from);
    let mut current = options(&args, &text);
    let operators = current.operators.as_mut().expect("operator mode");
    operators.accounts.insert(
        "A".to_string(),
        SignedAccount {
            name: "acme".to_string(),
            issuer: key.to_string(),
            issued: 0,
            token: String::new(),
            expires: 0,
            claims: Box::default(),
        },
    );
    let mut around = Fake::with_config(&format!("{text}ping_max: 5"));
    let fresh = reload("nats-server", &args, &current, &mut around).expect("adopted");
    assert_eq!(fresh.setup.options.account_label("A"), "acme");
    assert_eq!(fresh.setup.options.accounts.len(), 1);
}

#[test]
fn storage_limits_may_rise() {
    let notes = change(
        "jetstream {max_mem: 1G, max_file: 1G}",
        "jetstream {max_mem: 2G, max_file: 2000}",
    );
    assert!(notes.is_err(), "one of them falls");
    let notes = change(
        "jetstream {max_mem: 1G, max_file: 1G}",
        "jetstream {max_mem: 2G, max_file: 2G}",
    );
    let notes = notes.expect("adopted");
    assert!(notes.contains(&"Reloaded: JetStream max_mem_store = 1.86 GB".to_string()));
    assert!(notes.contains(&"Reloaded: JetStream max_file_store = 1.86 GB".to_string()));
}

#[test]
fn streams_may_come_and_go_and_lie_elsewhere_afterwards() {
    let js = "jetstream {store_dir: js, max_mem: 1G, max_file: 1G}";
    let note = "Reloaded: JetStream".to_string();
    for (old, new) in [
        (js, ""),
        (js, "jetstream: false"),
        ("", js),
        ("", "jetstream: true"),
        ("jetstream {enabled: false, store_dir: a}", js),
    ] {
        let notes = change(old, new).expect("adopted");
        assert!(notes.contains(&note), "{old} to {new}: {notes:?}");
        let limits = notes.iter().any(|note| note.contains("max_"));
        assert!(
            !limits,
            "of limits only what changes in service is told: {notes:?}"
        );
    }
    refuse(&[("jetstream {domain: x}", "", "JetStreamDomain: old=x, new=")]);
}

#[test]
fn flags_and_random_ports_stay_as_they_are() {
    let notes = change_with("-p 14999 -D", "", "port: 5\ndebug: false").expect("adopted");
    let told = ["Reloaded: authorization users", "Reloaded: accounts"];
    assert_eq!(notes, told);
    assert!(change("port: 4000", "port: -1\nmax_payload: 1000").is_ok());
}

#[test]
fn a_server_without_a_file_has_nothing_to_read() {
    let args = ["-p".to_string(), "4222".to_string()];
    let current = options(&args, "");
    let refused = reload("nats-server", &args, &current, &mut Fake::default());
    assert!(matches!(refused, Err(ReloadError::NoFile)), "{refused:?}");
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let refused = change("", "bogus: 1").expect_err("unknown");
    assert!(refused.ends_with("unknown field \"bogus\""), "{refused}");
}

#[test]
#[rustfmt::skip]
fn what_has_no_effect_yet_is_compared_all_the_same() {
    refuse(&[
        ("", "prof_port: 5", "ProfPort: old=0, new=5"),
        ("", "write_timeout: close", "WriteTimeout: old=, new=close"),
        ("jetstream {}", "jetstream {max_outstanding_catchup: 1M}", "JetStreamMaxCatchup: old=0, new=1000000"),
        ("jetstream {}", "jetstream {max_concurrent_io: 10}", "JetStreamConcurrentIOs: old=4096, new=10"),
        ("jetstream {}", "jetstream {extension_hint: x}", "JetStreamExtHint: old=, new=x"),
    ]);
    let notes = change("", "prof_block_rate: 5\nconnect_error_reports: 6\nreconnect_error_reports: 7\nocsp: false").expect("adopted");
    let told = [
        "Reloaded: prof_block_rate = 5",
        "Reloaded: connect_error_reports = 6",
        "Reloaded: reconnect_error_reports = 7",
        "Reloaded: OCSP",
    ];
    assert_eq!(notes.get(2..), Some(told.map(String::from).as_slice()));
    assert!(change("", "write_timeout: default").is_ok());
    assert!(change("jetstream {max_concurrent_io: 10}", "").is_ok(), "streams go");
}

#[test]
#[rustfmt::skip]
fn another_cipher_is_told_and_another_key_only_by_its_name() {
    refuse(&[
        ("jetstream {key: a}", "jetstream {key: a, cipher: aes}", "JetStreamCipher: old=ChaCha20-Poly1305, new=AES-GCM"),
        ("jetstream {}", "jetstream {key: a}", "JetStreamKey: old=, new=[REDACTED]"),
        ("jetstream {key: a}", "jetstream {key: b}", "JetStreamKey: old=[REDACTED], new=[REDACTED]"),
        ("jetstream {key: a}", "jetstream {key: a, prev_key: b}", "JetStreamOldKey: old=, new=[REDACTED]"),
    ]);
}

#[test]
#[rustfmt::skip]
fn blocks_are_shown_whole_where_they_may_not_change() {
    let gateway = "{g 0.0.0.0 9   2 <nil> 2 false false map[]  0 false [] false 0s  <nil> 0 <nil>}";
    let mqtt = "{0.0.0.0 9      0 0 false 0s 0 <nil> false 2 map[] 0s 0s 0 <nil> false false}";
    let websocket = "{0.0.0.0 9          0 true <nil> false map[] false [] false 0s 0s map[] <nil>}";
    refuse(&[
        ("gateway {name: g, port: 9}", "gateway {name: g, port: 9, authorization {user: a, password: b}}",
         &format!("Gateway: old={gateway}, new={{g 0.0.0.0 9 a [REDACTED] 2 <nil> 2 false false map[]  0 false [] false 0s  <nil> 0 <nil>}}")),
        ("", "gateway {name: g, port: 9}",
         &format!("Gateway: old={{  0   0 <nil> 0 false false map[]  0 false [] false 0s  <nil> 0 <nil>}}, new={gateway}")),
        ("jetstream {}", "jetstream {}\nmqtt {port: 9}",
         &format!("MQTT: old={{ 0      0 0 false 0s 0 <nil> false 0 map[] 0s 0s 0 <nil> false false}}, new={mqtt}")),
        ("websocket {port: 9, no_tls: true}", "websocket {port: 9, no_tls: true, compression: true, headers {X: y}}",
         &format!("Websocket: old={websocket}, new={{0.0.0.0 9          0 true <nil> false map[] false [] true 0s 0s map[X:y] <nil>}}")),
        ("", "cluster {name: c, port: 9}", "cluster host: old=, new=0.0.0.0"),
        ("cluster {name: c, port: 9}", "cluster {name: c, port: 8}", "cluster port: old=9, new=8"),
        ("leafnodes {port: 9}", "leafnodes {port: 9, reconnect: '3s'}", "LeafNode: field \"ReconnectInterval\": old=1s, new=3s"),
        ("leafnodes {port: 9, tls {cert_file: a, key_file: b}}", "leafnodes {port: 9}", "LeafNode: field \"AuthTimeout\": old=3, new=2"),
    ]);
}

#[test]
fn what_may_change_of_blocks_is_told() {
    let told = |old: &str, new: &str| change(old, new).expect("adopted").split_off(2);
    let cluster = "cluster {name: c, port: 9}";
    assert_eq!(
        told(cluster, "cluster {name: c, port: 9, accounts: ['$SYS']}"),
        [""; 0]
    );
    assert_eq!(
        told(cluster, "cluster {name: d, port: 9}"),
        ["Cluster name updated to d", "Reloaded: cluster"]
    );
    assert_eq!(
        told(
            "leafnodes {port: 9}",
            "leafnodes {port: 9, compression: s2_fast}"
        ),
        ["Reloaded: LeafNode Compression value is: {s2_fast []}"]
    );
    let mqtt = |more: &str| format!("jetstream {{}}\nmqtt {{port: 9, {more}}}");
    assert_eq!(
        told(&mqtt(""), &mqtt("ack_wait: 5s")),
        [
            "Reloaded: MQTT ack_wait = 5s",
            "Reloaded: MQTT max_ack_pending = 0",
            "Reloaded: MQTT stream_replicas = 0",
            "Reloaded: MQTT consumer_replicas = 0",
            "Reloaded: MQTT consumer_memory_storage = false",
            "Reloaded: MQTT consumer_inactive_threshold = 0s",
        ]
    );
}

#[test]
#[rustfmt::skip]
fn another_system_account_is_refused_before_it_is_looked_for() {
    let accounts = "accounts {$SYS {}, A {}}";
    refuse(&[
        (accounts, "accounts {$SYS {}, A {}}\nsystem_account: A", "SystemAccount: old=$SYS, new=A"),
        (accounts, "accounts {$SYS {}, A {}}\nsystem_account: Z", "SystemAccount: old=$SYS, new=Z"),
    ]);
    assert!(change("system_account: '$SYS'", accounts).is_ok());
}

//! The keys that each release of nats-server has brought, in configurations that 2.15.1 takes.

use alloc::vec::Vec;

use super::checked;

/// Each release with what it brought; the keys below `jetstream`, `leafnodes` and `cluster` are those of
/// listeners and remotes that are opened or refused by other rules.
const RELEASES: [(&str, &str); 5] = [
    (
        "2.10",
        r#"
        logfile_max_num: 5
        logtime_utc: true
        jetstream { key: k, prev_key: j, cipher: aes, sync_interval: "1m" }
        cluster {
          name: c, port: -1, pool_size: 3, accounts: [A]
          compression: {mode: s2_auto, rtt_thresholds: [10ms, 50ms]}
        }
        leafnodes { port: -1, compression: s2_fast }
        ocsp_cache: false
        "#,
    ),
    (
        "2.11",
        r#"
        accounts {
          A {
            users: [{user: a, password: p}]
            exports: [{service: s, allow_trace: true}, {stream: x}]
            msg_trace: {dest: t, sampling: 50}
            jetstream: {cluster_traffic: owner}
          }
          B {
            users: [{user: b, password: p}]
            imports: [
              {service: {account: A, subject: s}}
              {stream: {account: A, subject: x}, allow_trace: true}
            ]
          }
        }
        max_closed_clients: 5000
        no_fast_producer_stall: true
        prof_block_rate: 1
        jetstream {
          strict: true, request_queue_limit: 5000, max_buffered_msgs: 100, max_buffered_size: 1MB
        }
        websocket {
          port: -1, no_tls: true
          user_cookie: u, pass_cookie: p, token_cookie: t, headers: {X-A: b}
        }
        leafnodes { remotes: [{url: "nats://127.0.0.1:1", account: A, first_info_timeout: 2s}] }
        mqtt { reject_qos2_publish: true, downgrade_qos2_subscribe: true }
        "#,
    ),
    (
        "2.12",
        r#"
        jetstream { limits { batch {
          max_inflight_per_stream: 10, max_inflight_total: 100, max_msgs: 50, timeout: 5s
        } } }
        server_metadata { rack: r }
        trace_headers: true
        cluster { name: c, port: -1, connect_backoff: true, connect_retries: 1 }
        leafnodes {
          port: -1, isolate_leafnode_interest: true
          remotes: [{url: "nats://127.0.0.1:1", request_isolation: true}]
        }
        "#,
    ),
    (
        "2.14",
        r#"
        feature_flags { js_ack_fc_v2: true }
        jetstream {
          info_queue_limit: 10, meta_compact: 10, meta_compact_size: 1MB, meta_compact_sync: true
        }
        write_timeout: close
        leafnodes { remotes: [{
          url: "nats://127.0.0.1:1", ignore_discovered_servers: true
          proxy: {url: "http://127.0.0.1:2", timeout: 1s}
        }] }
        "#,
    ),
    (
        "2.15",
        r#"
        jetstream { limits { default_max_consumers: 100 }, max_concurrent_io: 4 }
        leaf { remotes: [{url: "nats://127.0.0.1:1", dial_timeout: 2s}] }
        "#,
    ),
];

#[test]
fn keys_that_each_release_brought_are_known() {
    for (release, config) in RELEASES {
        let errors: Vec<_> = checked(config).errors;
        assert_eq!(errors, [], "{release}");
    }
}

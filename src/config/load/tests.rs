//! The ways in, and what wins over what.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use identity::{KeyKind, KeyPair};

use super::{Launch, LaunchError, Setup, load};
use crate::fake::Fake;
use crate::options::Rest;

fn run(program: &str, line: &str, around: &mut Fake) -> Result<Launch, LaunchError> {
    let args: Vec<String> = line.split_whitespace().map(String::from).collect();
    load(program, &args, around)
}

fn serve(line: &str, config: &str) -> Setup {
    match run("nats-server", line, &mut Fake::with_config(config)) {
        Ok(Launch::Serve(setup)) => *setup,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str, config: &str) -> String {
    match run("nats-server", line, &mut Fake::with_config(config)) {
        Err(error) => error.to_string(),
        Ok(launch) => panic!("{line}: {launch:?}"),
    }
}

#[test]
fn flags_win_over_the_file() {
    let setup = serve(
        "-c nats.conf -p 5555 -DV --user u --pass p",
        "port: 4333\nhost: localhost\nping_max: 7",
    );
    let listen = setup.options.listen.expect("on");
    assert_eq!((listen.host.as_str(), listen.port), ("localhost", 5555));
    assert_eq!(setup.options.ping_max, 7);
    assert!(setup.options.logging.debug && setup.options.logging.trace);
    assert_eq!(setup.options.auth.user.as_deref(), Some("u"));
}

#[test]
fn check_takes_the_key_of_a_store_from_the_server_s_configuration() {
    let config = "jetstream { store_dir: x, key: secret, cipher: aes }";
    for line in [
        "check --config nats.conf dir",
        "check dir -c nats.conf",
        "-c nats.conf check dir",
    ] {
        let launched = run("beale", line, &mut Fake::with_config(config));
        let Ok(Launch::CheckStore(check)) = launched else {
            panic!("{line}: {launched:?}");
        };
        assert_eq!(check.directory, "dir", "{line}");
        assert_eq!(check.encryption.key.as_deref(), Some("secret"), "{line}");
    }
    let unfinished = run("beale", "check dir --config", &mut Fake::default());
    assert!(matches!(unfinished, Err(LaunchError::CheckUsage)));
}

#[test]
fn monitoring_is_bound_where_clients_are() {
    let setup = serve("-a 127.0.0.1 -m -1", "");
    let http = setup.options.http.expect("on");
    assert_eq!((http.host.as_str(), http.port), ("127.0.0.1", 0));
}

#[test]
fn without_arguments_it_is_what_memphis_users_expect() {
    let Ok(Launch::Serve(setup)) = run("beale", "", &mut Fake::default()) else {
        panic!("serves")
    };
    let options = setup.options;
    let memphis = options.memphis.expect("on");
    assert_eq!(memphis.listen.to_string(), "127.0.0.1:6666");
    assert_eq!(memphis.root_password, "memphis");
    assert_eq!(memphis.connection_token.as_deref(), Some("memphis"));
    let Rest {
        management,
        gateway,
        websocket,
        ..
    } = memphis.rest;
    assert_eq!(management.expect("on").to_string(), "127.0.0.1:9000");
    assert_eq!(gateway.expect("on").to_string(), "127.0.0.1:4444");
    assert_eq!(websocket.expect("on").to_string(), "127.0.0.1:7770");
    assert_eq!(options.listen, None);
    assert_eq!(options.http.expect("on").to_string(), "127.0.0.1:8222");
    assert_eq!(
        options.jetstream.directory("/tmp"),
        "./beale-data/jetstream"
    );
    assert!(options.jetstream.enabled);
}

#[test]
fn without_arguments_a_password_of_ones_own_opens_all_interfaces() {
    let mut around = Fake::default();
    around.env.insert("ROOT_PASSWORD", "s3cret");
    let Ok(Launch::Serve(setup)) = run("beale", "", &mut around) else {
        panic!("serves")
    };
    let memphis = setup.options.memphis.expect("on");
    assert_eq!(memphis.listen.to_string(), "0.0.0.0:6666");
    assert_eq!(memphis.root_password, "s3cret");
    assert_eq!(memphis.connection_token, None);
}

#[test]
fn under_the_name_nats_server_no_arguments_mean_nats_servers_defaults() {
    let setup = serve("", "");
    assert_eq!(setup.options.memphis, None);
    assert_eq!(setup.options.listen.expect("on").port, 4222);
}

#[test]
fn memphis_beside_nats_serves_both() {
    let setup = serve("--memphis -p 4333", "");
    assert_eq!(setup.options.listen.expect("on").port, 4333);
    assert_eq!(setup.options.memphis.expect("on").listen.port, 6666);
    assert!(setup.options.jetstream.enabled);
}

#[test]
fn ports_of_memphis_over_http_are_flags_too() {
    let setup = serve("--ui_port 9001 --rest_gw_port 4445", "");
    let rest = setup.options.memphis.expect("on").rest;
    let shown = |listen: Option<crate::options::Listen>| listen.map(|listen| listen.to_string());
    assert_eq!(shown(rest.management).as_deref(), Some("127.0.0.1:9001"));
    assert_eq!(shown(rest.gateway).as_deref(), Some("127.0.0.1:4445"));
    let setup = serve(
        "-c nats.conf --ui_port 0",
        "memphis { ui_port: 9000, rest_gw_port: 4444 }",
    );
    let rest = setup.options.memphis.expect("on").rest;
    assert_eq!(rest.management, None, "off after all");
    assert_eq!(shown(rest.gateway).as_deref(), Some("127.0.0.1:4444"));
}

#[test]
fn version_and_help_are_printed_by_flag_and_by_word() {
    for line in ["-v", "--version", "version", "-p 1 version"] {
        let Ok(Launch::Print(text)) = run("nats-server", line, &mut Fake::default()) else {
            panic!("{line}")
        };
        assert_eq!(text, "nats-server: v2.15.1\n");
    }
    let Ok(Launch::Print(text)) = run("beale", "-v", &mut Fake::default()) else {
        panic!("prints")
    };
    assert_eq!(text, "beale: v0.1.0 (nats-server v2.15.1)\n");
    assert!(matches!(
        run("beale", "help", &mut Fake::default()),
        Ok(Launch::Print(text)) if text.starts_with("\nUsage: beale ")
    ));
}

#[test]
fn checking_a_file_reports_its_digest() {
    let mut around = Fake::with_config("port: 4222");
    let Ok(Launch::Report(text)) = run("nats-server", "-t -c nats.conf", &mut around) else {
        panic!("valid")
    };
    assert_eq!(
        text,
        "nats-server: configuration file nats.conf is valid \
         (sha256:797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e)\n"
    );
}

#[test]
fn what_cannot_be_done_is_told_as_nats_server_tells_it() {
    let table = [
        ("zzz", "", "unrecognized command: \"zzz\""),
        (
            "-t",
            "",
            "must specify [-c, --config] option to check configuration file syntax",
        ),
        (
            "-c nope.conf",
            "",
            "open nope.conf: no such file or directory",
        ),
        (
            "-c nats.conf",
            "max_pending: 100",
            "max_payload (1048576) cannot be higher than max_pending (100)",
        ),
        (
            "-c nats.conf",
            "no_auth_user: zz",
            "no_auth_user: \"zz\" present, but users/nkeys are not defined",
        ),
        (
            "-c nats.conf",
            "system_account: Q",
            "error resolving system account: account missing",
        ),
        (
            "-t -c nats.conf",
            "ping_interval: 5",
            "nats.conf:1:0: invalid use of field \"ping_interval\": ping_interval should be converted to a duration",
        ),
        (
            "--tls",
            "",
            "TLS Server certificate must be present and valid",
        ),
        (
            "--routes nats://127.0.0.1:1",
            "",
            "solicited routes require cluster capabilities, e.g. --cluster",
        ),
        (
            "-c nats.conf",
            "operator: x.jwt",
            "nats.conf:1:0: error parsing operator JWT: open x.jwt: no such file or directory",
        ),
    ];
    for (line, config, expected) in table {
        assert_eq!(error(line, config), expected, "{line} {config}");
    }
}

#[test]
fn signals_are_taken_apart() {
    let launch = run("nats-server", "--signal ldm=123", &mut Fake::default());
    assert!(matches!(
        launch,
        Ok(Launch::Signal { command, target: Some(target) }) if command == "ldm" && target == "123"
    ));
}

#[test]
fn tls_can_be_switched_off_by_a_flag_and_on_by_its_files() {
    let config = "tls { cert_file: c, key_file: k }";
    assert!(serve("-c nats.conf", config).options.tls.is_some());
    assert_eq!(serve("-c nats.conf --tls=false", config).options.tls, None);
    let tls = serve("--tlsverify --tlscert c --tlskey k --tlscacert a", "");
    let tls = tls.options.tls.expect("on");
    assert_eq!(
        (tls.certs.len(), tls.verify, tls.ca_file),
        (1, true, Some("a".into()))
    );
}

#[test]
fn a_gateway_that_lacks_something_ends_the_start() {
    for (block, expected) in [
        ("{port: 5}", "gateway has no name"),
        (
            "{name: A}",
            "gateway \"A\" has no port specified (select -1 for random port)",
        ),
        (
            "{name: A, port: 5, gateways: [{url: \"nats://b:1\"}]}",
            "gateway in the list 0 has no name",
        ),
        (
            "{name: A, port: 5, gateways: [{name: B}]}",
            "gateway \"B\" has no URL",
        ),
    ] {
        let config = format!("gateway {block}");
        assert_eq!(error("-c nats.conf", &config), expected, "{block}");
        assert!(
            run(
                "nats-server",
                "-t -c nats.conf",
                &mut Fake::with_config(&config)
            )
            .is_ok()
        );
    }
}

#[test]
fn operator_mode_that_does_not_fit_is_told_in_nats_servers_words() {
    let operator = KeyPair::from_entropy(KeyKind::Operator, [1; 32]).public();
    let account = KeyPair::from_entropy(KeyKind::Account, [2; 32]).public();
    let table = [
        (
            "".to_string(),
            "operators require an account resolver to be configured".to_string(),
        ),
        (
            "resolver: MEM\naccounts { A {} }".to_string(),
            "operators do not allow Accounts to be configured directly".to_string(),
        ),
        (
            "resolver: MEM\nauthorization { users: [{user: u, password: p}] }".to_string(),
            "operators do not allow users to be configured directly".to_string(),
        ),
        (
            "resolver: MEM\ndefault_sentinel: x".to_string(),
            "default sentinel JWT not valid".to_string(),
        ),
        (
            format!("resolver: MEM\nresolver_preload {{ {account}: \"eyJ.a.b\" }}"),
            "nats.conf:3:20: invalid account JWT".to_string(),
        ),
    ];
    for (more, expected) in table {
        let config = format!("trusted_keys: {operator}\n{more}\n");
        let told = error("-c nats.conf", &config);
        assert!(
            told.starts_with(expected.split(": expected").next().unwrap_or_default()),
            "{told}"
        );
    }
    // A key of another kind cannot sign accounts.
    let told = error(
        "-c nats.conf",
        &format!("trusted_keys: {account}\nresolver: MEM\n"),
    );
    let expected = format!(
        "nats.conf:1:0: trust key \"{account}\" required to be a valid public operator nkey"
    );
    assert_eq!(told, expected);
}

#[test]
fn names_and_addresses_that_can_be_none_end_the_start() {
    for (line, why) in [
        ("-n a,b", "server name cannot contain spaces"),
        ("--cluster_name a,b", "cluster name cannot contain spaces"),
        ("--cluster bad", "missing port in address"),
        ("--cluster nats://h", "address h: missing port in address"),
        (
            "--cluster_listen 127.0.0.1:1",
            "parse \"127.0.0.1:1\": first path segment in URL cannot contain colon",
        ),
        ("-sl stop=1=2", "invalid signal parameters: [2]"),
        (
            "--tlsverify=false",
            "TLS Server certificate must be present and valid",
        ),
        (
            "-c nats.conf -sd y",
            "nats.conf:1:0: Duplicate 'store_dir' configuration",
        ),
    ] {
        // A comma stands for a space.
        let words = line.split(' ').map(|word| word.replace(',', " "));
        let args: Vec<String> = words.collect();
        let mut around = Fake::with_config("store_dir: x");
        let refused = load("nats-server", &args, &mut around);
        assert_eq!(refused.expect_err(line).to_string(), why);
    }
}

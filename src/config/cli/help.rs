//! What `-h`, `-v` and `--help_tls` print.

use alloc::format;
use alloc::string::String;

/// The nats-server version whose behaviour and API level are implemented.
pub const NATS_VERSION: &str = "2.15.1";

/// The program's own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The name under which the program behaves as nats-server in everything it prints.
pub const NATS_SERVER: &str = "nats-server";

pub(crate) fn version(program: &str) -> String {
    if program == NATS_SERVER {
        format!("{program}: v{NATS_VERSION}\n")
    } else {
        format!("{program}: v{VERSION} ({NATS_SERVER} v{NATS_VERSION})\n")
    }
}

pub(crate) fn usage(program: &str) -> String {
    format!("\nUsage: {program} [options]\n{USAGE}")
}

const USAGE: &str = "
Server:
    -a, --addr, --net <host>         Address to listen on (default: 0.0.0.0)
    -p, --port <port>                Port for clients (default: 4222; -1: any free port)
    -n, --name, --server_name <name> Name of the server (default: its id)
    -P, --pid <file>                 Write the process id to this file
    -m, --http_port <port>           Serve monitoring on this port
    -ms,--https_port <port>          Serve monitoring over TLS on this port
    -c, --config <file>              Read the configuration from this file
    -t                               Check the configuration file and exit
    -sl,--signal <signal>[=<pid>]    Signal a running server: ldm, stop, quit, term, reopen, reload;
                                     <pid> is a process id or the path of a pid file
        --client_advertise <addr>    Address to tell clients about
        --ports_file_dir <dir>       Write the ports in use to <program>_<pid>.ports in this directory
        --memphis                    Serve Memphis SDKs too (port 6666)
        --ui_port <port>             The same, and Memphis' management API on this port
        --rest_gw_port <port>        The same, and Memphis' REST gateway on this port

Logging:
    -l, --log <file>                 Log to this file
    -T, --logtime                    Begin lines with the time (default: true)
        --logtime_utc                Has no effect: that time is in UTC anyway
    -s, --syslog                     Log to syslog
    -r, --remote_syslog <addr>       Log to this syslog server
    -D, --debug                      Log debugging output
    -V, --trace                      Log protocol traffic
    -VV                              The same with the system account's traffic
    -DV, -DVV                        -D with -V or -VV
        --log_size_limit <bytes>     Rotate the log file at this size
        --max_traced_msg_len <len>   Cut traced messages at this length

JetStream:
    -js, --jetstream                 Serve streams and consumers
    -sd, --store_dir <dir>           Directory to store them in

Who may connect:
        --user <user>                User that clients must give
        --pass <password>            Password that clients must give
        --auth <token>               Token that clients must give

TLS:
        --tls                        Serve clients over TLS
        --tlscert <file>             The server's certificate
        --tlskey <file>              The private key of that certificate
        --tlsverify                  Serve over TLS and check clients' certificates
        --tlscacert <file>           Authorities that clients' certificates are checked against

Cluster:
        --routes <url,url>           Servers to connect to
        --cluster, --cluster_listen <url>
                                     Address to listen on for other servers
        --cluster_name <name>        Name of the cluster
        --no_advertise               Do not tell clients about other servers
        --cluster_advertise <addr>   Address to tell other servers about
        --connect_retries <n>        Attempts to connect to servers learnt from others

Other:
        --profile <port>             Port for profiling
    -h, --help                       Print this text
    -v, --version                    Print the version
        --help_tls                   Print how TLS is configured

Started without options, it serves Memphis SDKs and NATS clients on port 6666, user root, password
memphis (or ROOT_PASSWORD), stores in ./beale-data, and serves monitoring on port 8222, Memphis'
management API on port 9000, its REST gateway on port 4444 and its WebSockets
on port 7770.
";

pub(crate) const TLS: &str = "
TLS is configured in a block of the configuration file:

    tls {
        cert_file: \"server-cert.pem\"    # certificate chain
        key_file:  \"server-key.pem\"     # its private key
        ca_file:   \"ca.pem\"             # authorities for clients' certificates
        verify:    true                 # clients must show a certificate
        timeout:   2                    # seconds a handshake may take
    }
";

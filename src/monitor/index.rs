//! `/`: links to all documents.

use alloc::format;
use alloc::string::String;

use config::{NATS_VERSION, VERSION};

const LINKS: [(&str, &str); 13] = [
    ("varz", "General"),
    ("jsz", "JetStream"),
    ("connz", "Connections"),
    ("accountz", "Accounts"),
    ("accstatz", "Account statistics"),
    ("subsz", "Subscriptions"),
    ("routez", "Routes"),
    ("leafz", "Leaf nodes"),
    ("gatewayz", "Gateways"),
    ("raftz", "Raft groups"),
    ("healthz", "Health"),
    ("debug/vars", "Variables"),
    ("metrics", "Prometheus metrics"),
];

pub(crate) fn page() -> String {
    let links = LINKS.iter().fold(String::new(), |mut out, (path, title)| {
        out.push_str(&format!(
            "    <li><a href=./{path}>{title} <code>/{path}</code></a></li>\n"
        ));
        out
    });
    format!(
        "<!doctype html>\n<html lang=\"en\">\n  <head><title>Beale</title></head>\n  <body>\n    \
         <h1>Beale {VERSION}</h1>\n    <p>nats-server {NATS_VERSION}</p>\n    <ul>\n{links}    \
         </ul>\n  </body>\n</html>\n"
    )
}

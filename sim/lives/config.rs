//! How the server of a run is configured: an account with streams, and another that copies from it as
//! long as it may.

use std::rc::Rc;

use broker::{Room, ShardOptions};
use config::fake::Fake;
use config::{Launch, Options, load};
use protocol::time::Now;
use schemas::Languages;

use crate::explorer::small_files;

/// Whether the second account may reach the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bridge {
    Open,
    Cut,
}

/// What the second account takes from the first.
const IMPORTS: &str = "imports = [
    {service: {account: P, subject: \"$JS.API.>\"}, to: \"js.p.>\"}
    {service: {account: P, subject: \"$JS.FC.>\"}}
    {stream: {account: P, subject: \"deliver.c.>\"}}
]";

/// Returns what is configured.
pub(super) fn configured(bridge: Bridge) -> Options {
    let imports = match bridge {
        Bridge::Open => IMPORTS,
        Bridge::Cut => "",
    };
    let text = format!(
        "jetstream {{ store_dir: \"store\", max_file_store: 1GB, max_memory_store: 1GB }}
        accounts {{
          P {{
            jetstream: enabled
            users = [ {{user: p, password: x}} ]
            exports = [ {{service: \"$JS.API.>\", response: stream}}, {{service: \"$JS.FC.>\"}},
                        {{stream: \"deliver.c.>\"}} ]
          }}
          C {{
            jetstream: enabled
            users = [ {{user: c, password: x}} ]
            {imports}
          }}
        }}"
    );
    let args = ["-c".to_owned(), "nats.conf".to_owned()];
    match load("nats-server", &args, &mut Fake::with_config(&text)) {
        Ok(Launch::Serve(setup)) => setup.options,
        other => panic!("the configuration is no configuration: {other:?}"),
    }
}

pub(super) fn options(now: Now, bridge: Bridge) -> ShardOptions {
    ShardOptions {
        secret: [5; 32],
        config: configured(bridge),
        version: "0.0.0".into(),
        start: now,
        store: small_files(),
        schemas: Rc::new(Languages),
        room: Room::UNLIMITED,
    }
}

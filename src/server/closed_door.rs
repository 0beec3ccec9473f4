//! Listeners for other servers and other protocols that are not served yet: whoever comes is told so
//! and sent away.
//!
//! *Invariant:* a visitor costs one short write, and one line in the log however many come.

use core::time::Duration;
use std::rc::Rc;

use broker::Level;
use config::options::Peers;
use tokio::io::AsyncWriteExt;

use crate::driver::Driver;
use crate::net::Net;

/// How long a visitor may take to hear the reason.
const TELL_MAX: Duration = Duration::from_secs(1);
/// How long accepting rests when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What visitors are called in the log.
fn name(peers: Peers) -> &'static str {
    match peers {
        Peers::Cluster => "routes of a cluster",
        Peers::Gateway => "gateways",
        Peers::LeafNodes => "leaf nodes",
        Peers::Mqtt => "MQTT clients",
    }
}

/// What visitors are told, in their own protocol.
fn answer(peers: Peers) -> &'static [u8] {
    match peers {
        Peers::Cluster => b"-ERR 'Routes are not supported'\r\n",
        Peers::Gateway => b"-ERR 'Gateways are not supported'\r\n",
        Peers::LeafNodes => b"-ERR 'Leaf nodes are not supported'\r\n",
        // CONNACK with the return code "server unavailable".
        Peers::Mqtt => &[0x20, 0x02, 0x00, 0x03],
    }
}

/// Sends everybody away, for ever.
pub(crate) async fn turn_away<N: Net>(driver: Rc<Driver>, listener: N::Listener, peers: Peers) {
    let mut told = false;
    loop {
        let Ok((mut stream, peer)) = N::accept(&listener).await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        if !core::mem::replace(&mut told, true) {
            let name = name(peers);
            let text = format!("{peer} was refused, as all {name} are: they are not supported yet");
            driver.log(Level::Warn, text);
        }
        let tell = async {
            stream.write_all(answer(peers)).await?;
            stream.shutdown().await
        };
        // Who does not listen to the reason goes without it.
        drop(tokio::time::timeout(TELL_MAX, tell).await);
    }
}

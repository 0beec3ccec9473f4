//! The header with which a load balancer may tell where a connection comes from.
//!
//! *Invariant:* what is no header is left to whoever reads next; a header that does not come in time, or that
//! is wrong, ends the connection.

use core::time::Duration;
use std::io;

use broker::{ConnId, Gone};
use protocol::proxy::{Header, header};
use tokio::io::AsyncRead;

use crate::driver::Driver;
use crate::tls::Peeked;

/// How long a header may take, or a client's first bytes where one may come.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection has begun with.
type Read = Result<Header, Option<String>>;

/// Takes a header off a connection's beginning; false if that ends it.
pub(crate) async fn take_origin<S>(driver: &Driver, id: ConnId, stream: &mut Peeked<S>) -> bool
where
    S: AsyncRead + Unpin,
{
    let read = tokio::time::timeout(HEADER_TIMEOUT, look(stream));
    let read = tokio::select! {
        biased;
        // What is left to say is written by whoever goes on.
        () = driver.wait_closing(id) => return true,
        read = read => read.unwrap_or_else(|_| {
            Err(Some("failed to read protocol version: i/o timeout".to_owned()))
        }),
    };
    match read {
        Ok(Header::Whole { origin, len }) => {
            stream.skip(len);
            driver.origin(id, origin);
        }
        Ok(Header::Absent | Header::Incomplete) => driver.origin(id, None),
        Err(why) => {
            driver.no_origin(id, why.as_deref());
            driver.closed(id, Gone::Told);
            return false;
        }
    }
    true
}

/// Reads until it is clear what a connection begins with.
///
/// # Errors
/// What is wrong with it; nothing if the peer has left without a word.
async fn look<S: AsyncRead + Unpin>(stream: &mut Peeked<S>) -> Read {
    loop {
        let seen = stream.seen();
        match header(seen).map_err(|error| Some(error.to_string()))? {
            Header::Incomplete => {}
            known @ (Header::Absent | Header::Whole { .. }) => return Ok(known),
        }
        let unexpected = !seen.is_empty();
        let ended = || "failed to read protocol version: unexpected EOF".to_owned();
        match stream.peek_more().await {
            Ok(true) => {}
            Ok(false) => return Err(unexpected.then(ended)),
            Err(error) => return Err(unexpected.then(|| told(&error))),
        }
    }
}

fn told(error: &io::Error) -> String {
    format!("failed to read protocol version: {error}")
}

//! HTTP on the driver's thread: a listener's connections, and reading what they ask with bounds.
//!
//! *Invariant:* what comes in is bounded: so many connections per site, [`HEAD_TIMEOUT`] for a
//! request's head, and a size and [`BODY_TIMEOUT`] for a body.

use core::convert::Infallible;
use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::net::Net;
use crate::tls::{Peeked, TlsDoor, secure};

/// How long a request's head may take, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long accepting rests when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a listener's requests are answered by.
pub(crate) trait Site: 'static {
    /// How many connections are served at a time; more wait to be accepted.
    const CONNECTIONS_MAX: usize;

    /// Answers a request.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> impl Future<Output = Response<Full<Bytes>>>;
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// It is larger than is taken.
    TooLarge,
    /// It did not come, or not in time.
    Incomplete,
}

/// Reads a body of at most `bytes_max`.
///
/// # Errors
/// When it is larger, or does not come.
pub(crate) async fn read_body(body: Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let collected = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(BODY_TIMEOUT, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}

/// Serves for ever.
pub(crate) async fn serve_site<N: Net, S: Site>(
    site: Rc<S>,
    listener: N::Listener,
    tls: Option<Rc<TlsDoor>>,
) {
    let places = Rc::new(Semaphore::new(S::CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Rc::clone(&places).acquire_many(1).await.map(|permit| {
            permit.forget();
            Place(Rc::clone(&places))
        }) else {
            return;
        };
        match N::accept(&listener).await {
            Ok((stream, peer)) => {
                let site = Rc::clone(&site);
                match tls.clone() {
                    None => {
                        tokio::task::spawn_local(serve_connection(site, stream, peer, place));
                    }
                    Some(tls) => {
                        tokio::task::spawn_local(async move {
                            // Who cannot do the handshake is nobody to tell.
                            if let Ok(secured) = secure(&tls, Peeked::new(stream)).await {
                                serve_connection(site, secured.stream, peer, place).await;
                            }
                        });
                    }
                }
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// A place among the connections, free again when dropped.
struct Place(Rc<Semaphore>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

async fn serve_connection<T, S>(site: Rc<S>, stream: T, peer: SocketAddr, place: Place)
where
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    S: Site,
{
    let service = service_fn(|request: Request<Incoming>| {
        let site = Rc::clone(&site);
        async move { Ok::<_, Infallible>(site.answer(request, peer).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // Tools that compare header names byte by byte know them as nats-server writes them.
        .title_case_headers(true)
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // A client that speaks no HTTP, or leaves early, concerns nobody else.
    drop(served.await);
    drop(place);
}

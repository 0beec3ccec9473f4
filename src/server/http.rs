//! Monitoring over HTTP, on the driver's thread: hyper reads the requests, the shard is asked for a
//! document, the answer goes back.
//!
//! *Invariant:* what comes in is bounded: [`CONNECTIONS_MAX`] connections, [`HEAD_TIMEOUT`] for a
//! request's head, bodies are not read.

use core::convert::Infallible;
use core::time::Duration;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

use crate::driver::Driver;
use crate::net::Net;
use crate::tls::{Peeked, TlsDoor, secure};

/// How many connections are served at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 64;
/// How long a request's head may take, and how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long accepting rests when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves for ever.
pub(crate) async fn serve_monitoring<N: Net>(
    driver: Rc<Driver>,
    listener: N::Listener,
    tls: Option<Rc<TlsDoor>>,
) {
    let places = Rc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        // The semaphore is never closed.
        let Ok(place) = Rc::clone(&places).acquire_many(1).await.map(|permit| {
            permit.forget();
            Place(Rc::clone(&places))
        }) else {
            return;
        };
        match N::accept(&listener).await {
            Ok((stream, _)) => {
                let driver = Rc::clone(&driver);
                match tls.clone() {
                    None => {
                        tokio::task::spawn_local(serve_connection(driver, stream, place));
                    }
                    Some(tls) => {
                        tokio::task::spawn_local(async move {
                            // Who cannot do the handshake is nobody to tell.
                            if let Ok(secured) = secure(&tls, Peeked::new(stream)).await {
                                serve_connection(driver, secured.stream, place).await;
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

async fn serve_connection<S>(driver: Rc<Driver>, stream: S, place: Place)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let response = answer(&driver, &request);
        async move { Ok::<_, Infallible>(response) }
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

/// Any method gets the document, as nats-server has it; hyper leaves the body out for HEAD.
fn answer(driver: &Driver, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let uri = request.uri();
    let answered = driver.monitor(uri.path(), uri.query().unwrap_or_default());
    let mut response = Response::new(Full::new(Bytes::from(answered.body)));
    let status = StatusCode::from_u16(answered.status);
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let content_type = HeaderValue::from_static(answered.content_type);
    headers.insert(CONTENT_TYPE, content_type);
    if answered.content_type == monitor::http::JSON {
        let everybody = HeaderValue::from_static("*");
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, everybody);
    }
    response
}

#[cfg(test)]
mod tests;

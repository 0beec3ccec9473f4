//! Monitoring over HTTP: the shard is asked for a document, the answer goes back.
//!
//! *Invariant:* bodies are not read, and nothing is changed.

use core::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

use crate::driver::Driver;
use crate::web::Site;

/// What monitoring shows.
pub(crate) struct Monitoring(pub(crate) Rc<Driver>);

impl Site for Monitoring {
    const CONNECTIONS_MAX: usize = 64;

    /// Any method gets the document, as nats-server has it; hyper leaves the body out for HEAD.
    async fn answer(&self, request: Request<Incoming>, _: SocketAddr) -> Response<Full<Bytes>> {
        let uri = request.uri();
        let answered = self.0.monitor(uri.path(), uri.query().unwrap_or_default());
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
}

#[cfg(test)]
mod tests;

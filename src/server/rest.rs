//! Memphis over HTTP: the management interface that its GUI and scripts use, and the gateway that
//! produces and consumes.
//!
//! *Invariant:* nothing is decided here but who may ask: what is asked for is the shard's to answer,
//! through the management interface of the Memphis layer or through a connection like any client's.

mod gateway;
mod management;
mod openapi;
mod query;
mod reply;
mod routes;
mod tokens;

use std::io;
use std::rc::Rc;

use broker::{Level, Rules};
use config::Options;
use config::options::{Listen, Memphis, WebSocket};
use tokio::task::JoinSet;

use crate::door::{Door, Entrance};
use crate::driver::Driver;
use crate::net::Net;
use crate::refused::{Whose, bind};
use crate::tls::TlsDoor;
use crate::web::serve_site;
use crate::websocket::WebSocketDoor;
use gateway::Gateway;
use management::Management;

/// The listeners, before anybody is served.
pub(crate) struct RestDoors<N: Net> {
    management: Option<(N::Listener, String)>,
    gateway: Option<(N::Listener, String)>,
    /// The certificate of the clients' listeners, which is shown here too.
    pub(crate) tls: Option<Rc<TlsDoor>>,
}

impl<N: Net> RestDoors<N> {
    /// Binds what the configuration asks for.
    ///
    /// # Errors
    /// When an address cannot be bound, or a certificate not be read.
    pub(crate) async fn bind(config: &Options) -> io::Result<Self> {
        let rest = config.memphis.as_ref().map(|memphis| &memphis.rest);
        let management = rest.and_then(|rest| rest.management.as_ref());
        let gateway = rest.and_then(|rest| rest.gateway.as_ref());
        let pages = rest.and_then(|rest| rest.websocket.as_ref());
        let is_on = management.is_some() || gateway.is_some() || pages.is_some();
        let tls = config.tls.as_ref().filter(|_| is_on);
        let tls = tls.map(TlsDoor::open_to_all).transpose()?;
        Ok(Self {
            management: listener::<N>(management).await?,
            gateway: listener::<N>(gateway).await?,
            tls: tls.map(Rc::new),
        })
    }

    /// Binds the listener of pages that watch, if there is to be one: they speak NATS.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(crate) async fn bind_pages(
        &self,
        config: &Options,
        driver: &Rc<Driver>,
    ) -> io::Result<Option<Door<N>>> {
        let Some(memphis) = &config.memphis else {
            return Ok(None);
        };
        let Some(listen) = &memphis.rest.websocket else {
            return Ok(None);
        };
        let Some((listener, at)) = listener::<N>(Some(listen)).await? else {
            return Ok(None);
        };
        let protocol = if self.tls.is_some() { "wss" } else { "ws" };
        let text = format!("Listening for pages of Memphis on {protocol}://{at}");
        driver.log(Level::Info, text);
        let options = WebSocket {
            listen: listen.clone(),
            no_tls: self.tls.is_none(),
            // Pages from anywhere must not log in with a password that everybody knows.
            same_origin: memphis.root_password == Memphis::DEFAULT_PASSWORD,
            ..WebSocket::default()
        };
        let entrance = Entrance {
            driver: Rc::clone(driver),
            local: N::local_addr(&listener)?,
            rules: Rules::Memphis,
            takes_origin: false,
            tls: self.tls.clone(),
            websocket: Some(Rc::new(WebSocketDoor::new(
                &options,
                config.limits.payload_max,
            ))),
        };
        Ok(Some(Door::new(listener, entrance)))
    }

    /// Begins to serve.
    pub(crate) fn open(self, driver: &Rc<Driver>, config: &Options, fixtures: &mut JoinSet<()>) {
        let Some(memphis) = &config.memphis else {
            return;
        };
        let protocol = if self.tls.is_some() { "https" } else { "http" };
        let tell = |what: &str, at: &str| {
            let text = format!("Listening for {what} on {protocol}://{at}");
            driver.log(Level::Info, text);
        };
        if let Some((listener, at)) = self.management {
            tell("Memphis management", &at);
            let site = Management::new(driver, memphis, config.limits.payload_max);
            let tls = self.tls.clone();
            fixtures.spawn_local(serve_site::<N, _>(Rc::new(site), listener, tls));
        }
        if let Some((listener, at)) = self.gateway {
            tell("Memphis' REST gateway", &at);
            let site = Gateway::new(driver, memphis, config.limits.payload_max);
            fixtures.spawn_local(site.sweeping());
            fixtures.spawn_local(serve_site::<N, _>(Rc::new(site), listener, self.tls));
        }
    }
}

async fn listener<N: Net>(listen: Option<&Listen>) -> io::Result<Option<(N::Listener, String)>> {
    let Some(listen) = listen else {
        return Ok(None);
    };
    let listener = bind::<N>(Whose::Clients, listen).await?;
    let port = N::local_addr(&listener)?.port();
    let at = format!("{}:{port}", listen.host);
    Ok(Some((listener, at)))
}

/// Undoes percent signs, as in addresses.
pub(crate) fn percent_decoded(text: &str) -> String {
    query::percent_decoded(text)
}

/// Draws a name that nobody else has.
pub(crate) fn drawn_name() -> String {
    tokens::hex(&tokens::random::<16>())
}

/// Says how many milliseconds a number of minutes is, as Memphis tells how long its tokens hold.
fn minutes_in_ms(minutes: u32) -> u64 {
    u64::from(minutes) * 60_000
}

#[cfg(test)]
mod tests;

//! Followed requests to JetStream: elsewhere every account imports its API from the system account, and so
//! nobody follows them beyond that.

use protocol::id::{AccountId, ConnId};
use protocol::js::api::API_PREFIX;
use protocol::message::Message;

use crate::effects::Rules;
use crate::router::Router;
use crate::streams::{Served, Streams};

impl Streams {
    /// Handles a message on a subject that starts with `$JS.`.
    pub(crate) fn serve(
        &mut self,
        router: &mut Router,
        account: AccountId,
        from: (ConnId, Rules),
        msg: &Message<'_>,
    ) -> Served {
        let mut following = router.followed.current.take();
        if let Some(following) = &mut following
            && msg.subject.starts_with(API_PREFIX.as_bytes())
        {
            let system = router.accounts.system.map(|id| router.accounts.name(id));
            let (subject, now) = (msg.subject, router.now.wall);
            following.asks(system.unwrap_or_default(), subject, subject, now);
        }
        let only = following.as_ref().is_some_and(|following| following.only);
        let served = if only && msg.subject.starts_with(API_PREFIX.as_bytes()) {
            Served::Nobody
        } else {
            self.serve_request(router, account, from, msg)
        };
        router.followed.current = following;
        served
    }
}

//! Reports of the ways that followed messages took.

use monitor::stats::Process;
use monitor::system::message_trace::message_trace;

use crate::shard::Shard;

impl Shard {
    /// Ends the way of the message that is being followed.
    pub(super) fn end_following(&mut self) {
        if let Some(following) = self.router.followed.current.take() {
            self.router.finish(following);
        }
        self.report_followed();
    }

    /// Tells of the messages whose way has ended, where a system account is there to tell.
    #[inline]
    pub(crate) fn report_followed(&mut self) {
        for following in core::mem::take(&mut self.router.followed.finished) {
            if self.router.accounts.system.is_none() {
                continue;
            }
            let seq = self.herald.next_seq();
            let view = self.monitoring(self.router.now, Process::default());
            let body = message_trace(&view, &following.trace, seq);
            let (account, dest) = (following.account(), &following.dest);
            self.say(account, dest, body, following.encoding);
        }
    }
}

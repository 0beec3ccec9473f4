//! Having at hand what the next messages of a client concern, before they are taken; the reason is that of
//! [`jetstream`]'s own look ahead, which is for what has been stored.
//!
//! *Invariant:* nothing depends on this: it only reads, and a guess that is wrong costs nothing but itself.

use jetstream::AHEAD;
use protocol::id::ConnId;
use protocol::parser::Parser;
use routing::sublist::Guess;

use crate::router::Target;
use crate::shard::Shard;

impl Shard {
    /// Looks at what the publishes at the start of `rest` concern. Returns before how many operations there is
    /// no need to look again.
    pub(crate) fn look_ahead(&self, id: ConnId, parser: &Parser, rest: &[u8]) -> usize {
        let Some(streams) = &self.streams else {
            return usize::MAX;
        };
        if !streams.machine.has_many_streams() {
            return usize::MAX;
        }
        let account = self.router.conns.get(id).map(|conn| conn.account);
        let Some(account) = account.and_then(|account| self.router.accounts.get(account)) else {
            return usize::MAX;
        };
        let mut guesses: [Option<Guess>; AHEAD] = [None; AHEAD];
        let (mut looked, mut rest) = (0, rest);
        for guess in &mut guesses {
            let Some(subject) = parser.glance(&mut rest) else {
                break;
            };
            *guess = Some(account.subs.guess(subject));
            looked += 1;
        }
        // For one there is nothing to do meanwhile.
        if looked > 1 {
            for guess in &mut guesses {
                *guess = guess.and_then(|guess| account.subs.look(guess));
            }
            let targets = guesses
                .iter()
                .flatten()
                .map(|guess| account.subs.guessed(*guess));
            let streams_of = targets.filter_map(|target| match target? {
                Target::Stream(stream) => Some(stream),
                Target::Sub(_)
                | Target::Memphis
                | Target::Shadow(_)
                | Target::Service(_)
                | Target::Responses
                | Target::System => None,
            });
            streams.machine.look_at_takers(streams_of);
        }
        looked.max(1)
    }
}

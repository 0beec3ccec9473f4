//! The orders that connections can be shown in.

use alloc::borrow::ToOwned;
use core::cmp::Reverse;
use core::time::Duration;

use protocol::time::Wall;

use super::{ConnzOptions, State};
use crate::query::Problem;
use crate::stats::Connection;

/// The orders; what counts is shown with the largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Cid,
    Subs,
    Pending,
    MsgsTo,
    MsgsFrom,
    BytesTo,
    BytesFrom,
    Last,
    Idle,
    Uptime,
    Stop,
    Reason,
    Rtt,
}

pub(super) fn order(options: &ConnzOptions) -> Result<Order, Problem> {
    let of_closed = |name, order| match options.state {
        State::Closed => Ok(order),
        State::Open | State::All => Err(Problem::SortOfClosed(name)),
    };
    match options.sort.as_str() {
        "" | "cid" | "start" => Ok(Order::Cid),
        "subs" => Ok(Order::Subs),
        "pending" => Ok(Order::Pending),
        "msgs_to" => Ok(Order::MsgsTo),
        "msgs_from" => Ok(Order::MsgsFrom),
        "bytes_to" => Ok(Order::BytesTo),
        "bytes_from" => Ok(Order::BytesFrom),
        "last" => Ok(Order::Last),
        "idle" => Ok(Order::Idle),
        "uptime" => Ok(Order::Uptime),
        "rtt" => Ok(Order::Rtt),
        "stop" => of_closed("stop", Order::Stop),
        "reason" => of_closed("reason", Order::Reason),
        other => Err(Problem::Sort(other.to_owned())),
    }
}

impl Order {
    pub(super) fn apply(self, conns: &mut [Connection], now: Wall) {
        let reason = |c: &Connection| c.end.as_ref().map(|end| end.reason.clone());
        match self {
            Self::Cid => {}
            Self::Subs => conns.sort_by_key(|c| Reverse(c.subscriptions)),
            Self::Pending => conns.sort_by_key(|c| Reverse(c.pending_bytes)),
            Self::MsgsTo => conns.sort_by_key(|c| Reverse(c.sent.msgs)),
            Self::MsgsFrom => conns.sort_by_key(|c| Reverse(c.received.msgs)),
            Self::BytesTo => conns.sort_by_key(|c| Reverse(c.sent.bytes)),
            Self::BytesFrom => conns.sort_by_key(|c| Reverse(c.received.bytes)),
            Self::Last => conns.sort_by_key(|c| Reverse(c.last_activity)),
            Self::Idle => conns.sort_by_key(|c| c.last_activity),
            Self::Uptime => conns.sort_by_key(|c| uptime(c, now)),
            Self::Stop => conns.sort_by_key(|c| Reverse(c.end.as_ref().map(|end| end.at))),
            Self::Reason => conns.sort_by_key(reason),
            Self::Rtt => conns.sort_by_key(|c| Reverse(c.rtt)),
        }
    }
}

pub(super) fn uptime(conn: &Connection, now: Wall) -> Duration {
    let until = conn.end.as_ref().map_or(now, |end| end.at);
    until.since(conn.start)
}

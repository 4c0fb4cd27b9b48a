//! What may go wrong with one RPC on its way, and how often it did.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// What becomes of one unary call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcFault {
    /// It goes through.
    None,
    /// The request never arrives.
    DropRequest(Loss),
    /// The request arrives and is answered; the reply is lost.
    DropReply(Loss),
    /// The request is sent this much later. One whose caller gives up before is not sent.
    Delay(Duration),
    /// The reply is given this much later.
    DelayReply(Duration),
    /// The request arrives twice.
    Repeat(Repetition),
    /// The request arrives this long after its caller's deadline: behind what the caller sent
    /// since. A call without a deadline fares as with [`RpcFault::Late`].
    Hold(Duration),
    /// The caller is told UNAVAILABLE at once, and the request arrives this much later all the same.
    Late(Duration),
    /// The deadline that the caller set (`grpc-timeout`) is replaced by this one.
    Deadline(Duration),
}

/// How the caller learns that something was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// By the status UNAVAILABLE, as gRPC libraries report a lost connection.
    Unavailable,
    /// By a reset of its stream.
    Reset,
    /// Not at all, until its deadline.
    Silence,
}

/// How a request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repetition {
    /// None: both are sent at once. Otherwise the second is sent this long after the first's reply.
    pub pause: Option<Duration>,
    /// Whose reply the caller gets.
    pub answer: Answer,
}

/// One of the two replies to a repeated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The reply to what was sent first.
    First,
    /// The reply to what was sent second.
    Second,
}

macro_rules! counts {
    ($($(#[$comment:meta])+ $name:ident),+ $(,)?) => {
        /// What the proxy did since it was started. A fault counts when it took effect: a lost
        /// reply was given, a late request was answered.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct RpcCounts {
            $($(#[$comment])+ pub $name: u64,)+
        }

        #[derive(Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)+
        }

        impl Counters {
            pub(super) fn read(&self) -> RpcCounts {
                RpcCounts { $($name: self.$name.load(Ordering::SeqCst),)+ }
            }
        }
    };
}

counts! {
    /// Calls that went through with nothing wrong, streams among them.
    passed,
    /// Of [`RpcFault::DropRequest`].
    requests_dropped,
    /// Of [`RpcFault::DropReply`].
    replies_dropped,
    /// Of [`RpcFault::Delay`].
    delayed,
    /// Of [`RpcFault::DelayReply`].
    replies_delayed,
    /// Of [`RpcFault::Repeat`].
    repeated,
    /// Of [`RpcFault::Hold`].
    held,
    /// Of [`RpcFault::Late`].
    late,
    /// Of [`RpcFault::Deadline`], where it passed before the reply or the reply says so.
    deadlines,
    /// Requests that were sent and not answered, because the upstream is away.
    unreachable,
}

impl RpcCounts {
    /// How many faults took effect.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.requests_dropped
            + self.replies_dropped
            + self.delayed
            + self.replies_delayed
            + self.repeated
            + self.held
            + self.late
            + self.deadlines
    }
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

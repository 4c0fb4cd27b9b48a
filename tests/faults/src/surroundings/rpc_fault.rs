//! The faults that can happen to one RPC, and their counts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The fate of one unary call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RpcFault {
    /// It goes through.
    None,
    /// The request never arrives.
    DropRequest(Loss),
    /// The request arrives and is answered; the reply is lost.
    DropReply(Loss),
    /// The request is sent this much later. A request whose caller gives up before is not sent.
    Delay(Duration),
    /// The reply is returned this much later.
    DelayReply(Duration),
    /// The request arrives twice.
    Repeat(Repetition),
    /// The request arrives this long after its caller's deadline, behind requests that the caller
    /// sent later. A call without a deadline is handled as by [`RpcFault::Late`].
    Hold(Duration),
    /// The caller gets UNAVAILABLE at once, and the request still arrives this much later.
    Late(Duration),
    /// The deadline that the caller set (`grpc-timeout`) is replaced by this one.
    Deadline(Duration),
}

/// The way in which the caller learns of a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The caller gets the status UNAVAILABLE, as gRPC libraries report a lost connection.
    Unavailable,
    /// The caller's stream is reset.
    Reset,
    /// The caller learns nothing before its deadline.
    Silence,
}

/// The way in which a request is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repetition {
    /// `None` sends both at once. Otherwise the second is sent this long after the first's reply.
    pub pause: Option<Duration>,
    /// The reply that the caller gets.
    pub answer: Answer,
}

/// One of the two replies to a repeated request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The reply to the first request.
    First,
    /// The reply to the second request.
    Second,
}

macro_rules! counts {
    ($($(#[$comment:meta])+ $name:ident),+ $(,)?) => {
        /// The proxy's counts since it was started. A fault counts when it took effect: a lost
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
    /// Calls that passed without a fault, including streams.
    passed,
    /// Faults of [`RpcFault::DropRequest`].
    requests_dropped,
    /// Faults of [`RpcFault::DropReply`].
    replies_dropped,
    /// Faults of [`RpcFault::Delay`].
    delayed,
    /// Faults of [`RpcFault::DelayReply`].
    replies_delayed,
    /// Faults of [`RpcFault::Repeat`].
    repeated,
    /// Faults of [`RpcFault::Hold`].
    held,
    /// Faults of [`RpcFault::Late`].
    late,
    /// Faults of [`RpcFault::Deadline`] whose deadline passed before the reply, or whose reply says
    /// that it did.
    deadlines,
    /// Requests that were sent and not answered because the upstream is away.
    unreachable,
}

impl RpcCounts {
    /// Returns the number of faults that took effect.
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

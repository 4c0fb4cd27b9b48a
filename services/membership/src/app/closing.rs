//! Ends requests that nobody decided because the class, the organization or a membership ended, each with one event
//! (P5, P8).

use homeroom_kit::Result;

use super::{Change, new_events::request_event};
use crate::{
    domain::{join_request::SYSTEM, seat::Seats},
    store::Waiting,
};

/// Maximum number of requests that one statement closes; a queue may hold any number.
pub const CLOSED_TOGETHER_MAX: u32 = 1_000;

/// Closes open requests and lowers the count of waiting requests. The caller stores the seats.
pub async fn close_requests(change: &mut Change, seats: &mut Seats, which: &Waiting) -> Result<()> {
    loop {
        let closed = change
            .repository
            .close_open_requests(which, change.now, CLOSED_TOGETHER_MAX)
            .await?;
        let count = i64::try_from(closed.len()).unwrap_or(i64::MAX);
        *seats = seats.waiting_more(-count);
        for request in closed {
            change.record(request_event(&request, SYSTEM));
        }
        if count < i64::from(CLOSED_TOGETHER_MAX) {
            return Ok(());
        }
        // Written before the next requests are read; they become visible with the commit.
        change.write_events().await?;
    }
}

//! Ends requests that nobody decided, because the person was let in another way or the class or
//! membership ended: each with one event (03 P5, P8).

use homeroom_kit::{Result, outbox::NewEvent};

use super::Change;
use crate::{
    domain::{join_request::SYSTEM, seat::Seats},
    store::Waiting,
};

/// Closes open requests and lowers the count of those that wait. The caller stores the seats.
pub async fn close_requests(change: &mut Change, seats: &mut Seats, which: &Waiting) -> Result<()> {
    let closed = change
        .repository
        .close_open_requests(which, change.now)
        .await?;
    for request in closed {
        *seats = seats.waiting_more(-1);
        change.record(NewEvent {
            event_type: request.state.event_type(),
            organization: request.place.organization().clone(),
            class: request.place.class().cloned(),
            subject: request.name().to_string(),
            actor: SYSTEM.to_owned(),
            notify: Vec::new(),
            data: request.event_data(),
        });
    }
    Ok(())
}

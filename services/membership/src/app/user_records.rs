//! `ListUserRecords`: what this service keeps about a person, for whoever exports it (R13).

use homeroom_api::{ids::UserId, names::Place};
use homeroom_kit::{
    Result,
    outbox::Event,
    paging::{Page, PageRequest},
    sections::{Part, Reading},
};

use super::{App, erase_user::Known};
use crate::{
    domain::{join_request::JoinRequest, member::Member},
    store::Removal,
};

/// One thing that is kept about a person.
#[derive(Debug, Clone, PartialEq)]
pub enum UserRecord {
    /// A membership of an organization or class.
    Member(Member),
    /// A join request, whatever its state.
    JoinRequest(JoinRequest),
    /// A removal by staff (R8).
    Removal(Removal),
    /// An event that mentions the person.
    Event(Event),
}

impl App {
    /// Returns a page of what is kept about the person, and with the first one the particulars that each organization
    /// knows of them. Fails with `INVALID_PAGE_TOKEN`. The caller must have passed [`super::erase_user::may_handle_users`].
    pub async fn user_records(
        &self,
        user: &UserId,
        page: &PageRequest,
    ) -> Result<(Page<UserRecord>, Known)> {
        let mut reading = Reading::begin(page)?;
        let mut records = Vec::new();
        let mut repository = self.store.read().await?;
        let known = match page.cursor {
            None => repository.particulars_of(user).await?,
            Some(_) => Known::new(),
        };
        loop {
            let limit = reading.left();
            let part = match reading.section() {
                0 => {
                    let after: Option<Place> = reading.after()?;
                    let found = repository.list_memberships(user, after.as_ref(), limit);
                    Part::of(found.await?, limit, |row| row.place.to_string())
                        .map(UserRecord::Member)
                }
                1 => {
                    let found = repository.join_requests_of(user, reading.after()?, limit);
                    Part::of(found.await?, limit, |row| row.id.to_string())
                        .map(UserRecord::JoinRequest)
                }
                2 => {
                    let after: Option<Place> = reading.after()?;
                    let found = repository.removals_of(user, after.as_ref(), limit);
                    Part::of(found.await?, limit, |row| row.place.to_string())
                        .map(UserRecord::Removal)
                }
                3 => {
                    let after = reading.after()?.unwrap_or(0);
                    let found = repository.outbox().events_of(user, after, limit);
                    found.await?.map(UserRecord::Event)
                }
                _ => return Ok((Page::last(records), known)),
            };
            if !reading.take(part, &mut records) {
                return Ok((reading.page(page, records), known));
            }
        }
    }
}

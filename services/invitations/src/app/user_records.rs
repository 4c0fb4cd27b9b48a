//! `ListUserRecords`: what both services keep about a person, for the platform that hands it to them (R13).

use std::collections::BTreeSet;

use homeroom_api::{ids::UserId, names::UserName};
use homeroom_kit::{
    Result,
    auth::Caller,
    outbox::Event,
    paging::{Page, PageRequest},
    rpc::require_unbound,
    sections::{Part, Reading},
};

use super::{App, answer::Shown};
use crate::{
    domain::{
        audit_entry::{AuditEntry, AuditFilter},
        refused_attempt::{RefusedAttempt, RefusedAttemptFilter},
    },
    membership::MembershipRecord,
    redemption::ledger::Redemption,
    store::{InvitationRow, PersonKnown},
};

/// One thing that is kept about a person.
pub enum UserRecord {
    /// A record of the membership service.
    Membership(MembershipRecord),
    /// A redemption.
    Redemption(Redemption),
    /// An attempt that was refused.
    RefusedAttempt(RefusedAttempt),
    /// An entry of what the person did, or what was done to them.
    AuditEntry(AuditEntry),
    /// A token that is assigned to the person, without its secret.
    Token(Box<Shown>),
    /// An event that mentions the person.
    Event(Event),
}

impl App {
    /// Returns a page of what is kept about the person. The first page is an audit entry (R12), which it does not list
    /// itself. Fails with `INVALID_PAGE_TOKEN`, `MEMBERSHIP_UNAVAILABLE`, or `SCOPE_MISSING` for a token that is limited
    /// to organizations.
    pub async fn user_records(
        &self,
        caller: &Caller,
        user: UserId,
        page: &PageRequest,
    ) -> Result<Page<UserRecord>> {
        require_unbound(caller)?;
        let records = self.read_user_records(caller, &user, page).await?;
        if page.cursor.is_none() {
            let subject = UserName(user).to_string();
            self.audit_deed(caller, None, subject).await?;
        }
        Ok(records)
    }

    async fn read_user_records(
        &self,
        caller: &Caller,
        user: &UserId,
        page: &PageRequest,
    ) -> Result<Page<UserRecord>> {
        let mut reading = Reading::begin(page)?;
        let subject = UserName(user.clone()).to_string();
        let mut records = Vec::new();
        loop {
            let limit = reading.left();
            let part = match reading.section() {
                0 => {
                    let token: String = reading.after()?.unwrap_or_default();
                    let membership = &self.membership;
                    let found = membership.user_records(user, limit, &token, caller.deadline);
                    let found = found.await?;
                    let next = Some(found.next_page_token);
                    let part = Part {
                        items: found.records,
                        after: next.filter(|next| !next.is_empty()),
                    };
                    part.map(UserRecord::Membership)
                }
                1 => {
                    let mut repository = self.store.read().await?;
                    let found = repository.redemptions_of_person(user, reading.after()?, limit);
                    Part::of(found.await?, limit, |row| row.id.to_string())
                        .map(UserRecord::Redemption)
                }
                2 => {
                    let filter = RefusedAttemptFilter {
                        user: Some(user.clone()),
                        ..RefusedAttemptFilter::default()
                    };
                    let mut repository = self.store.read().await?;
                    let found = repository.list_refused_attempts(&filter, reading.after()?, limit);
                    Part::of(found.await?, limit, |row| row.id.to_string())
                        .map(UserRecord::RefusedAttempt)
                }
                3 => {
                    let filter = AuditFilter {
                        actor: Some(user.to_string()),
                        ..AuditFilter::default()
                    };
                    self.audit_records(&filter, &reading).await?
                }
                4 => {
                    let filter = AuditFilter {
                        subject: Some(subject.clone()),
                        ..AuditFilter::default()
                    };
                    let mut part = self.audit_records(&filter, &reading).await?;
                    // Those of the person's own deeds are in the section before.
                    part.items.retain(|record| {
                        !matches!(record, UserRecord::AuditEntry(entry) if entry.actor == user.as_str())
                    });
                    part
                }
                5 => {
                    let membership = &self.membership;
                    let told = membership.user_records(user, 1, "", caller.deadline);
                    let told = told.await?.known;
                    let mut repository = self.store.read().await?;
                    let mut known = repository.known_of_person(user).await?;
                    known.extend(told);
                    let found = repository.tokens_of_person(&known, reading.after()?, limit);
                    Part::of(found.await?, limit, |row| row.invitation.id.to_string())
                        .map(|row| without_unknown(row, &known))
                        .map(|row| UserRecord::Token(Box::new(self.masked(row))))
                }
                6 => {
                    let after = reading.after()?.unwrap_or(0);
                    let mut repository = self.store.read().await?;
                    let found = repository.outbox().events_of(user, after, limit);
                    found.await?.map(UserRecord::Event)
                }
                _ => return Ok(Page::last(records)),
            };
            if !reading.take(part, &mut records) {
                return Ok(reading.page(page, records));
            }
        }
    }

    async fn audit_records(
        &self,
        filter: &AuditFilter,
        reading: &Reading,
    ) -> Result<Part<UserRecord>> {
        let limit = reading.left();
        let mut repository = self.store.read().await?;
        let found = repository.list_audit_entries(filter, reading.after()?, limit);
        let part = Part::of(found.await?, limit, |row| row.id.to_string());
        Ok(part.map(UserRecord::AuditEntry))
    }
}

/// Returns a token without what the organization does not know of the person. The address by which it was found may be
/// one that nobody verified, and what staff wrote beside it another person's.
fn without_unknown(mut row: InvitationRow, known: &BTreeSet<PersonKnown>) -> InvitationRow {
    let organization = row.invitation.place.organization();
    let here: Vec<&PersonKnown> = known
        .iter()
        .filter(|one| one.organization == *organization)
        .collect();
    let invitation = &mut row.invitation;
    invitation.assigned_email.take_if(|email| {
        let canonical = email.canonical();
        let is = |one: &&PersonKnown| one.email.eq_ignore_ascii_case(&canonical);
        !here.iter().any(is)
    });
    invitation
        .external_id
        .take_if(|id| !here.iter().any(|one| one.external_id == *id));
    row.display_name.clear();
    row
}

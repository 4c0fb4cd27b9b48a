//! Class tokens: phrases of two to four words (A6 to A14).

use std::{collections::BTreeMap, sync::Arc};

use chrono::TimeDelta;
use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::Token,
    names::{ClassName, Place, TokenName},
};
use homeroom_kit::{Error, Result, auth::Caller, paging::PageRequest, random::new_id};
use uuid::Uuid;

use super::{
    App, Idempotency, NewToken, TokenPatch,
    views::{self, Answer},
    write::{Change, Work, changed, not_written},
};
use crate::{
    domain::{
        invitation::{CLASS_TOKEN_LIFETIME_DAYS, InvitationKind},
        phrase::{Phrase, WordCount},
    },
    store::{InvitationFilter, InvitationRow, Repository},
};

/// Phrases that are drawn for one token at most before giving up.
const PHRASE_DRAWS_MAX: usize = 64;

const LIFETIME: TimeDelta = TimeDelta::days(CLASS_TOKEN_LIFETIME_DAYS);

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// The id after which the next page begins; None at the end.
    pub next: Option<Uuid>,
}

fn token_not_found(name: &TokenName) -> Error {
    Error::new(
        ErrorReason::TokenNotFound,
        "There is no such token that you may see; check its name.",
    )
    .resource("homeroom/Token", name.to_string())
}

/// The token of that name, revoked ones too.
async fn find(repository: &mut dyn Repository, name: &TokenName) -> Result<InvitationRow> {
    repository
        .get_invitation(name.id)
        .await?
        .filter(|row| {
            row.invitation.kind == InvitationKind::ClassToken
                && row.invitation.place == name.place
                && row.delete_time.is_none()
        })
        .ok_or_else(|| token_not_found(name))
}

impl App {
    /// Makes a class token; its phrase is shown this once, and by [`App::reveal_token`] (A6).
    pub async fn create_token(
        self: &Arc<Self>,
        caller: &Caller,
        class: ClassName,
        new: NewToken,
        request: Idempotency,
    ) -> Result<Token> {
        self.change(
            caller,
            class.into(),
            "CreateToken",
            request,
            move |work: &mut Work<'_>| {
                Box::pin(async move {
                    work.refuse_archived()?;
                    let row = work.make_token(new).await?;
                    Ok(Change {
                        answer: views::token(&row, work.now),
                        rows: vec![row],
                        shows_secrets: true,
                    })
                })
            },
        )
        .await
    }

    /// Reads a class token, its phrase masked.
    pub async fn get_token(&self, caller: &Caller, name: &TokenName) -> Result<Token> {
        self.authorize(caller, &name.place, "GetToken").await?;
        let row = find(self.store.read().await?.as_mut(), name).await?;
        Ok(views::token(&row, self.clock.now()))
    }

    /// Shows a class token's phrase again; `TOKEN_NOT_FOUND` once it is destroyed. The read is audited.
    pub async fn reveal_token(&self, caller: &Caller, name: &TokenName) -> Result<Token> {
        self.authorize(caller, &name.place, "RevealToken").await?;
        let row = find(self.store.read().await?.as_mut(), name).await?;
        if row.secret.is_none() {
            return Err(token_not_found(name));
        }
        Self::audit_read(caller, &row);
        let mut shown = views::token(&row, self.clock.now());
        shown.fill(self, &[row])?;
        Ok(shown)
    }

    /// Lists a class's tokens, newest first, phrases masked.
    pub async fn list_tokens(
        &self,
        caller: &Caller,
        class: &ClassName,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<Token>> {
        let place = Place::from(class.clone());
        self.authorize(caller, &place, "ListTokens").await?;
        let rows = self
            .list_rows(&place, InvitationKind::ClassToken, filter, page)
            .await?;
        let now = self.clock.now();
        Ok(Page {
            items: rows
                .items
                .iter()
                .map(|row| views::token(row, now))
                .collect(),
            next: rows.next,
        })
    }

    /// A page of rows.
    pub(crate) async fn list_rows(
        &self,
        place: &Place,
        kind: InvitationKind,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<InvitationRow>> {
        let before = match page.cursor.as_deref() {
            None => None,
            Some(cursor) => Some(
                cursor
                    .first()
                    .and_then(|id| Uuid::try_parse(id).ok())
                    .ok_or_else(|| Error::internal("an authentic page token holds no id"))?,
            ),
        };
        // One more tells whether there is another page.
        let mut items = self
            .store
            .read()
            .await?
            .list_invitations(place, kind, filter, before, page.size.saturating_add(1))
            .await?;
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| more).map(|row| row.invitation.id);
        Ok(Page { items, next })
    }

    /// Changes a class token.
    pub async fn update_token(
        self: &Arc<Self>,
        caller: &Caller,
        name: TokenName,
        etag: String,
        patch: TokenPatch,
        request: Idempotency,
    ) -> Result<Token> {
        self.change(
            caller,
            name.place.clone(),
            "UpdateToken",
            request,
            move |work: &mut Work<'_>| {
                Box::pin(async move {
                    let mut row = find(work.repository, &name).await?;
                    row.check_etag(&etag)?;
                    let fields = apply(&mut row, patch);
                    if !fields.is_empty()
                        && !work
                            .save("token.updated", &mut row, changed(&fields))
                            .await?
                    {
                        return Err(not_written());
                    }
                    Ok(Change {
                        answer: views::token(&row, work.now),
                        rows: vec![row],
                        shows_secrets: false,
                    })
                })
            },
        )
        .await
    }

    /// Ends a class token for good (A14); answered once nobody is admitted by it (P7).
    pub async fn revoke_token(
        self: &Arc<Self>,
        caller: &Caller,
        name: TokenName,
        etag: String,
        request: Idempotency,
    ) -> Result<Token> {
        self.change(
            caller,
            name.place.clone(),
            "RevokeToken",
            request,
            move |work: &mut Work<'_>| {
                Box::pin(async move {
                    let mut row = find(work.repository, &name).await?;
                    row.check_etag(&etag)?;
                    if row.revoke_time.is_none() {
                        row.revoke_time = Some(work.now);
                        row.end();
                        let data = BTreeMap::new();
                        if !work.save("token.revoked", &mut row, data).await? {
                            return Err(not_written());
                        }
                    }
                    Ok(Change {
                        answer: views::token(&row, work.now),
                        rows: vec![row],
                        shows_secrets: false,
                    })
                })
            },
        )
        .await
    }
}

fn apply(row: &mut InvitationRow, patch: TokenPatch) -> Vec<&'static str> {
    let mut fields = Vec::new();
    let create_time = row.create_time;
    let invitation = &mut row.invitation;
    patch
        .max_uses
        .apply(&mut invitation.max_uses, "max_uses", &mut fields);
    patch.assigned_email.apply(
        &mut invitation.assigned_email,
        "assigned_email",
        &mut fields,
    );
    patch
        .external_id
        .apply(&mut invitation.external_id, "external_id", &mut fields);
    patch
        .expire_time
        .apply(&mut invitation.valid_till, "expire_time", &mut fields);
    // A class token always expires (A14).
    invitation.valid_till = invitation.valid_till.or(Some(create_time + LIFETIME));
    patch
        .display_name
        .apply(&mut row.display_name, "display_name", &mut fields);
    fields
}

impl Work<'_> {
    /// `CLASS_ARCHIVED` if the place is an archived class: nothing new is made in it.
    pub(crate) fn refuse_archived(&self) -> Result<()> {
        if !self.access.archived {
            return Ok(());
        }
        Err(Error::new(
            ErrorReason::ClassArchived,
            "Unarchive the class first: an archived one takes no new invitations.",
        )
        .resource("homeroom/Class", self.place.to_string()))
    }

    /// Inserts a class token with a phrase that is nobody's, and its event.
    pub(crate) async fn make_token(&mut self, new: NewToken) -> Result<InvitationRow> {
        let app = self.app;
        let id = new_id(app.clock.as_ref(), app.random.as_ref());
        let kind = InvitationKind::ClassToken;
        let mut row = InvitationRow::new(id, kind, self.place.clone(), self.now);
        row.display_name = new.display_name;
        let invitation = &mut row.invitation;
        invitation.max_uses = new.max_uses;
        invitation.assigned_email = new.assigned_email;
        invitation.external_id = new.external_id;
        invitation.valid_till = Some(new.expire_time.unwrap_or(self.now + LIFETIME));
        self.insert_with_phrase(&mut row, new.words).await?;
        self.event("token.created", &row, BTreeMap::new()).await?;
        Ok(row)
    }

    /// Draws phrases until one is free: neither it nor its words reversed are a living phrase.
    async fn insert_with_phrase(
        &mut self,
        row: &mut InvitationRow,
        words: WordCount,
    ) -> Result<()> {
        let secrets = self.app.secrets();
        for _ in 0..PHRASE_DRAWS_MAX {
            let phrase = Phrase::generate(words, self.app.random.as_ref());
            let canonical = phrase.canonical();
            let mut macs = secrets.lookup_macs(row.invitation.kind, &canonical);
            macs.extend(secrets.lookup_macs(row.invitation.kind, &phrase.reversed().canonical()));
            if self.repository.find_by_lookup_macs(&macs).await?.is_some() {
                continue;
            }
            row.words = u32::try_from(phrase.words()).unwrap_or(0);
            row.set_secret(secrets, &canonical, &canonical)?;
            let inserted = self
                .repository
                .insert_invitations(std::slice::from_ref(row))
                .await?;
            if inserted == [true] {
                return Ok(());
            }
        }
        Err(Error::internal("no phrase was free"))
    }
}

//! Class tokens: phrases of two to four words (A6 to A14).

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::Token,
    names::{ClassName, Place, TokenName},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    paging::{Page, PageRequest},
    random::new_id,
    rpc::check_etag,
};

use super::{
    App, NewToken, Patch, TokenPatch, rules,
    views::{self, Answer},
    write::{Change, Work, changed},
};
use crate::{
    domain::{
        invitation::{CLASS_TOKEN_LIFETIME, InvitationKind},
        phrase::{Phrase, WordCount},
    },
    store::{InvitationFilter, InvitationRow, Repository},
};

/// The maximum number of phrases that are drawn for one token.
const PHRASE_DRAWS_MAX: usize = 64;

fn token_not_found(name: &TokenName) -> Error {
    Error::new(
        ErrorReason::TokenNotFound,
        "There is no such token that you may see; check its name.",
    )
    .resource("homeroom/Token", name.to_string())
}

/// Returns the token of that name, even if it is revoked.
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
    /// Reads a class token with its phrase masked.
    pub async fn get_token(&self, caller: &Caller, name: &TokenName) -> Result<Token> {
        self.authorize(caller, &name.place, rules::GET_TOKEN)
            .await?;
        let row = find(self.store.read().await?.as_mut(), name).await?;
        Ok(views::token(&row, self.clock.now()))
    }

    /// Returns a class token with its phrase; fails with `TOKEN_NOT_FOUND` once it is destroyed. The read is audited.
    pub async fn reveal_token(&self, caller: &Caller, name: &TokenName) -> Result<Token> {
        self.authorize(caller, &name.place, rules::REVEAL_TOKEN)
            .await?;
        let row = find(self.store.read().await?.as_mut(), name).await?;
        if row.secret.is_none() {
            return Err(token_not_found(name));
        }
        self.audit_read(caller, &row).await?;
        let mut shown = views::token(&row, self.clock.now());
        shown.fill(self, &[row])?;
        Ok(shown)
    }

    /// Lists a class's tokens, newest first, with masked phrases.
    pub async fn list_tokens(
        &self,
        caller: &Caller,
        class: &ClassName,
        filter: &InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<Token>> {
        let place = Place::from(class.clone());
        self.authorize(caller, &place, rules::LIST_TOKENS).await?;
        let rows = self
            .list_rows(&place, InvitationKind::ClassToken, filter, page)
            .await?;
        let now = self.clock.now();
        Ok(rows.map(|row| views::token(&row, now)))
    }
}

/// Makes a class token. Its phrase is shown now, and later by [`App::reveal_token`] (A6).
pub(crate) async fn create(work: &mut Work, new: NewToken) -> Result<Change<Token>> {
    work.refuse_archived()?;
    let row = work.make_token(new).await?;
    Ok(Change::of(views::token(&row, work.now), row).shown())
}

/// Changes a class token.
pub(crate) async fn update(
    work: &mut Work,
    name: TokenName,
    etag: String,
    patch: TokenPatch,
) -> Result<Change<Token>> {
    let mut row = find(work.repository.as_mut(), &name).await?;
    check_etag(&etag, row.revision)?;
    let fields = apply(&mut row, patch);
    if !fields.is_empty() {
        work.save("token.updated", &mut row, changed(&fields))
            .await?;
    }
    Ok(Change::of(views::token(&row, work.now), row))
}

/// Ends a class token permanently (A14); it is answered once nobody is admitted by the token (P7).
pub(crate) async fn revoke(
    work: &mut Work,
    name: TokenName,
    etag: String,
) -> Result<Change<Token>> {
    let mut row = find(work.repository.as_mut(), &name).await?;
    check_etag(&etag, row.revision)?;
    if row.revoke_time.is_none() {
        row.revoke_time = Some(work.now);
        row.end();
        work.save("token.revoked", &mut row, BTreeMap::new())
            .await?;
    }
    Ok(Change::of(views::token(&row, work.now), row))
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
    let expire_time = match patch.expire_time {
        // A class token always expires (A14).
        Patch::Set(None) => Patch::Set(Some(create_time + CLASS_TOKEN_LIFETIME)),
        other => other,
    };
    expire_time.apply(&mut invitation.valid_till, "expire_time", &mut fields);
    patch
        .display_name
        .apply(&mut row.display_name, "display_name", &mut fields);
    fields
}

impl Work {
    /// Inserts a class token with a phrase that no other has, and its event.
    pub(crate) async fn make_token(&mut self, new: NewToken) -> Result<InvitationRow> {
        self.make_tokens(vec![new])
            .await?
            .pop()
            .ok_or_else(|| Error::internal("a token was not made"))
    }

    /// Inserts class tokens in the given order, each with a phrase that no other has, and their events.
    pub(crate) async fn make_tokens(&mut self, new: Vec<NewToken>) -> Result<Vec<InvitationRow>> {
        let app = Arc::clone(&self.app);
        let mut tokens: Vec<(InvitationRow, WordCount)> = new
            .into_iter()
            .map(|new| {
                let id = new_id(app.clock.as_ref(), app.random.as_ref());
                let kind = InvitationKind::ClassToken;
                let mut row = InvitationRow::new(id, kind, self.place.clone(), self.now);
                row.display_name = new.display_name;
                let invitation = &mut row.invitation;
                invitation.max_uses = new.max_uses;
                invitation.assigned_email = new.assigned_email;
                invitation.external_id = new.external_id;
                invitation.valid_till =
                    Some(new.expire_time.unwrap_or(self.now + CLASS_TOKEN_LIFETIME));
                (row, new.words)
            })
            .collect();
        let mut without: Vec<usize> = (0..tokens.len()).collect();
        for _ in 0..PHRASE_DRAWS_MAX {
            if without.is_empty() {
                break;
            }
            without = self.draw_phrases(&mut tokens, without).await?;
        }
        if !without.is_empty() {
            return Err(Error::internal("no phrase was free"));
        }
        let rows: Vec<InvitationRow> = tokens.into_iter().map(|(row, _)| row).collect();
        self.events("token.created", &rows, BTreeMap::new()).await?;
        Ok(rows)
    }

    /// Draws a phrase for each token of `wanted` and inserts the tokens whose phrase is free: neither the phrase nor
    /// its words in reverse order are a live phrase. Returns the others.
    async fn draw_phrases(
        &mut self,
        tokens: &mut [(InvitationRow, WordCount)],
        wanted: Vec<usize>,
    ) -> Result<Vec<usize>> {
        let app = Arc::clone(&self.app);
        let secrets = app.secrets();
        let mut drawn = Vec::with_capacity(wanted.len());
        for index in wanted {
            let Some((_, words)) = tokens.get(index) else {
                continue;
            };
            let phrase = Phrase::generate(*words, app.random.as_ref());
            let kind = InvitationKind::ClassToken;
            let mut macs = secrets.lookup_macs(kind, &phrase.canonical());
            macs.extend(secrets.lookup_macs(kind, &phrase.reversed().canonical()));
            drawn.push((index, phrase, macs));
        }
        let macs: Vec<[u8; 32]> = drawn.iter().flat_map(|(.., macs)| macs).copied().collect();
        let mut taken: HashSet<Vec<u8>> = self
            .repository
            .find_all_by_lookup_macs(&macs)
            .await?
            .into_iter()
            .filter_map(|row| Some(row.secret?.lookup_mac))
            .collect();
        let mut left = Vec::new();
        let mut free = Vec::new();
        let mut rows = Vec::new();
        for (index, phrase, macs) in drawn {
            if macs.iter().any(|mac| taken.contains(mac.as_slice())) {
                left.push(index);
            } else if let Some((row, _)) = tokens.get_mut(index) {
                taken.extend(macs.iter().map(|mac| mac.to_vec()));
                let canonical = phrase.canonical();
                row.words = u32::try_from(phrase.words()).unwrap_or(0);
                row.set_secret(secrets, &canonical, &canonical)?;
                free.push(index);
                rows.push(row.clone());
            }
        }
        let inserted = self.repository.insert_invitations(&rows).await?;
        left.extend(
            free.into_iter()
                .zip(inserted)
                .filter(|(_, inserted)| !inserted)
                .map(|(index, _)| index),
        );
        Ok(left)
    }
}

//! Class tokens: phrases of two to four words (A6 to A14).

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use chrono::{DateTime, Utc};
use homeroom_api::{
    membership::v1::Permission,
    names::{InvitationName, Place},
};
use homeroom_kit::{
    Error, Result,
    auth::Caller,
    email::EmailAddress,
    paging::{Page, PageRequest},
    rpc::Patch,
};

use super::{
    App,
    answer::Shown,
    find::{find, not_found},
    write::{Change, Work, changed},
};
use crate::{
    domain::{
        invitation::{CLASS_TOKEN_LIFETIME, InvitationFilter, InvitationKind},
        ways::phrase::{Phrase, WordCount},
    },
    store::InvitationRow,
};

/// The maximum number of phrases that are drawn for one token.
const PHRASE_DRAWS_MAX: usize = 64;

/// A class token to make (A6, A8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewToken {
    /// Its fields.
    pub(crate) fields: TokenFields,
    /// The number of words in its phrase.
    pub(crate) words: WordCount,
}

/// The fields of a class token that staff set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct TokenFields {
    /// The number of people that it admits; None: any number.
    pub(crate) max_uses: Patch<Option<u32>>,
    /// The one address that may use it.
    pub(crate) assigned_email: Patch<Option<EmailAddress>>,
    /// The one external id that may use it.
    pub(crate) external_id: Patch<Option<String>>,
    /// A label for staff.
    pub(crate) display_name: Patch<String>,
    /// The time at which it stops working; None: 30 days after it was made (A14).
    pub(crate) expire_time: Patch<Option<DateTime<Utc>>>,
}

impl TokenFields {
    /// Sets the fields, and returns the names of those that changed.
    fn set(self, row: &mut InvitationRow) -> Vec<&'static str> {
        let mut changed = Vec::new();
        let (to, all) = (&mut row.invitation, &mut changed);
        self.max_uses.apply(&mut to.max_uses, "max_uses", all);
        self.assigned_email
            .apply(&mut to.assigned_email, "assigned_email", all);
        self.external_id
            .apply(&mut to.external_id, "external_id", all);
        let expire_time = match self.expire_time {
            // A class token always expires (A14).
            Patch::Set(None) => Patch::Set(Some(row.create_time + CLASS_TOKEN_LIFETIME)),
            other => other,
        };
        expire_time.apply(&mut to.valid_till, "expire_time", all);
        self.display_name
            .apply(&mut row.display_name, "display_name", all);
        changed
    }
}

impl App {
    /// Reads a class token with its phrase masked.
    pub async fn get_token(&self, caller: &Caller, name: InvitationName) -> Result<Shown> {
        self.authorize(caller, &name.place, Permission::ReadInvitations)
            .await?;
        let row = find(&mut self.store.read().await?, &name).await?;
        Ok(self.masked(row))
    }

    /// Returns a class token with its phrase; fails with `TOKEN_NOT_FOUND` once it is destroyed. The read is audited.
    pub async fn reveal_token(&self, caller: &Caller, name: InvitationName) -> Result<Shown> {
        self.authorize(caller, &name.place, Permission::ReadInvitations)
            .await?;
        let row = find(&mut self.store.read().await?, &name).await?;
        if row.secret.is_none() {
            return Err(not_found(&name));
        }
        self.audit_read(caller, &row).await?;
        self.shown(row)
    }

    /// Lists a class's tokens, newest first, with masked phrases.
    pub async fn list_tokens(
        &self,
        caller: &Caller,
        class: Place,
        filter: InvitationFilter,
        page: &PageRequest,
    ) -> Result<Page<Shown>> {
        self.authorize(caller, &class, Permission::ReadInvitations)
            .await?;
        let rows = self
            .list_rows(&class, InvitationKind::ClassToken, &filter, page)
            .await?;
        Ok(rows.map(|row| self.masked(row)))
    }
}

/// Makes a class token. Its phrase is shown now, and later by [`App::reveal_token`] (A6).
pub(crate) async fn create(work: &mut Work, _: Place, new: NewToken) -> Result<Change> {
    work.refuse_archived()?;
    let mut made = work.make_tokens(vec![new]).await?;
    let made = made
        .pop()
        .ok_or_else(|| Error::internal("a token was not made"))?;
    Ok(Change::shown(made))
}

/// Makes a class token for each valid row of a roster, all in one transaction (A8). Returns the errors of the others,
/// in their places.
pub(crate) async fn create_batch(
    work: &mut Work,
    _: Place,
    rows: Vec<Result<NewToken>>,
) -> Result<Change<Vec<Option<Error>>>> {
    work.refuse_archived()?;
    let mut valid = Vec::with_capacity(rows.len());
    let mut done = Vec::with_capacity(rows.len());
    for row in rows {
        done.push(row.map(|new| valid.push(new)).err());
    }
    Ok(Change {
        done,
        // A failure here is the database's, so the whole batch is rolled back.
        rows: work.make_tokens(valid).await?,
        shows_secrets: true,
    })
}

/// Changes a class token.
pub(crate) async fn update(
    work: &mut Work,
    name: InvitationName,
    (fields, etag): (TokenFields, String),
) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    let fields = fields.set(&mut row);
    if !fields.is_empty() {
        work.save("token.updated", &mut row, changed(&fields))
            .await?;
    }
    Ok(Change::of(row))
}

/// Ends a class token permanently (A14); it is answered once nobody is admitted by the token (P7).
pub(crate) async fn revoke(work: &mut Work, name: InvitationName, etag: String) -> Result<Change> {
    let mut row = work.load(&name, &etag).await?;
    if row.revoke_time.is_none() {
        row.revoke_time = Some(work.now);
        row.end();
        work.save("token.revoked", &mut row, BTreeMap::new())
            .await?;
    }
    Ok(Change::of(row))
}

impl Work {
    /// Inserts class tokens in the given order, each with a phrase that no other has, and their events.
    async fn make_tokens(&mut self, new: Vec<NewToken>) -> Result<Vec<InvitationRow>> {
        let mut tokens: Vec<(InvitationRow, WordCount)> = new
            .into_iter()
            .map(|new| {
                let mut row = self.new_invitation(InvitationKind::ClassToken);
                new.fields.set(&mut row);
                (row, new.words)
            })
            .collect();
        let lacks_phrase = |(row, _): &(InvitationRow, WordCount)| row.secret.is_none();
        for _ in 0..PHRASE_DRAWS_MAX {
            if !tokens.iter().any(lacks_phrase) {
                break;
            }
            self.draw_phrases(&mut tokens).await?;
        }
        if tokens.iter().any(lacks_phrase) {
            return Err(Error::internal("no phrase was free"));
        }
        let rows: Vec<InvitationRow> = tokens.into_iter().map(|(row, _)| row).collect();
        self.events("token.created", &rows, BTreeMap::new()).await?;
        Ok(rows)
    }

    /// Draws a phrase for each token without one, and inserts the tokens whose phrase is free: neither the phrase nor its
    /// words in reverse order are a live phrase. The others stay without.
    async fn draw_phrases(&mut self, tokens: &mut [(InvitationRow, WordCount)]) -> Result<()> {
        let app = Arc::clone(&self.app);
        let secrets = app.secrets();
        let macs_of = |phrase: &Phrase| {
            let canonical = phrase.canonical();
            secrets.look_up(InvitationKind::ClassToken, &canonical).macs
        };
        let mut drawn = Vec::with_capacity(tokens.len());
        for (row, words) in tokens.iter_mut().filter(|(row, _)| row.secret.is_none()) {
            let phrase = Phrase::generate(*words, app.random.as_ref());
            let macs = [macs_of(&phrase), macs_of(&phrase.reversed())].concat();
            drawn.push((row, phrase, macs));
        }
        let macs: Vec<[u8; 32]> = drawn.iter().flat_map(|(.., macs)| macs).copied().collect();
        let mut taken: HashSet<Vec<u8>> = self
            .repository
            .find_all_by_lookup_macs(&macs)
            .await?
            .into_iter()
            .filter_map(|row| Some(row.secret?.lookup_mac))
            .collect();
        drawn.retain(|(.., macs)| {
            let is_free = !macs.iter().any(|mac| taken.contains(mac.as_slice()));
            if is_free {
                taken.extend(macs.iter().map(|mac| mac.to_vec()));
            }
            is_free
        });
        let mut rows = Vec::with_capacity(drawn.len());
        for (row, phrase, _) in &mut drawn {
            let canonical = phrase.canonical();
            row.words = u32::try_from(phrase.words()).unwrap_or(0);
            row.set_secret(secrets, &canonical, &canonical)?;
            rows.push(row.clone());
        }
        let inserted = self.repository.insert_invitations(&rows).await?;
        for ((row, ..), inserted) in drawn.into_iter().zip(inserted) {
            if !inserted {
                row.secret = None;
            }
        }
        Ok(())
    }
}

//! Erasures and moves of accounts, and the data kept about a person in every organization (R13, R15).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{
    args,
    database::Engine,
    erasure::{Mark, Replacement},
    store::{columns, json_ids, json_rows},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{InvitationRow, Redemption, Repository, Result, invitations, redemptions::REDEMPTIONS};

/// The data that an organization knows about a person, by which its tokens are assigned to them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PersonKnown {
    /// The organization.
    #[serde(with = "columns::text")]
    pub organization: OrganizationId,
    /// Canonical address; empty if unknown.
    pub email: String,
    /// The id in the school's own system; empty if unknown.
    pub external_id: String,
}

/// An erasure, or a move of one account to another, under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The id in both services: of an erasure the pseudonym, of a move an id of its own.
    pub id: UserId,
    /// The person, and the pseudonym or the other account that replaces them in both services.
    pub replacement: Replacement,
    /// The data known about the person.
    pub known: Vec<PersonKnown>,
    /// The user who asked for it; the pseudonym, if it was the person.
    pub actor: String,
    /// The time at which it began.
    pub create_time: DateTime<Utc>,
}

impl Erasure {
    /// Returns true if one account becomes another, and nothing is lost.
    #[must_use]
    pub fn is_move(&self) -> bool {
        self.id != self.replacement.by
    }
}

/// The progress of an erasure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErasureState {
    /// The erasure is still to be finished.
    UnderWay(Box<Erasure>),
    /// Nothing is left of the person.
    Done,
}

/// The domain of an address that nobody can have (RFC 2606).
const NOBODYS_DOMAIN: &str = "erased.invalid";

fn erasures(conditions: &str) -> String {
    "SELECT pseudonym, user_id, target, particulars, actor, create_time, done_time FROM erasures WHERE "
        .to_owned()
        + conditions
}

/// Returns the condition for tokens that are assigned to a person by address or by school id, in the organizations that
/// know the person by it: the data of one organization says nothing about another's tokens (I8).
fn assigned(on: Engine) -> String {
    format!(
        "organization_id IN (SELECT input.value->>'organization' FROM {known}) \
         AND ((assigned_email <> '' AND (organization_id, assigned_email) IN \
         (SELECT input.value->>'organization', lower(input.value->>'email') FROM {known})) \
         OR (external_id <> '' AND (organization_id, external_id) IN \
         (SELECT input.value->>'organization', input.value->>'external_id' FROM {known})))",
        known = on.rows("$1", "input")
    )
}

homeroom_kit::statements! {
    INSERT = "INSERT INTO erasures \
        (pseudonym, user_id, particulars, actor, create_time, target) VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (user_id) WHERE done_time IS NULL DO NOTHING";

    GET = erasures("pseudonym = $1");

    FIND = erasures("done_time IS NULL AND user_id = $1 ORDER BY create_time LIMIT 1");

    LIST = erasures("done_time IS NULL AND create_time < $1 ORDER BY create_time LIMIT $2");

    DELETE = "DELETE FROM erasures WHERE pseudonym = $1 AND done_time IS NULL";

    END = "UPDATE erasures SET user_id = '', particulars = '[]', actor = '', target = '', \
        done_time = $2 WHERE pseudonym = $1 AND done_time IS NULL";

    OF_PERSON = format!(
        "SELECT {} FROM redemptions WHERE user_id = $1 AND redemption_id > $2 ORDER BY redemption_id LIMIT $3",
        REDEMPTIONS.of("redemptions")
    );

    KNOWN = "SELECT DISTINCT organization_id AS organization, email, external_id FROM redemptions \
        WHERE user_id = $1";

    ORGANIZATIONS_WITH_TOKENS(on) =
        "SELECT DISTINCT organization_id FROM invitations WHERE ".to_owned() + &assigned(on);

    TOKENS_OF(on) = format!(
        "{}FROM invitations WHERE {} AND invitation_id > $2 ORDER BY invitation_id LIMIT $3",
        invitations::select(),
        assigned(on)
    );

    ASSIGN(on) = format!(
        "UPDATE invitations SET \
         assigned_email = CASE WHEN assigned_email = '' THEN '' ELSE $3 END, \
         external_id = CASE WHEN external_id = '' THEN '' ELSE $4 END, \
         display_name = '', revision = revision + 1 \
         WHERE {} AND organization_id IN (SELECT input.value->>'id' FROM {})",
        assigned(on),
        on.rows("$2", "input")
    );

    GIVE(on) = format!(
        "UPDATE redemptions SET user_id = input.value->>'user' FROM {} WHERE redemptions.redemption_id = input.value->>'id'",
        on.rows("$1", "input")
    );

    FORGET_PARTICULARS(on) = format!(
        "UPDATE redemptions SET display_name = '', email = '', external_id = '' \
         WHERE redemption_id IN (SELECT input.value->>'id' FROM {})",
        on.rows("$1", "input")
    );

    // The index `redemptions_living` has the same condition.
    MEETS_ANOTHER(on) = format!(
        "SELECT EXISTS (SELECT 1 FROM {} JOIN redemptions r ON r.redemption_id = input.value->>'id' \
         JOIN redemptions o ON o.invitation_id = r.invitation_id AND o.epoch = r.epoch \
         AND o.user_id = input.value->>'user' AND o.redemption_id <> r.redemption_id \
         WHERE (r.state = 'RESERVED' OR (r.state = 'QUEUED' AND r.holds_use)) \
         AND (o.state = 'RESERVED' OR (o.state = 'QUEUED' AND o.holds_use)))",
        on.rows("$1", "input")
    );

    FORGET_ANSWERED(on) = format!(
        "DELETE FROM redemption_request_ids WHERE redemption_id IN (SELECT input.value->>'id' FROM {})",
        on.rows("$1", "input")
    );

    FORGET_ASKED = "DELETE FROM redemption_request_ids WHERE acting_user = $1";

    // In each of these `$1` is the person, `$2` the other id.
    ATTEMPTS = "UPDATE refused_attempts SET user_id = $2, \
        calling_service = CASE WHEN calling_service = $1 THEN $2 ELSE calling_service END WHERE user_id = $1";
    ENTRIES = "UPDATE audit_entries SET actor = $2, \
        calling_service = CASE WHEN calling_service = $1 THEN $2 ELSE calling_service END WHERE actor = $1";
    SUBJECTS = "UPDATE audit_entries SET subject = 'users/' || CAST($2 AS TEXT) \
        WHERE subject = 'users/' || CAST($1 AS TEXT)";
}

#[derive(Deserialize)]
struct ErasureRow {
    #[serde(with = "columns::text")]
    pseudonym: UserId,
    #[serde(with = "columns::optional_text")]
    user_id: Option<UserId>,
    #[serde(with = "columns::optional_text")]
    target: Option<UserId>,
    #[serde(with = "columns::json")]
    particulars: Vec<PersonKnown>,
    actor: String,
    #[serde(with = "columns::time")]
    create_time: DateTime<Utc>,
    done_time: Option<i64>,
}

impl ErasureRow {
    fn under_way(self) -> Option<Erasure> {
        self.user_id
            .filter(|_| self.done_time.is_none())
            .map(|user| Erasure {
                replacement: Replacement {
                    user,
                    by: self.target.unwrap_or_else(|| self.pseudonym.clone()),
                },
                id: self.pseudonym,
                known: self.particulars,
                actor: self.actor,
                create_time: self.create_time,
            })
    }
}

impl Repository {
    /// Records an erasure that begins. Returns false and records nothing if one of the person is under way.
    pub async fn insert_erasure(&mut self, erasure: &Erasure) -> Result<bool> {
        let bound = args![
            &erasure.id,
            &erasure.replacement.user,
            json_rows(&erasure.known),
            &erasure.actor,
            erasure.create_time,
            erasure.is_move().then_some(&erasure.replacement.by),
        ];
        Ok(self.0.run(&INSERT, bound).await? == 1)
    }

    /// Returns the progress of the erasure; None if there is none, or it was called off.
    pub async fn get_erasure(&mut self, id: &UserId) -> Result<Option<ErasureState>> {
        let row: Option<ErasureRow> = self.0.first(&GET, args![id]).await?;
        Ok(row.map(|row| match row.under_way() {
            Some(erasure) => ErasureState::UnderWay(Box::new(erasure)),
            None => ErasureState::Done,
        }))
    }

    /// Returns the person's erasure under way, if there is one.
    pub async fn find_erasure_of(&mut self, user: &UserId) -> Result<Option<Erasure>> {
        let row: Option<ErasureRow> = self.0.first(&FIND, args![user]).await?;
        Ok(row.and_then(ErasureRow::under_way))
    }

    /// Returns erasures under way that began before a time, oldest first.
    pub async fn list_erasures_under_way(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Erasure>> {
        let rows: Vec<ErasureRow> = self.0.all(&LIST, args![before, limit]).await?;
        Ok(rows.into_iter().filter_map(ErasureRow::under_way).collect())
    }

    /// Calls off an erasure that has changed nothing.
    pub async fn delete_erasure(&mut self, id: &UserId) -> Result<()> {
        self.0.run(&DELETE, args![id]).await?;
        Ok(())
    }

    /// Records that the erasure is done, and forgets the person. Returns false if it was not under way, because another
    /// process has finished it.
    pub async fn end_erasure(&mut self, id: &UserId, now: DateTime<Utc>) -> Result<bool> {
        Ok(self.0.run(&END, args![id, now]).await? == 1)
    }

    /// Returns the person's redemptions in every organization with an id above `after`, sorted by id.
    pub async fn redemptions_of_person(
        &mut self,
        user: &UserId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>> {
        self.0.all(&OF_PERSON, args![user, after, limit]).await
    }

    /// Returns the data about the person in their redemptions.
    pub async fn known_of_person(&mut self, user: &UserId) -> Result<BTreeSet<PersonKnown>> {
        let known: Vec<PersonKnown> = self.0.all(&KNOWN, args![user]).await?;
        Ok(known.into_iter().collect())
    }

    /// Returns the tokens that are assigned to a person known by this data, sorted by id, after `after`. It reads every
    /// invitation.
    pub async fn tokens_of_person(
        &mut self,
        known: &BTreeSet<PersonKnown>,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<InvitationRow>> {
        let bound = args![json_rows(known), after, limit];
        self.0.all(&TOKENS_OF, bound).await
    }

    /// Returns the organizations whose events name the person, or whose tokens are assigned to them. It reads every
    /// event and invitation.
    pub async fn organizations_that_know(
        &mut self,
        user: &UserId,
        known: &[PersonKnown],
    ) -> Result<BTreeSet<OrganizationId>> {
        let bound = args![json_rows(known)];
        let ids = self.0.ids(&ORGANIZATIONS_WITH_TOKENS, bound).await?;
        let mut organizations: BTreeSet<OrganizationId> = ids.into_iter().collect();
        let told = self.0.organizations_with_events_of(user).await?;
        organizations.extend(told);
        Ok(organizations)
    }

    /// Gives redemptions to the named users, and forgets the request ids that they answer. Returns false and changes
    /// nothing if a user has a living redemption of the same invitation (P2).
    pub async fn give_redemptions(&mut self, to: &[(Uuid, UserId)]) -> Result<bool> {
        let rows = to
            .iter()
            .map(|(id, user)| json!({"id": id, "user": user.as_str()}));
        let rows = json_rows(rows);
        if self.0.flag(&MEETS_ANOTHER, args![rows.clone()]).await? {
            return Ok(false);
        }
        self.0.run(&GIVE, args![rows.clone()]).await?;
        self.0.run(&FORGET_ANSWERED, args![rows]).await?;
        Ok(true)
    }

    /// Deletes the names, addresses and school ids of these redemptions.
    pub async fn forget_particulars(&mut self, redemptions: &[Uuid]) -> Result<()> {
        let bound = args![json_ids(redemptions)];
        self.0.run(&FORGET_PARTICULARS, bound).await?;
        Ok(())
    }

    /// Assigns the person's tokens in these organizations, which the caller has locked, to the pseudonym, and so to
    /// nobody.
    pub async fn assign_to_nobody(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        known: &[PersonKnown],
        pseudonym: &UserId,
    ) -> Result<()> {
        let nobody = format!("{pseudonym}@{NOBODYS_DOMAIN}");
        let bound = args![json_rows(known), json_ids(organizations), nobody, pseudonym];
        self.0.run(&ASSIGN, bound).await?;
        Ok(())
    }

    /// Puts the other id in place of the person's in these organizations' events, which the caller has locked, in the refused
    /// attempts and in the audit trail. Forgets the person's request ids, and the answers to other users that hold one
    /// of the marks.
    pub async fn replace(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
        marks: &[Mark],
    ) -> Result<()> {
        let Replacement { user, by } = replacement;
        self.0.replace_in_events(organizations, replacement).await?;
        for statement in [&ATTEMPTS, &ENTRIES, &SUBJECTS] {
            self.0.run(statement, args![user, by]).await?;
        }
        self.0.run(&FORGET_ASKED, args![user]).await?;
        self.0.forget_person(user, marks).await?;
        Ok(())
    }
}

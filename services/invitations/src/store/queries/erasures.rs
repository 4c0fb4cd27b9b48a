//! Statements on erasures and on the data kept about a person (R13).

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::{OrganizationId, UserId};
use homeroom_kit::{
    clock::{from_micros, micros},
    erasure::{Mark, Replacement},
    outbox::Outbox as _,
    request_ids::RequestIds as _,
};
use serde_json::{Value, json};
use sqlx::{Database, Row as _};
use uuid::Uuid;

use super::{
    super::Db,
    SqlRepository, corrupt, ids_json, organization_id,
    redemption_row::read,
    redemption_statements::{redemption_columns, select_redemptions},
    rows_json, user_id,
};
use crate::{
    redemption::ledger::Redemption,
    store::{Erasure, ErasureState, Erasures, PersonKnown, Result},
};

/// The domain of an address that nobody can have (RFC 2606).
const NOBODYS_DOMAIN: &str = "erased.invalid";

macro_rules! erasures {
    ($where:literal) => {
        concat!(
            "SELECT pseudonym, user_id, particulars, actor, create_time, done_time FROM erasures WHERE ",
            $where
        )
    };
}

/// Selects tokens that are assigned to a person by address or by school id, in the organizations that know the person
/// by it: the data of one organization says nothing about another's tokens (I8).
macro_rules! assigned {
    () => {
        concat!(
            "((assigned_email <> '' AND (organization_id, assigned_email) IN \
             (SELECT input.value->>'organization', lower(input.value->>'email') FROM ",
            json_rows!("$1"),
            ")) OR (external_id <> '' AND (organization_id, external_id) IN \
             (SELECT input.value->>'organization', input.value->>'external_id' FROM ",
            json_rows!("$1"),
            ")))"
        )
    };
}

/// `$1` is the person, `$2` the pseudonym.
pub(super) const LOGS: &[&str] = &[
    "UPDATE refused_attempts SET user_id = $2, \
     calling_service = CASE WHEN calling_service = $1 THEN $2 ELSE calling_service END WHERE user_id = $1",
    "UPDATE audit_entries SET actor = $2, \
     calling_service = CASE WHEN calling_service = $1 THEN $2 ELSE calling_service END WHERE actor = $1",
    "UPDATE audit_entries SET subject = 'users/' || CAST($2 AS TEXT) WHERE subject = 'users/' || CAST($1 AS TEXT)",
];

homeroom_kit::statements! {
    INSERT = "INSERT INTO erasures \
        (pseudonym, user_id, particulars, actor, create_time) VALUES ($1, $2, $3, $4, $5) \
        ON CONFLICT (user_id) WHERE done_time IS NULL DO NOTHING";

    GET = erasures!("pseudonym = $1");

    FIND = erasures!("done_time IS NULL AND user_id = $1 ORDER BY create_time LIMIT 1");

    LIST = erasures!("done_time IS NULL AND create_time < $1 ORDER BY create_time LIMIT $2");

    DELETE = "DELETE FROM erasures WHERE pseudonym = $1 AND done_time IS NULL";

    END = "UPDATE erasures SET user_id = '', particulars = '[]', actor = '', \
        done_time = $2 WHERE pseudonym = $1 AND done_time IS NULL";

    REDEMPTIONS = select_redemptions!(
        "redemptions WHERE user_id = $1 AND redemption_id > $2 ORDER BY redemption_id LIMIT $3"
    );

    KNOWN = "SELECT DISTINCT organization_id, email, external_id FROM redemptions \
        WHERE user_id = $1";

    ORGANIZATIONS_WITH_TOKENS = concat!(
        "SELECT DISTINCT organization_id FROM invitations WHERE ",
        assigned!()
    );

    ASSIGN = concat!(
        "UPDATE invitations SET \
         assigned_email = CASE WHEN assigned_email = '' THEN '' ELSE $3 END, \
         external_id = CASE WHEN external_id = '' THEN '' ELSE $4 END, \
         display_name = '', revision = revision + 1 WHERE ",
        assigned!(),
        " AND organization_id IN (SELECT input.value->>'id' FROM ",
        json_rows!("$2"),
        ")"
    );

    GIVE = concat!(
        "UPDATE redemptions SET user_id = input.value->>'user', display_name = '', email = '', \
         external_id = '' FROM ",
        json_rows!("$1"),
        " WHERE redemptions.redemption_id = input.value->>'id'"
    );

    FORGET_ANSWERED = concat!(
        "DELETE FROM redemption_request_ids WHERE redemption_id IN \
         (SELECT input.value->>'id' FROM ",
        json_rows!("$1"),
        ")"
    );

    FORGET_ASKED = "DELETE FROM redemption_request_ids WHERE acting_user = $1";
}

fn known_json<'known>(known: impl IntoIterator<Item = &'known PersonKnown>) -> String {
    let rows = known.into_iter().map(|known| {
        json!({
            "organization": known.organization.as_str(),
            "email": known.email,
            "external_id": known.external_id,
        })
    });
    rows_json(rows)
}

fn known_of(json: &str) -> Result<Vec<PersonKnown>> {
    let malformed = || corrupt("the particulars of an erasure do not parse");
    let rows: Vec<Value> = serde_json::from_str(json).map_err(|_| malformed())?;
    rows.iter()
        .map(|row| {
            let text = |key: &str| row.get(key).and_then(Value::as_str).ok_or_else(malformed);
            Ok(PersonKnown {
                organization: organization_id(text("organization")?)?,
                email: text("email")?.to_owned(),
                external_id: text("external_id")?.to_owned(),
            })
        })
        .collect()
}

fn state(row: &<Db as Database>::Row) -> Result<ErasureState> {
    let done_time: Option<i64> = row.try_get("done_time")?;
    if done_time.is_some() {
        return Ok(ErasureState::Done);
    }
    Ok(ErasureState::UnderWay(Box::new(Erasure {
        replacement: Replacement {
            user: user_id(row.try_get("user_id")?)?,
            pseudonym: user_id(row.try_get("pseudonym")?)?,
        },
        known: known_of(row.try_get("particulars")?)?,
        actor: row.try_get("actor")?,
        create_time: from_micros(row.try_get("create_time")?),
    })))
}

fn under_way(row: &<Db as Database>::Row) -> Result<Option<Erasure>> {
    Ok(match state(row)? {
        ErasureState::UnderWay(erasure) => Some(*erasure),
        ErasureState::Done => None,
    })
}

#[async_trait]
impl Erasures for SqlRepository {
    async fn insert_erasure(&mut self, erasure: &Erasure) -> Result<bool> {
        let inserted = sqlx::query(INSERT)
            .bind(erasure.replacement.pseudonym.as_str())
            .bind(erasure.replacement.user.as_str())
            .bind(known_json(&erasure.known))
            .bind(erasure.actor.as_str())
            .bind(micros(erasure.create_time))
            .execute(self.connection())
            .await?;
        Ok(inserted.rows_affected() == 1)
    }

    async fn get_erasure(&mut self, pseudonym: &UserId) -> Result<Option<ErasureState>> {
        let row = sqlx::query(GET)
            .bind(pseudonym.as_str())
            .fetch_optional(self.connection())
            .await?;
        row.as_ref().map(state).transpose()
    }

    async fn find_erasure_of(&mut self, user: &UserId) -> Result<Option<Erasure>> {
        let row = sqlx::query(FIND)
            .bind(user.as_str())
            .fetch_optional(self.connection())
            .await?;
        Ok(row.as_ref().map(under_way).transpose()?.flatten())
    }

    async fn list_erasures_under_way(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<Erasure>> {
        let rows = sqlx::query(LIST)
            .bind(micros(before))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter()
            .filter_map(|row| under_way(row).transpose())
            .collect()
    }

    async fn delete_erasure(&mut self, pseudonym: &UserId) -> Result<()> {
        sqlx::query(DELETE)
            .bind(pseudonym.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn end_erasure(&mut self, pseudonym: &UserId, now: DateTime<Utc>) -> Result<bool> {
        let done = sqlx::query(END)
            .bind(pseudonym.as_str())
            .bind(micros(now))
            .execute(self.connection())
            .await?;
        Ok(done.rows_affected() == 1)
    }

    async fn redemptions_of_person(
        &mut self,
        user: &UserId,
        after: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Redemption>> {
        let rows = sqlx::query(REDEMPTIONS)
            .bind(user.as_str())
            .bind(after.map_or_else(String::new, |id| id.to_string()))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(read).collect()
    }

    async fn known_of_person(&mut self, user: &UserId) -> Result<BTreeSet<PersonKnown>> {
        let rows: Vec<(String, String, String)> = sqlx::query_as(KNOWN)
            .bind(user.as_str())
            .fetch_all(self.connection())
            .await?;
        rows.into_iter()
            .map(|(id, email, external_id)| {
                Ok(PersonKnown {
                    organization: organization_id(&id)?,
                    email,
                    external_id,
                })
            })
            .collect()
    }

    async fn organizations_that_know(
        &mut self,
        user: &UserId,
        known: &[PersonKnown],
    ) -> Result<BTreeSet<OrganizationId>> {
        let ids: Vec<String> = sqlx::query_scalar(ORGANIZATIONS_WITH_TOKENS)
            .bind(known_json(known))
            .fetch_all(self.connection())
            .await?;
        let found = ids.iter().map(|id| organization_id(id));
        let mut organizations = found.collect::<Result<BTreeSet<_>>>()?;
        organizations.extend(self.session.organizations_with_events_of(user).await?);
        Ok(organizations)
    }

    async fn give_redemptions(&mut self, to: &[(Uuid, UserId)]) -> Result<()> {
        let rows = to
            .iter()
            .map(|(id, user)| json!({"id": id.to_string(), "user": user.as_str()}));
        sqlx::query(GIVE)
            .bind(rows_json(rows))
            .execute(self.connection())
            .await?;
        sqlx::query(FORGET_ANSWERED)
            .bind(ids_json(to.iter().map(|(id, _)| id)))
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn assign_to_nobody(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        known: &[PersonKnown],
        pseudonym: &UserId,
    ) -> Result<()> {
        sqlx::query(ASSIGN)
            .bind(known_json(known))
            .bind(ids_json(organizations))
            .bind(format!("{pseudonym}@{NOBODYS_DOMAIN}"))
            .bind(pseudonym.as_str())
            .execute(self.connection())
            .await?;
        Ok(())
    }

    async fn pseudonymize(
        &mut self,
        organizations: &BTreeSet<OrganizationId>,
        replacement: &Replacement,
        marks: &[Mark],
    ) -> Result<()> {
        let user = replacement.user.as_str();
        self.session
            .pseudonymize_events(organizations, replacement)
            .await?;
        for statement in LOGS {
            sqlx::query(*statement)
                .bind(user)
                .bind(replacement.pseudonym.as_str())
                .execute(self.connection())
                .await?;
        }
        sqlx::query(FORGET_ASKED)
            .bind(user)
            .execute(self.connection())
            .await?;
        self.connection()
            .forget_person(&replacement.user, marks)
            .await?;
        Ok(())
    }
}

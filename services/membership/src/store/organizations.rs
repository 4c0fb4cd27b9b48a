//! The tables of organizations and their seats. A deleted organization is absent, but its id and prefix stay taken.

use chrono::{DateTime, Utc};
use homeroom_api::ids::{CODE_PREFIX_CHARS_MIN, OrganizationId, UserId};
use homeroom_kit::{
    args,
    database::Engine,
    store::{Table, folded, json_rows},
};

use super::{Repository, Result};
use crate::domain::{organization::Organization, seat::Seats};

/// The result of an insert of something that must be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InsertOutcome {
    /// The row was inserted.
    Inserted,
    /// The id is, or was, in use.
    IdTaken,
    /// The organization's code prefix is or was in use, or overlaps one that is or was: one begins with the other (B4).
    PrefixTaken,
}

const ORGANIZATIONS: Table = Table {
    texts: &["organization_id", "display_name", "code_prefix", "labels"],
    numbers: &["revision", "create_time", "update_time"],
    ..Table::new("organizations")
};

homeroom_kit::statements! {
    INSERT(on) = ORGANIZATIONS.insert(on, "$1") + " WHERE true ON CONFLICT DO NOTHING";
    /// Lets one organization at a time choose its code prefix, until the transaction ends.
    LOCK_CODE_PREFIXES(on) = match on {
        Engine::Postgres => "SELECT pg_advisory_xact_lock(4850001)",
        Engine::Sqlite => "SELECT 1",
    };
    /// Selects if a prefix begins with another one or the other way round, as they read (B4): then two codes could be
    /// equal. All such prefixes share their first letters, from `$2` to `$3`, so the index on prefixes finds them.
    PREFIX_OVERLAPS = format!(
        "SELECT EXISTS (SELECT 1 FROM organizations WHERE {known} >= {} AND {known} < {} \
         AND (substr({known}, 1, length($1)) = {chosen} OR substr({chosen}, 1, length(code_prefix)) = {known}))",
        folded("$2"),
        folded("$3"),
        known = folded("code_prefix"),
        chosen = folded("$1"),
    );
    INSERT_SEATS = "INSERT INTO organization_seats \
        (organization_id, seat_limit, seats_used, requests_waiting) VALUES ($1, $2, 0, 0)";
    ID_EXISTS = "SELECT EXISTS (SELECT 1 FROM organizations WHERE organization_id = $1)";
    ONE = format!(
        "SELECT {}, s.seat_limit FROM organizations o \
         JOIN organization_seats s ON s.organization_id = o.organization_id \
         WHERE o.organization_id = $1 AND o.delete_time IS NULL",
        ORGANIZATIONS.of("o")
    );
    LIST = format!(
        "SELECT {}, s.seat_limit FROM organizations o \
         JOIN organization_seats s ON s.organization_id = o.organization_id \
         WHERE o.organization_id > $1 AND o.delete_time IS NULL ORDER BY o.organization_id LIMIT $2",
        ORGANIZATIONS.of("o")
    );
    LIST_OF_MEMBER = format!(
        "SELECT {}, s.seat_limit FROM organization_members m \
         JOIN organizations o ON o.organization_id = m.organization_id \
         JOIN organization_seats s ON s.organization_id = o.organization_id \
         WHERE m.user_id = $3 AND m.organization_id > $1 AND o.delete_time IS NULL \
         ORDER BY m.organization_id LIMIT $2",
        ORGANIZATIONS.of("o")
    );
    SAVE(on) = format!(
        "UPDATE organizations SET {} FROM {} \
         WHERE organizations.organization_id = input.value->>'organization_id'",
        ORGANIZATIONS.but(&["organization_id", "code_prefix", "create_time"]).assign(on),
        on.rows("$1", "input")
    );
    SAVE_LIMIT = "UPDATE organization_seats SET seat_limit = $2 WHERE organization_id = $1";
    DELETE = "UPDATE organizations SET delete_time = $2 \
        WHERE organization_id = $1 AND delete_time IS NULL";
    /// Takes the organization's lock until the transaction ends.
    LOCK_ORGANIZATION(on) = format!(
        "SELECT organization_id FROM organization_seats WHERE organization_id = $1{}",
        on.for_update()
    );
    SEATS = "SELECT seat_limit, seats_used, requests_waiting FROM organization_seats \
        WHERE organization_id = $1";
    ALL_SEATS = "SELECT CAST(coalesce(sum(seat_limit), 0) AS BIGINT) AS seat_limit, \
        CAST(coalesce(sum(CASE WHEN seat_limit > 0 THEN seats_used ELSE 0 END), 0) AS BIGINT) AS seats_used, \
        CAST(coalesce(sum(requests_waiting), 0) AS BIGINT) AS requests_waiting FROM organization_seats";
    SAVE_SEATS = "UPDATE organization_seats SET seats_used = $2, requests_waiting = $3 \
        WHERE organization_id = $1";
}

impl Repository {
    /// Inserts an organization with its seats row, none used.
    pub async fn insert_organization(
        &mut self,
        organization: &Organization,
    ) -> Result<InsertOutcome> {
        self.0.run(&LOCK_CODE_PREFIXES, args![]).await?;
        let prefix = organization.code_prefix.as_str();
        let first_letters: String = prefix.chars().take(CODE_PREFIX_CHARS_MIN).collect();
        let after_all = format!("{first_letters}~");
        let bound = args![prefix, first_letters, after_all];
        let overlaps = self.0.flag(&PREFIX_OVERLAPS, bound).await?;
        let id_exists = self.0.flag(&ID_EXISTS, args![&organization.id]).await?;
        if overlaps && !id_exists {
            return Ok(InsertOutcome::PrefixTaken);
        }
        let inserted = self
            .0
            .run(&INSERT, args![json_rows([organization])])
            .await?;
        if inserted == 1 {
            let bound = args![&organization.id, organization.seat_limit];
            self.0.run(&INSERT_SEATS, bound).await?;
            return Ok(InsertOutcome::Inserted);
        }
        // Prefixes are chosen one at a time, so only the id can have been taken meanwhile.
        Ok(InsertOutcome::IdTaken)
    }

    /// Returns one organization.
    pub async fn organization(&mut self, id: &OrganizationId) -> Result<Option<Organization>> {
        self.0.first(&ONE, args![id]).await
    }

    /// Lists organizations, or those of which `member` is a member, in the order of their ids, after `after`.
    pub async fn list_organizations(
        &mut self,
        member: Option<&UserId>,
        after: Option<&OrganizationId>,
        limit: u32,
    ) -> Result<Vec<Organization>> {
        let mut bound = args![after, limit];
        bound.extend(member.map(Into::into));
        let list = match member {
            Some(_) => &LIST_OF_MEMBER,
            None => &LIST,
        };
        self.0.all(list, bound).await
    }

    /// Stores display name, labels, revision, update time and seat limit.
    pub async fn save_organization(&mut self, organization: &Organization) -> Result<()> {
        self.0.run(&SAVE, args![json_rows([organization])]).await?;
        let bound = args![&organization.id, organization.seat_limit];
        self.0.run(&SAVE_LIMIT, bound).await?;
        Ok(())
    }

    /// Deletes an organization permanently. The caller must end its memberships and classes first.
    pub async fn delete_organization(
        &mut self,
        id: &OrganizationId,
        now: DateTime<Utc>,
    ) -> Result<()> {
        self.0.run(&DELETE, args![id, now]).await?;
        Ok(())
    }

    /// Takes the organization's lock until the session ends, which every change of it does first (P6), then reads its
    /// seats in a later statement. Returns None if the organization never existed. Several organizations must be locked
    /// in the order of their ids.
    pub async fn lock_organization(&mut self, id: &OrganizationId) -> Result<Option<Seats>> {
        let locked: Option<String> = self.0.first(&LOCK_ORGANIZATION, args![id]).await?;
        match locked {
            Some(_) => self.seats(id).await,
            None => Ok(None),
        }
    }

    /// Returns the organization's seats, without the lock.
    pub async fn seats(&mut self, id: &OrganizationId) -> Result<Option<Seats>> {
        self.0.first(&SEATS, args![id]).await
    }

    /// Returns the sums of all organizations' seats and waiting requests.
    pub async fn all_seats(&mut self) -> Result<Seats> {
        self.0.one(&ALL_SEATS, args![]).await
    }

    /// Stores the seats used and the requests waiting; must be called under the lock.
    /// [`Repository::save_organization`] stores the limit.
    pub async fn save_seats(&mut self, id: &OrganizationId, seats: &Seats) -> Result<()> {
        let bound = args![id, seats.used, seats.waiting];
        self.0.run(&SAVE_SEATS, bound).await?;
        Ok(())
    }
}

//! The SQL text, compiled for both engines.

use super::{
    super::{BodyMac, Claim, RequestIds, RequestKey, forgotten_before},
    Connection, FORGET_ANSWERS_WITH,
};
use crate::{clock::micros, database::Error, erasure::Mark};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::ids::UserId;

const FIND: &str = "SELECT body_mac, response FROM request_ids \
    WHERE subject = $1 AND acting_user = $2 AND method = $3 AND request_id = $4 \
    AND create_time >= $5";

/// Claims an id; a row that is expired but not yet deleted is replaced.
const CLAIM: &str = "INSERT INTO request_ids \
    (subject, acting_user, method, request_id, body_mac, create_time) \
    VALUES ($1, $2, $3, $4, $5, $6) \
    ON CONFLICT (subject, acting_user, method, request_id) DO UPDATE \
    SET body_mac = excluded.body_mac, response = NULL, create_time = excluded.create_time \
    WHERE request_ids.create_time < $7";

const COMPLETE: &str = "UPDATE request_ids SET response = $5 \
    WHERE subject = $1 AND acting_user = $2 AND method = $3 AND request_id = $4";

const PRUNE: &str = "DELETE FROM request_ids \
    WHERE (subject, acting_user, method, request_id) IN ( \
    SELECT subject, acting_user, method, request_id FROM request_ids \
    WHERE create_time < $1 ORDER BY create_time LIMIT $2)";

const FORGET_REQUESTS_OF: &str = "DELETE FROM request_ids WHERE acting_user = $1";

#[async_trait]
impl RequestIds for Connection {
    async fn find(
        &mut self,
        key: &RequestKey,
        body: &BodyMac,
        now: DateTime<Utc>,
    ) -> Result<Claim, Error> {
        let row: Option<(Vec<u8>, Option<Vec<u8>>)> = sqlx::query_as(FIND)
            .bind(key.subject.as_str())
            .bind(key.acting_user.as_str())
            .bind(key.method.as_str())
            .bind(key.request_id.to_string())
            .bind(micros(forgotten_before(now)))
            .fetch_optional(self)
            .await?;
        match row {
            None => Ok(Claim::New),
            Some((mac, _)) if !body.matches(&mac) => Ok(Claim::Conflict),
            Some((_, Some(response))) => Ok(Claim::Replay(response)),
            Some((_, None)) => Err(Error::corrupt("a request id has no response")),
        }
    }

    async fn claim(
        &mut self,
        key: &RequestKey,
        body: &BodyMac,
        now: DateTime<Utc>,
    ) -> Result<Claim, Error> {
        let claimed = sqlx::query(CLAIM)
            .bind(key.subject.as_str())
            .bind(key.acting_user.as_str())
            .bind(key.method.as_str())
            .bind(key.request_id.to_string())
            .bind(body.stored())
            .bind(micros(now))
            .bind(micros(forgotten_before(now)))
            .execute(&mut *self)
            .await?
            .rows_affected();
        if claimed == 1 {
            return Ok(Claim::New);
        }
        match self.find(key, body, now).await? {
            // The row existed a statement ago and was deleted in between, so the caller may retry.
            Claim::New => Err(Error::Conflict(std::sync::Arc::new(
                sqlx::Error::RowNotFound,
            ))),
            known => Ok(known),
        }
    }

    async fn complete(&mut self, key: &RequestKey, response: &[u8]) -> Result<(), Error> {
        let stored = sqlx::query(COMPLETE)
            .bind(key.subject.as_str())
            .bind(key.acting_user.as_str())
            .bind(key.method.as_str())
            .bind(key.request_id.to_string())
            .bind(response)
            .execute(self)
            .await?
            .rows_affected();
        if stored == 1 {
            Ok(())
        } else {
            Err(Error::corrupt(
                "a request id was completed but never claimed",
            ))
        }
    }

    async fn prune_request_ids(&mut self, before: DateTime<Utc>, limit: u32) -> Result<u64, Error> {
        let done = sqlx::query(PRUNE)
            .bind(micros(before))
            .bind(i64::from(limit))
            .execute(self)
            .await?;
        Ok(done.rows_affected())
    }

    async fn forget_person(&mut self, user: &UserId, marks: &[Mark]) -> Result<u64, Error> {
        let mut forgotten = sqlx::query(FORGET_REQUESTS_OF)
            .bind(user.as_str())
            .execute(&mut *self)
            .await?
            .rows_affected();
        for mark in marks {
            forgotten += sqlx::query(FORGET_ANSWERS_WITH)
                .bind(mark.told.as_slice())
                .bind(mark.within.as_slice())
                .execute(&mut *self)
                .await?
                .rows_affected();
        }
        Ok(forgotten)
    }
}

//! Request ids (AIP-155): a repeated request gets the same answer for 24 hours (R3).
//!
//! A row is written in the transaction of its change, so a visible row always has its response.
//! Responses are stored without secrets: the caller removes them and fills them in again.

use chrono::{DateTime, TimeDelta, Utc};
use homeroom_api::{common::v1::ErrorReason, ids::UserId};
use prost::encoding::{self, DecodeContext};
use serde::Deserialize;
use uuid::Uuid;

use crate::{
    args,
    auth::Caller,
    database::{Engine, Error},
    erasure::Mark,
    keys::KeyRing,
    status,
    store::{Arg, Session, columns},
};

/// The hours for which a request id is kept.
pub const REQUEST_ID_HOURS: i64 = 24;

const TAG: &str = "request-body v1";

/// The key of a request id's row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RequestKey {
    /// The caller's `sub`.
    pub subject: String,
    /// The user for whom the caller acts.
    pub acting_user: UserId,
    /// The gRPC path of the method.
    pub method: String,
    /// The id that the caller chose.
    pub request_id: Uuid,
}

impl RequestKey {
    /// Returns the key of a request of this caller.
    #[must_use]
    pub fn new(caller: &Caller, request_id: Uuid) -> Self {
        Self {
            subject: caller.subject.clone(),
            acting_user: caller.user.clone(),
            method: caller.method.clone(),
            request_id,
        }
    }
}

/// The HMAC of a request's body under every living key, so that key rotation causes no conflicts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyMac {
    current: [u8; 32],
    older: Vec<[u8; 32]>,
}

impl BodyMac {
    /// Returns the HMAC of an encoded message.
    #[must_use]
    pub fn of_bytes(keyring: &KeyRing, body: &[u8]) -> Self {
        let current = keyring.current();
        Self {
            current: keyring.mac(current, TAG, body),
            older: keyring
                .versions()
                .into_iter()
                .filter(|version| *version != current)
                .map(|version| keyring.mac(version, TAG, body))
                .collect(),
        }
    }

    /// Returns the HMAC of a message, encoded deterministically: the contract's maps are sorted. Its request id counts
    /// as one UUID, however it is spelled.
    #[must_use]
    pub fn of<M: prost::Message>(keyring: &KeyRing, request_id: Uuid, message: &M) -> Self {
        let body = message.encode_to_vec();
        Self::of_bytes(keyring, &with_canonical(request_id, &body))
    }

    /// Returns the HMAC to store, made with the current key.
    #[must_use]
    pub fn stored(&self) -> &[u8] {
        &self.current
    }

    /// Returns true if the stored HMAC is of the same body.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.current == stored || self.older.iter().any(|mac| mac == stored)
    }
}

/// Returns an encoded message with its request id spelled as the services spell UUIDs.
fn with_canonical(request_id: Uuid, body: &[u8]) -> Vec<u8> {
    let is_request_id = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok();
        text.and_then(|text| Uuid::try_parse(text).ok()) == Some(request_id)
    };
    let mut canonical = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Ok((tag, wire_type)) = encoding::decode_key(&mut rest) {
        let from = rest;
        let skipped = encoding::skip_field(wire_type, tag, &mut rest, DecodeContext::default());
        let value = from.get(..from.len() - rest.len()).unwrap_or_default();
        match value.split_first() {
            // The spellings of a UUID have fewer than 128 bytes, and so one byte for their length.
            Some((_, text)) if skipped.is_ok() && is_request_id(text) => {
                encoding::string::encode(tag, &request_id.to_string(), &mut canonical);
            }
            _ => {
                encoding::encode_key(tag, wire_type, &mut canonical);
                canonical.extend_from_slice(value);
            }
        }
    }
    canonical
}

/// The request id of a call, and its body.
pub type Claimed = (RequestKey, BodyMac);

/// Returns the request id and body of a call, or `None` without a request id, so that every call is
/// a new one.
#[must_use]
pub fn claimed<M: prost::Message>(
    keyring: &KeyRing,
    caller: &Caller,
    request_id: Option<Uuid>,
    message: &M,
) -> Option<Claimed> {
    let request_id = request_id?;
    Some((
        RequestKey::new(caller, request_id),
        BodyMac::of(keyring, request_id, message),
    ))
}

/// The state of a request id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The id is new: the change must be made, and [completed](Session::complete) in the same
    /// transaction.
    New,
    /// The change was made, with this response.
    Replay(Vec<u8>),
    /// The id was used for another body.
    Conflict,
}

impl Claim {
    /// Returns the stored response, or `None` if the change must be made. Fails with
    /// `REQUEST_ID_CONFLICT` for another body.
    pub fn resolve(self) -> status::Result<Option<Vec<u8>>> {
        match self {
            Self::New => Ok(None),
            Self::Replay(response) => Ok(Some(response)),
            Self::Conflict => Err(request_id_conflict()),
        }
    }
}

/// Returns the error for a request id that was used for another request.
#[must_use]
pub fn request_id_conflict() -> status::Error {
    status::Error::new(
        ErrorReason::RequestIdConflict,
        "Choose another request_id: this one was used for a different request within 24 hours.",
    )
    .violation("request_id", "was used for a different request")
}

crate::statements! {
    FIND = "SELECT body_mac, response FROM request_ids \
        WHERE subject = $1 AND acting_user = $2 AND method = $3 AND request_id = $4 \
        AND create_time >= $5";

    /// Claims an id; a row that is expired but not yet deleted is replaced.
    CLAIM = "INSERT INTO request_ids \
        (subject, acting_user, method, request_id, body_mac, create_time) \
        VALUES ($1, $2, $3, $4, $5, $6) \
        ON CONFLICT (subject, acting_user, method, request_id) DO UPDATE \
        SET body_mac = excluded.body_mac, response = NULL, create_time = excluded.create_time \
        WHERE request_ids.create_time < $7";

    COMPLETE = "UPDATE request_ids SET response = $5 \
        WHERE subject = $1 AND acting_user = $2 AND method = $3 AND request_id = $4";

    PRUNE = "DELETE FROM request_ids \
        WHERE (subject, acting_user, method, request_id) IN ( \
        SELECT subject, acting_user, method, request_id FROM request_ids \
        WHERE create_time < $1 ORDER BY create_time LIMIT $2)";

    FORGET_REQUESTS_OF = "DELETE FROM request_ids WHERE acting_user = $1";

    /// Deletes answers that contain given bytes; each engine has its own function for this.
    FORGET_ANSWERS_WITH(on) = match on {
        Engine::Postgres => "DELETE FROM request_ids \
            WHERE position($1 in response) > 0 AND position($2 in response) > 0",
        Engine::Sqlite => "DELETE FROM request_ids \
            WHERE instr(response, $1) > 0 AND instr(response, $2) > 0",
    };
}

#[derive(Deserialize)]
struct Found {
    #[serde(with = "columns::bytes")]
    body_mac: Vec<u8>,
    #[serde(with = "columns::optional_bytes")]
    response: Option<Vec<u8>>,
}

impl RequestKey {
    /// Returns the columns of the key.
    fn columns(&self) -> Vec<Arg> {
        args![
            &self.subject,
            &self.acting_user,
            &self.method,
            self.request_id
        ]
    }
}

/// Access to the table `request_ids`.
impl Session {
    /// Looks a request id up, without claiming it.
    pub async fn find(
        &mut self,
        key: &RequestKey,
        body: &BodyMac,
        now: DateTime<Utc>,
    ) -> Result<Claim, Error> {
        let mut bound = key.columns();
        bound.push(forgotten_before(now).into());
        let found: Option<Found> = self.first(&FIND, bound).await?;
        match found {
            None => Ok(Claim::New),
            Some(found) if !body.matches(&found.body_mac) => Ok(Claim::Conflict),
            Some(found) => found
                .response
                .map(Claim::Replay)
                .ok_or_else(|| Error::corrupt("a request id has no response")),
        }
    }

    /// Claims a request id in the transaction of the change; waits for another transaction that
    /// holds it.
    pub async fn claim(
        &mut self,
        key: &RequestKey,
        body: &BodyMac,
        now: DateTime<Utc>,
    ) -> Result<Claim, Error> {
        let mut bound = key.columns();
        bound.extend(args![body.stored(), now, forgotten_before(now)]);
        if self.run(&CLAIM, bound).await? == 1 {
            return Ok(Claim::New);
        }
        match self.find(key, body, now).await? {
            // The row existed a statement ago and was deleted in between, so the caller may retry.
            Claim::New => Err(Error::conflict("a request id was forgotten meanwhile")),
            known => Ok(known),
        }
    }

    /// Stores the response, in the transaction that claimed the id.
    pub async fn complete(&mut self, key: &RequestKey, response: &[u8]) -> Result<(), Error> {
        let mut bound = key.columns();
        bound.push(response.into());
        match self.run(&COMPLETE, bound).await? {
            1 => Ok(()),
            _ => Err(Error::corrupt(
                "a request id was completed but never claimed",
            )),
        }
    }

    /// Deletes at most `limit` rows created before this time. Returns how many.
    pub async fn prune_request_ids(
        &mut self,
        before: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, Error> {
        self.run(&PRUNE, args![before, limit]).await
    }

    /// Deletes the requests of a person, and the answers to others that contain one of the marks
    /// ([`marks_of`](crate::erasure::marks_of)): R13. Returns how many.
    pub async fn forget_person(&mut self, user: &UserId, marks: &[Mark]) -> Result<u64, Error> {
        let mut forgotten = self.run(&FORGET_REQUESTS_OF, args![user]).await?;
        for mark in marks {
            let bound = args![mark.told.as_slice(), mark.within.as_slice()];
            forgotten += self.run(&FORGET_ANSWERS_WITH, bound).await?;
        }
        Ok(forgotten)
    }
}

/// Returns the time before which request ids are expired.
#[must_use]
pub fn forgotten_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - TimeDelta::hours(REQUEST_ID_HOURS)
}

#[cfg(test)]
mod tests;

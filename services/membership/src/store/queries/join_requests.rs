//! Join requests.

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::OrganizationId,
    names::{JoinRequestName, Place},
};
use homeroom_kit::{
    clock::{from_micros, micros},
    database::Error,
};
use uuid::Uuid;

use super::{
    SqlRepository,
    rows::{self, Fields, class_text},
};
use crate::{
    domain::{
        join_request::{Cause, JoinRequest, State},
        member::{Method, Particulars},
    },
    store::{JoinRequests, Result, Shown, Waiting},
};

macro_rules! columns {
    () => {
        "join_requests.organization_id, join_requests.class_id, join_requests.request_id, \
         join_requests.user_id, join_requests.display_name, join_requests.email, \
         join_requests.external_id, join_requests.state, join_requests.cause, \
         join_requests.invitation, join_requests.redemption, join_requests.method, \
         join_requests.decide_note, join_requests.decided_by, join_requests.create_time, \
         join_requests.decide_time, join_requests.expire_time"
    };
}

/// Selects a page of a list: `$3` is the id before it, `$4` the cause or an empty text.
macro_rules! list {
    ($where:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM join_requests WHERE organization_id = $1 AND class_id = $2 \
             AND request_id < $3 AND ($4 = '' OR cause = $4) ",
            $where,
            " ORDER BY request_id DESC LIMIT $5"
        )
    };
}

/// An id greater than every other, in the order of both engines.
const BEFORE_THE_FIRST: &str = "g";

macro_rules! close {
    ($where:literal) => {
        concat!(
            "UPDATE join_requests SET \
             state = CASE WHEN expire_time > $1 THEN 'CLOSED' ELSE 'EXPIRED' END, \
             decided_by = 'system', \
             decide_time = CASE WHEN expire_time > $1 THEN $1 ELSE expire_time END \
             WHERE state = 'PENDING' AND organization_id = $2 \
             AND (organization_id, class_id, request_id) IN ( \
             SELECT organization_id, class_id, request_id FROM join_requests \
             WHERE state = 'PENDING' AND organization_id = $2 ",
            $where,
            " LIMIT $3) RETURNING ",
            columns!()
        )
    };
}

homeroom_kit::statements! {
    READ = concat!(
        "SELECT ",
        columns!(),
        " FROM ",
        json_rows!("$1"),
        " AS wanted JOIN join_requests ON join_requests.organization_id = wanted.value->>'o' \
         AND join_requests.class_id = wanted.value->>'c' \
         AND join_requests.request_id = wanted.value->>'r'"
    );
    // Expired requests count as not PENDING, even before the sweep.
    LIST = list!("");
    LIST_STATE = list!("AND state = $6 AND (state <> 'PENDING' OR expire_time > $7)");
    LIST_USER = list!("AND user_id = $6");
    LIST_USER_STATE = list!("AND user_id = $6 AND state = $7 AND (state <> 'PENDING' OR expire_time > $8)");
    CLOSE_CLASS = close!("AND class_id = $4");
    CLOSE_ORGANIZATION = close!("");
    CLOSE_USER_AT = close!("AND class_id = $4 AND user_id = $5");
    CLOSE_USER_IN = close!("AND user_id = $4");
    LAPSED_ORGANIZATIONS = concat!(
        "SELECT DISTINCT organization_id FROM \
         (SELECT organization_id FROM join_requests WHERE state = 'PENDING' AND expire_time <= $2 \
         AND organization_id NOT IN (SELECT passed.value->>'o' FROM ",
        json_rows!("$1"),
        " AS passed) ORDER BY expire_time LIMIT $3) AS lapsed ORDER BY organization_id"
    );
    LAPSED = concat!(
        "SELECT ",
        columns!(),
        " FROM join_requests WHERE state = 'PENDING' AND expire_time <= $1 \
         AND organization_id = $2 ORDER BY expire_time LIMIT $3"
    );
}

/// Reads a row of `join_requests`.
pub(super) fn join_request(row: &impl Fields) -> Result<JoinRequest> {
    Ok(JoinRequest {
        place: rows::place(row)?,
        id: rows::parse(row, "request_id", |text| Uuid::try_parse(text).ok())?,
        user: rows::user_id(row, "user_id")?,
        particulars: Particulars {
            display_name: row.text("display_name")?.to_owned(),
            email: row.text("email")?.to_owned(),
            external_id: row.text("external_id")?.to_owned(),
        },
        state: rows::parse(row, "state", State::parse)?,
        cause: rows::parse(row, "cause", Cause::parse)?,
        invitation: row.text("invitation")?.to_owned(),
        redemption: row.text("redemption")?.to_owned(),
        method: rows::parse(row, "method", Method::parse)?,
        decide_note: row.text("decide_note")?.to_owned(),
        decided_by: row.text("decided_by")?.to_owned(),
        create_time: from_micros(row.number("create_time")?),
        decide_time: row.optional_number("decide_time")?.map(from_micros),
        expire_time: from_micros(row.number("expire_time")?),
    })
}

#[async_trait]
impl JoinRequests for SqlRepository {
    async fn join_requests(&mut self, names: &[JoinRequestName]) -> Result<Vec<JoinRequest>> {
        let wanted: Vec<_> = names
            .iter()
            .map(|name| {
                serde_json::json!({
                    "o": name.place.organization().as_str(),
                    "c": class_text(&name.place),
                    "r": name.id.to_string(),
                })
            })
            .collect();
        let rows = sqlx::query(READ)
            .bind(serde_json::Value::Array(wanted).to_string())
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(join_request).collect()
    }

    async fn list_join_requests(
        &mut self,
        place: &Place,
        shown: &Shown,
        after: Option<Uuid>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<JoinRequest>> {
        let text = match (&shown.user, shown.state) {
            (None, None) => LIST,
            (None, Some(_)) => LIST_STATE,
            (Some(_), None) => LIST_USER,
            (Some(_), Some(_)) => LIST_USER_STATE,
        };
        let mut query = sqlx::query(text)
            .bind(place.organization().as_str().to_owned())
            .bind(class_text(place).to_owned())
            .bind(after.map_or_else(|| BEFORE_THE_FIRST.to_owned(), |id| id.to_string()))
            .bind(shown.cause.map_or("", Cause::as_str))
            .bind(i64::from(limit));
        if let Some(user) = &shown.user {
            query = query.bind(user.as_str().to_owned());
        }
        if let Some(state) = shown.state {
            query = query.bind(state.as_str()).bind(micros(now));
        }
        let rows = query.fetch_all(self.connection()).await?;
        rows.iter().map(join_request).collect()
    }

    async fn close_open_requests(
        &mut self,
        which: &Waiting,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>> {
        let (text, organization, bound): (_, _, Vec<&str>) = match which {
            Waiting::InClass(name) => (CLOSE_CLASS, &name.organization, vec![name.class.as_str()]),
            Waiting::InOrganization(organization) => (CLOSE_ORGANIZATION, organization, vec![]),
            Waiting::Of(place, user) => (
                CLOSE_USER_AT,
                place.organization(),
                vec![class_text(place), user.as_str()],
            ),
            Waiting::OfPersonIn(organization, user) => {
                (CLOSE_USER_IN, organization, vec![user.as_str()])
            }
        };
        let mut query = sqlx::query(text)
            .bind(micros(now))
            .bind(organization.as_str())
            .bind(i64::from(limit));
        for id in bound {
            query = query.bind(id.to_owned());
        }
        let rows = query.fetch_all(self.connection()).await?;
        rows.iter().map(join_request).collect()
    }

    async fn organizations_with_lapsed_requests(
        &mut self,
        now: DateTime<Utc>,
        passed_over: &BTreeSet<OrganizationId>,
        limit: u32,
    ) -> Result<Vec<OrganizationId>> {
        let passed: Vec<_> = passed_over
            .iter()
            .map(|id| serde_json::json!({ "o": id.as_str() }))
            .collect();
        let ids: Vec<String> = sqlx::query_scalar(LAPSED_ORGANIZATIONS)
            .bind(serde_json::Value::Array(passed).to_string())
            .bind(micros(now))
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        ids.iter()
            .map(|id| {
                OrganizationId::parse(id)
                    .map_err(|_| Error::corrupt("a stored organization id does not parse"))
            })
            .collect()
    }

    async fn lapsed_requests(
        &mut self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<JoinRequest>> {
        let rows = sqlx::query(LAPSED)
            .bind(micros(now))
            .bind(organization.as_str())
            .bind(i64::from(limit))
            .fetch_all(self.connection())
            .await?;
        rows.iter().map(join_request).collect()
    }
}

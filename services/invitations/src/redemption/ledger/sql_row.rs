//! The reading and writing of a redemption's columns.

use homeroom_api::{common::v1::ErrorReason, ids::ClassId};
use homeroom_kit::clock::{from_micros, micros};
use serde_json::{Value, json};
use sqlx::{Database, Row as _};
use uuid::Uuid;

use super::{super::Db, corrupt, place_of, user_id};
use crate::{
    domain::{
        decide::QueueCause,
        invitation::{Epoch, InvitationKind},
        redemption::{Outcome, RedemptionState},
    },
    redemption::ledger::{Person, Redemption, Route},
    store::Result,
};

const ADMIT_AT_ONCE: &str = "ADMIT_AT_ONCE";
const QUEUE: &str = "QUEUE";

const ADMITTED: &str = "ADMITTED";
const PENDING_APPROVAL: &str = "PENDING_APPROVAL";
const ALREADY_MEMBER: &str = "ALREADY_MEMBER";
const REFUSED: &str = "REFUSED";

/// Returns the two columns of an outcome: its name, and the reason of a refusal.
pub(super) fn outcome_columns(outcome: Option<Outcome>) -> (&'static str, &'static str) {
    match outcome {
        None => ("", ""),
        Some(Outcome::Admitted) => (ADMITTED, ""),
        Some(Outcome::PendingApproval) => (PENDING_APPROVAL, ""),
        Some(Outcome::AlreadyMember) => (ALREADY_MEMBER, ""),
        Some(Outcome::Refused(reason)) => (REFUSED, reason.as_str_name()),
    }
}

fn outcome(name: &str, reason: &str) -> Result<Option<Outcome>> {
    Ok(match name {
        "" => None,
        ADMITTED => Some(Outcome::Admitted),
        PENDING_APPROVAL => Some(Outcome::PendingApproval),
        ALREADY_MEMBER => Some(Outcome::AlreadyMember),
        REFUSED => Some(Outcome::Refused(self::reason(reason)?)),
        _ => return Err(corrupt("an outcome of redemptions is unknown")),
    })
}

fn reason(name: &str) -> Result<ErrorReason> {
    ErrorReason::from_str_name(name).ok_or_else(|| corrupt("a refusal's reason is unknown"))
}

/// Returns the three columns of a route: the route, the cause of queueing, and the refusal of people who are not known.
fn route_columns(route: Route) -> (&'static str, &'static str, &'static str) {
    match route {
        Route::AdmitAtOnce => (ADMIT_AT_ONCE, "", ""),
        Route::Queue(cause) => (QUEUE, cause.as_str(), ""),
        Route::OnlyIfKnown(reason) => (ADMIT_AT_ONCE, "", reason.as_str_name()),
    }
}

fn route(name: &str, cause: &str, refusal: &str) -> Result<Route> {
    match (name, refusal) {
        (ADMIT_AT_ONCE, "") => Ok(Route::AdmitAtOnce),
        (ADMIT_AT_ONCE, refusal) => Ok(Route::OnlyIfKnown(reason(refusal)?)),
        (QUEUE, _) => QueueCause::from_name(cause)
            .map(Route::Queue)
            .ok_or_else(|| corrupt("a cause of queueing is unknown")),
        _ => Err(corrupt("a route of redemptions is unknown")),
    }
}

/// Returns a redemption as JSON for the statement that inserts it.
pub(super) fn to_json(redemption: &Redemption) -> Value {
    let (route, queue_cause, refuse_if_unknown) = route_columns(redemption.route);
    let (outcome, refuse_reason) = outcome_columns(redemption.outcome);
    json!({
        "redemption_id": redemption.id.to_string(),
        "invitation_id": redemption.invitation_id.to_string(),
        "invitation": redemption.invitation,
        "kind": redemption.kind.tag(),
        "epoch": redemption.epoch.value(),
        "organization_id": redemption.place.organization().as_str(),
        "class_id": redemption.place.class().map_or("", ClassId::as_str),
        "user_id": redemption.person.user.as_str(),
        "display_name": redemption.person.display_name,
        "email": redemption.person.email,
        "external_id": redemption.person.external_id,
        "vouch_time": redemption.vouch_time.map(micros),
        "route": route,
        "queue_cause": queue_cause,
        "refuse_if_unknown": refuse_if_unknown,
        "issue_time": micros(redemption.issue_time),
        "allow_rejoin": redemption.allow_rejoin,
        "holds_use": redemption.holds_use,
        "state": redemption.state.as_str(),
        "outcome": outcome,
        "refuse_reason": refuse_reason,
        "join_request": redemption.join_request,
        "tries": redemption.tries,
        "next_try_time": micros(redemption.next_try_time),
        "create_time": micros(redemption.create_time),
        "settle_time": redemption.settle_time.map(micros),
    })
}

/// Parses an id as both engines store it.
pub(super) fn uuid(text: &str) -> Result<Uuid> {
    Uuid::try_parse(text).map_err(|_| corrupt("an id is not a UUID"))
}

/// Reads a row that has every column.
pub(super) fn read(row: &<Db as Database>::Row) -> Result<Redemption> {
    let vouch_time: Option<i64> = row.try_get("vouch_time")?;
    let settle_time: Option<i64> = row.try_get("settle_time")?;
    let tries: i64 = row.try_get("tries")?;
    Ok(Redemption {
        id: uuid(row.try_get("redemption_id")?)?,
        invitation_id: uuid(row.try_get("invitation_id")?)?,
        invitation: row.try_get("invitation")?,
        kind: InvitationKind::from_tag(row.try_get("kind")?)
            .ok_or_else(|| corrupt("a kind of invitation is unknown"))?,
        epoch: Epoch::new(row.try_get("epoch")?),
        place: place_of(row)?,
        person: Person {
            user: user_id(row.try_get("user_id")?)?,
            display_name: row.try_get("display_name")?,
            email: row.try_get("email")?,
            external_id: row.try_get("external_id")?,
        },
        vouch_time: vouch_time.map(from_micros),
        route: route(
            row.try_get("route")?,
            row.try_get("queue_cause")?,
            row.try_get("refuse_if_unknown")?,
        )?,
        issue_time: from_micros(row.try_get("issue_time")?),
        allow_rejoin: row.try_get("allow_rejoin")?,
        holds_use: row.try_get("holds_use")?,
        state: RedemptionState::from_name(row.try_get("state")?)
            .ok_or_else(|| corrupt("a state of redemptions is unknown"))?,
        outcome: outcome(row.try_get("outcome")?, row.try_get("refuse_reason")?)?,
        join_request: row.try_get("join_request")?,
        tries: u32::try_from(tries).map_err(|_| corrupt("a count of tries is out of range"))?,
        next_try_time: from_micros(row.try_get("next_try_time")?),
        create_time: from_micros(row.try_get("create_time")?),
        settle_time: settle_time.map(from_micros),
    })
}

//! `DenyJoinRequest`: the person is turned away (C11, X2), and may ask again after 24 hours (R9).

use chrono::{DateTime, Utc};
use homeroom_api::{ids::UserId, names::JoinRequestName};
use homeroom_kit::Result;

use super::{Change, deciding, rules};
use crate::{
    admission::plan::Plan,
    domain::join_request::{JoinRequest, State},
};

/// Denies one request.
pub async fn deny(change: &mut Change, name: JoinRequestName, note: String) -> Result<JoinRequest> {
    let (mut plan, request) = deciding::load_one(change, &name, &rules::DENY_JOIN_REQUEST).await?;
    let decider = change.user();
    let denied = deny_one(&mut plan, request, &decider, &note, change.now)?;
    deciding::save(change, plan).await?;
    Ok(denied)
}

/// Plans one denial.
pub(crate) fn deny_one(
    plan: &mut Plan,
    request: JoinRequest,
    decider: &UserId,
    note: &str,
    now: DateTime<Utc>,
) -> Result<JoinRequest> {
    let denied = request
        .decide(State::Denied, decider, note, now)
        .map_err(deciding::already_decided)?;
    plan.end(denied.clone(), decider.as_str());
    Ok(denied)
}

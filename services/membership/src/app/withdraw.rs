//! `WithdrawJoinRequest`: a person withdraws their own request.

use homeroom_api::names::JoinRequestName;
use homeroom_kit::Result;

use super::{Change, deciding, rules};
use crate::domain::join_request::{JoinRequest, State};

/// Withdraws the acting user's own request.
pub async fn withdraw(change: &mut Change, name: JoinRequestName, (): ()) -> Result<JoinRequest> {
    let rule = &rules::WITHDRAW_JOIN_REQUEST;
    let (mut plan, request) = deciding::load_one(change, &name, rule).await?;
    let person = change.user();
    let withdrawn = request
        .decide(State::Withdrawn, &person, "", change.now)
        .map_err(deciding::already_decided)?;
    plan.end(withdrawn.clone(), person.as_str());
    deciding::save(change, plan).await?;
    Ok(withdrawn)
}

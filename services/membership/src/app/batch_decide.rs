//! `BatchDecideJoinRequests`: many requests of one place, each by itself (C11).

use homeroom_api::{
    common::v1::ErrorReason,
    names::{JoinRequestName, Place},
};
use homeroom_kit::{Error, Result};

use super::{
    Change, approve::approve_one, deciding, deny::deny_one,
    get_join_request::join_request_not_found, rules,
};
use crate::domain::join_request::JoinRequest;

/// The decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let the person in.
    Approve,
    /// Turn the person away.
    Deny,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRequestDecision {
    /// The request to decide.
    pub name: JoinRequestName,
    /// The decision.
    pub action: Action,
    /// The note kept with it.
    pub note: String,
}

/// The result of each decision, in the order given.
#[derive(Debug)]
pub struct Decided(pub Vec<Result<JoinRequest>>);

/// Decides requests of `parent` in the order given, in one transaction. A decision that fails changes neither its
/// request nor the others. Returns one result each, in the order given.
///
/// A decision that could not be parsed stands in `decisions` as its error.
pub async fn batch_decide(
    change: &mut Change,
    parent: Place,
    decisions: Vec<Result<JoinRequestDecision>>,
) -> Result<Decided> {
    change
        .enter(&parent, &rules::BATCH_DECIDE_JOIN_REQUESTS, None)
        .await?;
    let names: Vec<JoinRequestName> = decisions
        .iter()
        .filter_map(|decision| decision.as_ref().ok())
        .filter(|decision| decision.name.place == parent)
        .map(|decision| decision.name.clone())
        .collect();
    let requests = change.repository.join_requests(&names).await?;
    let mut plan = deciding::load(change, &requests).await?;
    let decider = change.user();
    let results = decisions
        .into_iter()
        .map(|decision| {
            let decision = decision?;
            if decision.name.place != parent {
                return Err(another_parent(&parent));
            }
            // The request as the decisions before this one left it.
            let request = plan
                .request(decision.name.id)
                .ok_or_else(|| join_request_not_found(&decision.name))?;
            let decide = match decision.action {
                Action::Approve => approve_one,
                Action::Deny => deny_one,
            };
            decide(&mut plan, request, &decider, &decision.note, change.now)
        })
        .collect();
    deciding::save(change, plan).await?;
    Ok(Decided(results))
}

fn another_parent(parent: &Place) -> Error {
    Error::new(
        ErrorReason::InvalidRequest,
        format!("Correct the field name: it must be a join request of {parent}."),
    )
    .violation("name", format!("must be a join request of {parent}"))
}

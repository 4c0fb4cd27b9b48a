//! The steps that all decisions on join requests share: locking, reading under the locks, and writing.

use std::collections::{BTreeMap, BTreeSet};

use homeroom_api::{common::v1::ErrorReason, ids::OrganizationId, names::JoinRequestName};
use homeroom_kit::{Error, Result};

use super::{Change, get_join_request::find_join_request, rules::Rule};
use crate::{
    admission::plan::Plan,
    domain::join_request::{AlreadyDecided, JoinRequest},
    store::{PersonAt, Wanted},
};

/// Takes the organization's lock; everything is read after it (P6).
pub(crate) async fn lock(change: &mut Change, organization: &OrganizationId) -> Result<()> {
    let organizations = BTreeSet::from([organization.clone()]);
    Ok(change.repository.lock_organizations(&organizations).await?)
}

/// Locks and returns one request, if the rule allows the call, with a plan that holds the facts of its person.
pub(crate) async fn load_one(
    change: &mut Change,
    name: &JoinRequestName,
    rule: &Rule,
) -> Result<(Plan, JoinRequest)> {
    let caller = change.caller.clone();
    // Access is checked before the lock too, so that nobody waits for an unauthorized caller.
    find_join_request(&mut change.repository, &caller, name, rule).await?;
    lock(change, name.place.organization()).await?;
    let request = find_join_request(&mut change.repository, &caller, name, rule).await?;
    let plan = load(change, std::slice::from_ref(&request)).await?;
    Ok((plan, request))
}

/// Loads the facts of the persons of these requests. Must be called under the lock.
pub(crate) async fn load(change: &mut Change, requests: &[JoinRequest]) -> Result<Plan> {
    let persons: BTreeSet<PersonAt> = requests
        .iter()
        .map(|request| (request.place.clone(), request.user.clone()))
        .collect();
    let wanted: Vec<Wanted> = persons.into_iter().map(Wanted::person).collect();
    let known = change.repository.facts(&wanted).await?;
    Ok(Plan::new(known, change.now).with_requests(requests))
}

/// Writes the planned changes with their events.
pub(crate) async fn save(change: &mut Change, plan: Plan) -> Result<()> {
    let (effects, events) = plan.finish(&BTreeMap::new());
    for event in events {
        change.record(event);
    }
    Ok(change.repository.save(&effects).await?)
}

/// Returns the error for a request that no longer waits.
pub(crate) fn already_decided(AlreadyDecided(state): AlreadyDecided) -> Error {
    Error::new(
        ErrorReason::AlreadyDecided,
        format!(
            "Nothing is left to decide: the join request is {}.",
            state.as_str()
        ),
    )
    .metadata("state", state.as_str())
}

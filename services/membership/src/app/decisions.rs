//! Decisions on join requests (C11, X2): one at a time, or many of one place. All run under the organization's lock
//! (P6), so that a request is decided once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use homeroom_api::{
    common::v1::ErrorReason,
    ids::UserId,
    names::{JoinRequestName, Place},
};
use homeroom_kit::{Error, Result};

use super::{
    Change,
    join_requests::{find_join_request, join_request_not_found},
    refusals,
    rules::{self, Rule},
};
use crate::{
    admission::plan::Plan,
    domain::{
        class::ClassState,
        join_request::{AlreadyDecided, JoinRequest, State},
        member::{Member, Provenance, Role},
        seat::Seats,
    },
    store::{PersonAt, Wanted},
};

/// The result of an approval.
#[derive(Debug)]
pub struct Approval {
    /// The request.
    pub join_request: JoinRequest,
    /// The membership.
    pub member: Member,
}

/// `ApproveJoinRequest`: lets the person of one request in.
pub async fn approve(change: &mut Change, name: JoinRequestName, note: String) -> Result<Approval> {
    let rule = &rules::APPROVE_JOIN_REQUEST;
    let (mut plan, request) = load_one(change, &name, rule).await?;
    let decider = change.user();
    let approved = approve_one(&mut plan, request, (&decider, &note), change.now)?;
    let person = (approved.place.clone(), approved.user.clone());
    let member = plan
        .known()
        .members
        .get(&person)
        .cloned()
        .ok_or_else(|| Error::internal("an approved person is no member"))?;
    save(change, plan).await?;
    Ok(Approval {
        join_request: approved,
        member,
    })
}

/// Plans one approval. It takes a seat (X9) unless the person is a member already (P8), and lifts removals by staff
/// (R8). A failure plans nothing: the request stays open.
fn approve_one(
    plan: &mut Plan,
    request: JoinRequest,
    (decider, note): (&UserId, &str),
    now: DateTime<Utc>,
) -> Result<JoinRequest> {
    let approved = request
        .decide(State::Approved, decider, note, now)
        .map_err(already_decided)?;
    if let Place::Class(name) = &approved.place {
        let class = plan.known().classes.get(name);
        if class.is_none_or(|class| class.state == ClassState::Archived) {
            return Err(refusals::class_archived(name));
        }
    }
    let person = (approved.place.clone(), approved.user.clone());
    plan.seat_for(&person, Role::Student).map_err(|_| {
        let organization = plan
            .known()
            .organizations
            .get(approved.place.organization());
        let seats = organization.map_or_else(Seats::default, |known| known.seats);
        refusals::no_seats(&approved.place, &seats)
    })?;
    let provenance = Provenance {
        invitation: approved.invitation.clone(),
        redemption: approved.redemption.clone(),
        approved_by: decider.to_string(),
        method: approved.method,
    };
    plan.end(approved.clone(), decider.as_str());
    plan.admit(
        &person,
        (&approved.particulars, approved.create_time),
        &provenance,
        decider.as_str(),
    )
    .map_err(Error::internal)?;
    plan.lift_removals(&person);
    Ok(approved)
}

/// `DenyJoinRequest`: turns the person away, who may ask again after 24 hours (R9).
pub async fn deny(change: &mut Change, name: JoinRequestName, note: String) -> Result<JoinRequest> {
    end(
        change,
        &name,
        &rules::DENY_JOIN_REQUEST,
        State::Denied,
        &note,
    )
    .await
}

/// `WithdrawJoinRequest`: withdraws the acting user's own request.
pub async fn withdraw(change: &mut Change, name: JoinRequestName, (): ()) -> Result<JoinRequest> {
    let rule = &rules::WITHDRAW_JOIN_REQUEST;
    end(change, &name, rule, State::Withdrawn, "").await
}

async fn end(
    change: &mut Change,
    name: &JoinRequestName,
    rule: &Rule,
    state: State,
    note: &str,
) -> Result<JoinRequest> {
    let (mut plan, request) = load_one(change, name, rule).await?;
    let decider = change.user();
    let ended = end_one(&mut plan, request, state, (&decider, note), change.now)?;
    save(change, plan).await?;
    Ok(ended)
}

/// Plans one end without an admission.
fn end_one(
    plan: &mut Plan,
    request: JoinRequest,
    state: State,
    (decider, note): (&UserId, &str),
    now: DateTime<Utc>,
) -> Result<JoinRequest> {
    let ended = request
        .decide(state, decider, note, now)
        .map_err(already_decided)?;
    plan.end(ended.clone(), decider.as_str());
    Ok(ended)
}

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

/// `BatchDecideJoinRequests`: decides requests of `parent` in the given order, in one transaction. A decision that fails
/// changes neither its request nor the others. Returns one result for each decision, in the same order.
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
    let mut plan = load(change, &requests).await?;
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
            let by = (&decider, decision.note.as_str());
            match decision.action {
                Action::Approve => approve_one(&mut plan, request, by, change.now),
                Action::Deny => end_one(&mut plan, request, State::Denied, by, change.now),
            }
        })
        .collect();
    save(change, plan).await?;
    Ok(Decided(results))
}

fn another_parent(parent: &Place) -> Error {
    Error::new(
        ErrorReason::InvalidRequest,
        format!("Correct the field name: it must be a join request of {parent}."),
    )
    .violation("name", format!("must be a join request of {parent}"))
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
    let organizations = BTreeSet::from([name.place.organization().clone()]);
    // P6: everything is read under the lock.
    change.lock_all(&organizations).await?;
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

//! `ApproveJoinRequest`: the person is let in (C11, X2).

use chrono::{DateTime, Utc};
use homeroom_api::{
    ids::UserId,
    names::{JoinRequestName, Place},
};
use homeroom_kit::{Error, Result};

use super::{Change, deciding, refusals, rules};
use crate::{
    admission::plan::Plan,
    domain::{
        class::ClassState,
        join_request::{JoinRequest, State},
        member::{Member, Provenance, Role},
        seat::Seats,
    },
};

/// The result of an approval.
#[derive(Debug)]
pub struct Approval {
    /// The request.
    pub join_request: JoinRequest,
    /// The membership.
    pub member: Member,
}

/// Lets the person of one request in. Runs under the locks (P6), so that a request is decided once.
pub async fn approve(change: &mut Change, name: JoinRequestName, note: String) -> Result<Approval> {
    let rule = &rules::APPROVE_JOIN_REQUEST;
    let (mut plan, request) = deciding::load_one(change, &name, rule).await?;
    let decider = change.user();
    let approved = approve_one(&mut plan, request, &decider, &note, change.now)?;
    let person = (approved.place.clone(), approved.user.clone());
    let member = plan
        .known()
        .members
        .get(&person)
        .cloned()
        .ok_or_else(|| Error::internal("an approved person is no member"))?;
    deciding::save(change, plan).await?;
    Ok(Approval {
        join_request: approved,
        member,
    })
}

/// Plans one approval. It takes a seat (X9) unless the person is a member already (P8), and lifts removals by staff
/// (R8). A failure plans nothing: the request stays open.
pub(crate) fn approve_one(
    plan: &mut Plan,
    request: JoinRequest,
    decider: &UserId,
    note: &str,
    now: DateTime<Utc>,
) -> Result<JoinRequest> {
    let approved = request
        .decide(State::Approved, decider, note, now)
        .map_err(deciding::already_decided)?;
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

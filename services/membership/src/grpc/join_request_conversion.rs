//! Conversion of join requests between the contract and the domain.

use homeroom_api::{
    ids::UserId,
    membership::v1::{
        self as api,
        batch_decide_join_requests_request::{JoinRequestDecision, join_request_decision},
    },
    names::JoinRequestName,
};
use homeroom_kit::{
    Result,
    clock::to_timestamp,
    filter::{FieldKind, Filter},
    validation::Violations,
};

use crate::{
    app::decisions::{self, Action, Approval},
    domain::join_request::{Cause, DECIDE_NOTE_CHARS_MAX, JoinRequest, JoinRequestFilter, State},
};

/// The fields by which the list can be filtered.
const FIELDS: &[(&str, FieldKind)] = &[
    ("state", FieldKind::Enum(State::NAMES)),
    ("user", FieldKind::Text),
    ("cause", FieldKind::Enum(Cause::NAMES)),
];

impl From<JoinRequest> for api::JoinRequest {
    fn from(request: JoinRequest) -> Self {
        use api::join_request as names;
        let state = names::State::from_str_name(request.state.as_str());
        let cause = names::Cause::from_str_name(request.cause.as_str());
        Self {
            name: request.name().to_string(),
            user: request.user.to_string(),
            display_name: request.particulars.display_name,
            email: request.particulars.email,
            external_id: request.particulars.external_id,
            state: state.unwrap_or_default().into(),
            cause: cause.unwrap_or_default().into(),
            invitation: request.invitation,
            redemption: request.redemption,
            decide_note: request.decide_note,
            decided_by: request.decided_by,
            create_time: Some(to_timestamp(request.create_time)),
            decide_time: request.decide_time.map(to_timestamp),
            expire_time: Some(to_timestamp(request.expire_time)),
        }
    }
}

impl From<Approval> for api::ApproveJoinRequestResponse {
    fn from(approval: Approval) -> Self {
        Self {
            join_request: Some(approval.join_request.into()),
            member: Some(approval.member.into()),
        }
    }
}

/// Parses a filter. Fails with `INVALID_FILTER` for another field or operator, or for a text that cannot be a user id.
pub(super) fn shown(filter: &str) -> Result<JoinRequestFilter> {
    let filter = Filter::parse(filter, FIELDS)?;
    Ok(JoinRequestFilter {
        state: filter.equal_name("state", State::parse)?,
        user: filter.equal_as("user", UserId::parse)?,
        cause: filter.equal_name("cause", Cause::parse)?,
    })
}

/// Returns a note in its stored form, and records a violation if it is too long.
pub(super) fn note(violations: &mut Violations, note: &str) -> String {
    violations.note("decide_note", note, DECIDE_NOTE_CHARS_MAX)
}

/// Parses one decision of a batch.
pub(super) fn decision(decision: &JoinRequestDecision) -> Result<decisions::JoinRequestDecision> {
    let mut violations = Violations::new();
    let name = violations.take("name", JoinRequestName::parse(&decision.name));
    let action = match decision.action() {
        join_request_decision::Action::Approve => Some(Action::Approve),
        join_request_decision::Action::Deny => Some(Action::Deny),
        join_request_decision::Action::Unspecified => None,
    };
    violations.check(action.is_some(), "action", "must be APPROVE or DENY");
    let note = note(&mut violations, &decision.decide_note);
    let (name, action) = violations.finish_with(name.zip(action))?;
    Ok(decisions::JoinRequestDecision { name, action, note })
}

#[cfg(test)]
mod tests {
    use homeroom_api::common::v1::ErrorReason;

    use super::*;

    #[test]
    fn the_filter_takes_state_user_and_cause() {
        assert_eq!(shown("").unwrap(), JoinRequestFilter::default());
        let narrowed = shown("state = PENDING AND user = \"eve\" AND cause = JOIN_URL").unwrap();
        let expected = JoinRequestFilter {
            state: Some(State::Pending),
            user: Some(UserId::parse("eve").unwrap()),
            cause: Some(Cause::JoinUrl),
        };
        assert_eq!(narrowed, expected);
        for filter in [
            "state = PENDING AND state = DENIED",
            "user = \"a/b\"",
            "state != PENDING",
            "email = \"a\"",
            "state = NONE",
            "state =",
        ] {
            let refused = shown(filter).unwrap_err();
            assert_eq!(refused.reason(), ErrorReason::InvalidFilter, "{filter}");
        }
    }

    #[test]
    fn c11_a_note_is_taken_to_its_edge() {
        let fits = |note: String| {
            let mut violations = Violations::new();
            super::note(&mut violations, &note);
            violations.is_empty()
        };
        assert!(fits("é".repeat(DECIDE_NOTE_CHARS_MAX)));
        assert!(!fits("é".repeat(DECIDE_NOTE_CHARS_MAX + 1)));
    }

    #[test]
    fn c11_a_decision_names_request_and_action() {
        let refused = decision(&JoinRequestDecision::default()).unwrap_err();
        let fields: Vec<_> = refused
            .field_violations()
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(fields, ["name", "action"]);
    }
}

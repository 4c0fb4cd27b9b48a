//! The answers of membership, as this service's own types.

use homeroom_api::{
    common::v1::ErrorReason,
    ids::UserId,
    membership::v1::{self as api, admission::Outcome, check_access_response},
    names::OrganizationName,
};
use homeroom_kit::{Error, Result};

use super::{Access, Admission};
use crate::{
    domain::redemption::{MembershipAnswer, RequestEnd},
    store::PersonKnown,
};

pub(super) fn admission(answered: api::Admission) -> Result<Admission> {
    let answer = match answered.outcome() {
        Outcome::Admitted => MembershipAnswer::Admitted,
        Outcome::Queued => MembershipAnswer::Queued,
        Outcome::AlreadyPending => MembershipAnswer::AlreadyPending,
        Outcome::AlreadyMember => MembershipAnswer::AlreadyMember,
        Outcome::StaleEpoch => MembershipAnswer::StaleEpoch,
        Outcome::Refused => MembershipAnswer::Refused(refusal(&answered)?),
        // A newer membership may send an outcome that this version does not know: that is no refusal.
        Outcome::Unspecified => return Err(Error::internal("an admission has no known outcome")),
    };
    let request = answered.join_request.as_ref();
    let request_end =
        request.and_then(|request| RequestEnd::from_name(request.state().as_str_name()));
    Ok(Admission {
        answer,
        user: UserId::parse(&answered.user).ok(),
        member: answered.member,
        join_request: answered.join_request,
        request_end,
        organization_display_name: answered.organization_display_name,
        class_display_name: answered.class_display_name,
        answered_before: answered.answered_before,
    })
}

fn refusal(answered: &api::Admission) -> Result<ErrorReason> {
    match answered.refuse_reason() {
        ErrorReason::Unspecified => Err(Error::internal("a refusal has no known reason")),
        reason => Ok(reason),
    }
}

/// Returns the data that membership has about a person.
pub(super) fn particulars(
    known: Vec<api::erase_user_response::Particulars>,
) -> Result<Vec<PersonKnown>> {
    known
        .into_iter()
        .map(|known| {
            let organization = OrganizationName::parse(&known.organization)
                .map_err(|_| Error::internal("what is known of a person names no organization"))?;
            Ok(PersonKnown {
                organization: organization.0,
                email: known.email,
                external_id: known.external_id,
            })
        })
        .collect()
}

pub(super) fn access(answered: api::CheckAccessResponse) -> Access {
    Access {
        visible: answered.visible,
        allowed: answered.allowed,
        archived: answered.state() == check_access_response::State::Archived,
        organization_display_name: answered.organization_display_name,
        class_display_name: answered.class_display_name,
        code_prefix: answered.code_prefix,
        seat_limit: answered.seat_limit,
        notify: answered
            .notify
            .iter()
            .filter_map(|user| UserId::parse(user).ok())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use homeroom_api::membership::v1::join_request;

    use super::*;

    #[test]
    fn p11_an_outcome_that_is_not_known_is_never_a_refusal() {
        let unknown = api::Admission {
            outcome: 99,
            ..api::Admission::default()
        };
        assert!(admission(unknown).is_err());
    }

    #[test]
    fn p5_every_state_but_waiting_is_an_end() {
        for number in 0..100 {
            if let Ok(state) = join_request::State::try_from(number) {
                let waits = [
                    join_request::State::Unspecified,
                    join_request::State::Pending,
                ];
                let end = RequestEnd::from_name(state.as_str_name());
                assert_eq!(end.is_none(), waits.contains(&state), "{state:?}");
            }
        }
    }

    #[test]
    fn p5_a_request_that_waits_has_not_ended() {
        for (state, end) in [
            (join_request::State::Pending, None),
            (join_request::State::Approved, Some(RequestEnd::Approved)),
            (join_request::State::Closed, Some(RequestEnd::Closed)),
        ] {
            let answered = api::Admission {
                outcome: Outcome::Queued.into(),
                join_request: Some(api::JoinRequest {
                    state: state.into(),
                    ..api::JoinRequest::default()
                }),
                ..api::Admission::default()
            };
            assert_eq!(admission(answered).unwrap().request_end, end);
        }
    }
}

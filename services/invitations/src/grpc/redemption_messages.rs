//! Redemptions as the contract has them.

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        self as api, PreviewRedemptionResponse, RedeemResponse, RedemptionOutcome,
        batch_redeem_response, preview_redemption_response::Failure, redeem_response,
        redemption::State,
    },
    names::{OrganizationName, Place},
};
use homeroom_kit::{Result, clock::to_timestamp};

use crate::{
    app::{
        preview::Preview, recovery::is_stuck, redeemed::Redeemed, refusal::sentence,
        settle::refuse_reason,
    },
    domain::{
        decide::QueueCause,
        redemption::{Outcome, RedemptionState},
    },
    store::{Redemption, Route},
};

fn organization_of(place: &Place) -> String {
    OrganizationName(place.organization().clone()).to_string()
}

fn class_of(place: &Place) -> String {
    match place {
        Place::Organization(_) => String::new(),
        Place::Class(class) => class.to_string(),
    }
}

fn outcome(outcome: Option<Outcome>) -> RedemptionOutcome {
    match outcome {
        None | Some(Outcome::Refused(_)) => RedemptionOutcome::Unspecified,
        Some(Outcome::Admitted) => RedemptionOutcome::Admitted,
        Some(Outcome::PendingApproval) => RedemptionOutcome::PendingApproval,
        Some(Outcome::AlreadyMember) => RedemptionOutcome::AlreadyMember,
    }
}

fn state(state: RedemptionState) -> State {
    match state {
        RedemptionState::Reserved => State::Reserved,
        RedemptionState::Committed => State::Committed,
        RedemptionState::Queued => State::Queued,
        RedemptionState::Released => State::Released,
        RedemptionState::Refused => State::Refused,
    }
}

/// What Redeem answers.
pub(super) fn redeem_response(redeemed: Redeemed) -> RedeemResponse {
    let policy = redeemed.kind.policy();
    let result = match (redeemed.member, redeemed.join_request) {
        (Some(member), _) => Some(redeem_response::Result::Member(member)),
        (None, Some(request)) => Some(redeem_response::Result::JoinRequest(request)),
        (None, None) => None,
    };
    RedeemResponse {
        redemption: redeemed.redemption.to_string(),
        outcome: outcome(Some(redeemed.outcome)).into(),
        organization: organization_of(&redeemed.place),
        class: class_of(&redeemed.place),
        result,
        grants_sign_up: policy.grants_sign_up,
        survives_sign_up: policy.survives_sign_up,
        may_be_public: policy.may_be_public,
    }
}

/// What `BatchRedeem` answers for one request.
pub(super) fn batch_result(
    (index, result): (i32, Result<Redeemed>),
) -> batch_redeem_response::Result {
    let outcome = match result {
        Ok(redeemed) => {
            batch_redeem_response::result::Outcome::Redemption(redeem_response(redeemed))
        }
        Err(error) => batch_redeem_response::result::Outcome::Status(error.into_row_status()),
    };
    batch_redeem_response::Result {
        index,
        outcome: Some(outcome),
    }
}

/// What preview answers.
pub(super) fn preview_response(preview: Preview) -> PreviewRedemptionResponse {
    let policy = preview.kind.policy();
    PreviewRedemptionResponse {
        outcome: outcome(preview.outcome).into(),
        organization: organization_of(&preview.place),
        class: class_of(&preview.place),
        organization_display_name: preview.organization_display_name,
        class_display_name: preview.class_display_name,
        requires_approval: preview.outcome == Some(Outcome::PendingApproval),
        grants_sign_up: policy.grants_sign_up,
        survives_sign_up: policy.survives_sign_up,
        may_be_public: policy.may_be_public,
        failures: preview.failures.into_iter().map(failure).collect(),
    }
}

fn failure(reason: ErrorReason) -> Failure {
    Failure {
        reason: reason.into(),
        description: sentence(reason).to_owned(),
    }
}

/// A redemption as it is read and listed.
pub(super) fn redemption(redemption: &Redemption) -> api::Redemption {
    api::Redemption {
        name: redemption.name().to_string(),
        invitation: redemption.invitation.clone(),
        user: redemption.person.user.to_string(),
        outcome: outcome(redemption.outcome).into(),
        state: state(redemption.state).into(),
        refuse_reason: refuse_reason(redemption)
            .unwrap_or(ErrorReason::Unspecified)
            .into(),
        create_time: Some(to_timestamp(redemption.create_time)),
        settle_time: redemption.settle_time.map(to_timestamp),
        class: class_of(&redemption.place),
        stuck: is_stuck(redemption),
        guess_guarded: redemption.route == Route::Queue(QueueCause::GuessGuard),
    }
}

#[cfg(test)]
mod tests {
    use homeroom_api::{
        membership::v1::{JoinRequest, Member},
        names::RedemptionName,
    };

    use super::*;
    use crate::{app::refusal::refusal, domain::invitation::InvitationKind};

    const REDEMPTION: &str =
        "organizations/hamilton/redemptions/01900000-0000-7000-8000-000000000001";

    fn redeemed(outcome: Outcome, kind: InvitationKind) -> Redeemed {
        let pending = outcome == Outcome::PendingApproval;
        Redeemed {
            redemption: RedemptionName::parse(REDEMPTION).unwrap(),
            outcome,
            place: Place::parse("organizations/hamilton/classes/bio-101").unwrap(),
            kind,
            member: (!pending).then(Member::default),
            join_request: pending.then(JoinRequest::default),
        }
    }

    #[test]
    fn c3_c13_the_answer_says_what_the_way_in_is_good_for() {
        for (kind, grants_sign_up, may_be_public) in [
            (InvitationKind::OrganizationToken, true, true),
            (InvitationKind::ClassToken, true, false),
            (InvitationKind::EnrollmentCode, true, false),
            (InvitationKind::ClassCode, true, false),
            (InvitationKind::JoinUrl, false, true),
        ] {
            let response = redeem_response(redeemed(Outcome::Admitted, kind));
            assert_eq!(response.grants_sign_up, grants_sign_up, "{kind:?}");
            assert_eq!(response.may_be_public, may_be_public, "{kind:?}");
            assert!(response.survives_sign_up, "{kind:?}");
        }
    }

    #[test]
    fn c10_a_filed_request_is_in_the_answer() {
        let waiting = redeemed(Outcome::PendingApproval, InvitationKind::JoinUrl);
        let response = redeem_response(waiting);
        assert_eq!(response.redemption, REDEMPTION);
        assert_eq!(response.outcome(), RedemptionOutcome::PendingApproval);
        assert_eq!(response.organization, "organizations/hamilton");
        assert_eq!(response.class, "organizations/hamilton/classes/bio-101");
        assert!(matches!(
            response.result,
            Some(redeem_response::Result::JoinRequest(_))
        ));
    }

    #[test]
    fn a_batchs_failure_carries_the_whole_error() {
        let result = batch_result((3, Err(refusal(ErrorReason::NoSeats))));
        assert_eq!(result.index, 3);
        let Some(batch_redeem_response::result::Outcome::Status(status)) = result.outcome else {
            panic!("no status");
        };
        let code = i32::from(tonic::Code::FailedPrecondition);
        assert_eq!(status.code, code);
        assert_eq!(status.message, sentence(ErrorReason::NoSeats));
        assert_eq!(status.details.len(), 2);
    }
}

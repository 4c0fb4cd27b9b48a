//! The answers of Redeem, preview and reads of redemptions: their types, their refusals, and their messages of the
//! contract.

use homeroom_api::{
    common::v1::ErrorReason,
    invitations::v1::{
        self as api, PreviewRedemptionResponse, RedeemResponse, RedemptionOutcome,
        batch_redeem_response, preview_redemption_response::Failure, redeem_response,
        redemption::State,
    },
    membership::v1::{JoinRequest, Member, join_request::Cause},
    names::{OrganizationName, Place, RedemptionName},
};
use homeroom_kit::{
    Error, Result, clock::to_timestamp, email::EmailMalformed, status::is_precondition,
};

use super::{
    drive::is_stuck,
    ledger::{Redemption, Route},
};
use crate::{
    domain::{
        decide::QueueCause,
        invitation::InvitationKind,
        redemption::{Outcome, RedemptionState},
        way::Policy,
    },
    membership::Admission,
};

/// The result of a redemption.
#[derive(Debug, Clone, PartialEq)]
pub struct Redeemed {
    /// The redemption's name.
    pub redemption: RedemptionName,
    /// The outcome: never a refusal, which is an error.
    pub outcome: Outcome,
    /// The place to join, from the invitation's row (P12).
    pub place: Place,
    /// The kind of the invitation.
    pub kind: InvitationKind,
    /// The membership, if there is one.
    pub member: Option<Member>,
    /// The join request, if one waits.
    pub join_request: Option<JoinRequest>,
}

impl Redeemed {
    pub(super) fn of(
        redemption: &Redemption,
        outcome: Outcome,
        admission: Option<Admission>,
    ) -> Result<Self> {
        if let Outcome::Refused(reason) = outcome {
            return Err(refusal(reason));
        }
        let (member, join_request) = admission.map_or((None, None), |admission| {
            (admission.member, admission.join_request)
        });
        let pending = outcome == Outcome::PendingApproval;
        Ok(Self {
            redemption: redemption.name(),
            outcome,
            place: redemption.place.clone(),
            kind: redemption.kind,
            member: member.filter(|_| !pending),
            join_request: join_request.filter(|_| pending),
        })
    }
}

/// The result of a preview.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// The outcome that Redeem would lead to; a refusal has the first of `failures`.
    pub outcome: Outcome,
    /// The place to join.
    pub place: Place,
    /// The kind of the invitation.
    pub kind: InvitationKind,
    /// The display name of the organization.
    pub organization_display_name: String,
    /// The display name of the class.
    pub class_display_name: String,
    /// Every rule that would refuse the person; only for staff.
    pub failures: Vec<ErrorReason>,
    /// The cause for which the person would wait, or waits already.
    pub approval_cause: Cause,
}

/// Returns the sentence for a reason: it says what to do next.
#[must_use]
pub fn sentence(reason: ErrorReason) -> &'static str {
    match reason {
        ErrorReason::CodeNotUsable => {
            "This opens nothing; check what was typed, or ask for a new one."
        }
        ErrorReason::NotYetValid => {
            "This is not valid yet; try again once it is, or ask who gave it out."
        }
        ErrorReason::NoLongerValid => "This is no longer valid; ask for a new one.",
        ErrorReason::UsedUp => "This has been used as often as it may be; ask for a new one.",
        ErrorReason::UseInProgress => {
            "The last uses are being taken right now; try again in a moment."
        }
        ErrorReason::EmailMalformed => {
            "This needs a verified email address, and yours cannot be read; correct it and try again."
        }
        ErrorReason::EmailUnverified => {
            "This needs a verified email address; verify yours and try again."
        }
        ErrorReason::EmailDomainNotAllowed => {
            "This is for other email domains; use an address of the school."
        }
        ErrorReason::TokenAssignedToAnother => {
            "This was made for somebody else; ask for one of your own."
        }
        ErrorReason::SignUpNotGranted => {
            "Nobody registers with a join URL; register another way, then use it."
        }
        ErrorReason::NoSeats => {
            "Every licensed seat of the organization is taken; ask its administrator."
        }
        ErrorReason::ClassArchived => "The class is archived; ask its teacher.",
        ErrorReason::DeniedRecently => {
            "A request was denied less than 24 hours ago; ask again later."
        }
        ErrorReason::MembershipUnavailable => {
            "The membership service does not answer; the outcome is settled soon: retry with the same request_id."
        }
        _ => "This does not let the person in; ask who gave it out.",
    }
}

/// Returns the error of a refusal. It is the same for every caller and credential, so that it reveals only its reason
/// (R5).
#[must_use]
pub fn refusal(reason: ErrorReason) -> Error {
    let error = match reason {
        ErrorReason::UseInProgress | ErrorReason::MembershipUnavailable => {
            Error::unavailable(reason, sentence(reason))
        }
        ErrorReason::EmailMalformed => {
            Error::new(reason, sentence(reason)).violation("user.email", EmailMalformed.to_string())
        }
        _ => Error::new(reason, sentence(reason)),
    };
    if is_precondition(reason) {
        error.precondition(reason.as_str_name(), "credential", sentence(reason))
    } else {
        error
    }
}

/// Returns the error for a missing answer of membership: the redemption stays reserved, and recovery drives it on (P1,
/// P13).
#[must_use]
pub fn not_known_yet() -> Error {
    refusal(ErrorReason::MembershipUnavailable)
}

fn organization_of(place: &Place) -> String {
    OrganizationName(place.organization().clone()).to_string()
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
    State::from_str_name(state.as_str()).unwrap_or_default()
}

/// Returns the reason of membership's refusal, if it refused.
fn refuse_reason(redemption: &Redemption) -> Option<ErrorReason> {
    match redemption.outcome {
        Some(Outcome::Refused(reason)) => Some(reason),
        _ => None,
    }
}

/// Returns the answer of Redeem.
pub(crate) fn redeem_response(redeemed: Redeemed) -> RedeemResponse {
    let policy = Policy::of(redeemed.kind);
    let result = match (redeemed.member, redeemed.join_request) {
        (Some(member), _) => Some(redeem_response::Result::Member(member)),
        (None, Some(request)) => Some(redeem_response::Result::JoinRequest(request)),
        (None, None) => None,
    };
    RedeemResponse {
        redemption: redeemed.redemption.to_string(),
        outcome: outcome(Some(redeemed.outcome)).into(),
        organization: organization_of(&redeemed.place),
        class: redeemed.place.class_name(),
        result,
        grants_sign_up: policy.grants_sign_up,
        survives_sign_up: policy.survives_sign_up,
        may_be_public: policy.may_be_public,
    }
}

/// Returns the answer of `BatchRedeem` for one request.
pub(crate) fn batch_result(
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

/// Returns the answer of a preview.
pub(crate) fn preview_response(preview: Preview) -> PreviewRedemptionResponse {
    let policy = Policy::of(preview.kind);
    PreviewRedemptionResponse {
        outcome: outcome(Some(preview.outcome)).into(),
        organization: organization_of(&preview.place),
        class: preview.place.class_name(),
        organization_display_name: preview.organization_display_name,
        class_display_name: preview.class_display_name,
        requires_approval: preview.outcome == Outcome::PendingApproval,
        grants_sign_up: policy.grants_sign_up,
        survives_sign_up: policy.survives_sign_up,
        may_be_public: policy.may_be_public,
        failures: preview.failures.into_iter().map(failure).collect(),
        approval_cause: preview.approval_cause.into(),
    }
}

fn failure(reason: ErrorReason) -> Failure {
    Failure {
        reason: reason.into(),
        description: sentence(reason).to_owned(),
    }
}

impl From<Redemption> for api::Redemption {
    fn from(redemption: Redemption) -> Self {
        Self {
            name: redemption.name().to_string(),
            outcome: outcome(redemption.outcome).into(),
            state: state(redemption.state).into(),
            refuse_reason: refuse_reason(&redemption)
                .unwrap_or(ErrorReason::Unspecified)
                .into(),
            create_time: Some(to_timestamp(redemption.create_time)),
            settle_time: redemption.settle_time.map(to_timestamp),
            class: redemption.place.class_name(),
            stuck: is_stuck(&redemption),
            guess_guarded: redemption.route == Route::Queue(QueueCause::GuessGuard),
            user: redemption.person.user.to_string(),
            invitation: redemption.invitation,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn each_state_is_stored_under_its_name_in_the_contract() {
        for each in RedemptionState::ALL {
            assert_eq!(state(each).as_str_name(), each.as_str());
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

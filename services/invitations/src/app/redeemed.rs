//! What a redemption is answered with.

use homeroom_api::{
    membership::v1::{JoinRequest, Member},
    names::{Place, RedemptionName},
};
use homeroom_kit::Result;

use super::refusal::refusal;
use crate::{
    domain::{invitation::InvitationKind, redemption::Outcome},
    membership::Admission,
    store::Redemption,
};

/// How a redemption went.
#[derive(Debug, Clone, PartialEq)]
pub struct Redeemed {
    /// Its name.
    pub redemption: RedemptionName,
    /// What it led to: never a refusal, which is an error.
    pub outcome: Outcome,
    /// Where to, from the invitation's row (P12).
    pub place: Place,
    /// Which way in it was.
    pub kind: InvitationKind,
    /// The membership, where there is one.
    pub member: Option<Member>,
    /// The join request, where one waits.
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

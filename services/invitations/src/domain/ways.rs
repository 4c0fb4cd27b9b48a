//! The ways in, by kind.

use homeroom_api::names::InvitationKind;

use super::{
    class_code, enrollment_code, join_key, organization_token, phrase,
    way::{Policy, Way},
};

/// The kinds in the order in which a text is read: the first invitation that exists is meant (R1).
pub(super) const PRECEDENCE: [InvitationKind; InvitationKind::ALL.len()] = [
    InvitationKind::OrganizationToken,
    InvitationKind::ClassCode,
    InvitationKind::ClassToken,
    InvitationKind::EnrollmentCode,
    InvitationKind::JoinUrl,
];

impl Way {
    /// Returns the row of a kind.
    #[must_use]
    pub const fn of(kind: InvitationKind) -> &'static Self {
        match kind {
            InvitationKind::OrganizationToken => &organization_token::WAY,
            InvitationKind::ClassToken => &phrase::WAY,
            InvitationKind::EnrollmentCode => &enrollment_code::WAY,
            InvitationKind::ClassCode => &class_code::WAY,
            InvitationKind::JoinUrl => &join_key::WAY,
        }
    }
}

impl Policy {
    /// Returns the policy of a kind.
    #[must_use]
    pub const fn of(kind: InvitationKind) -> Self {
        Way::of(kind).policy
    }
}

//! The ways in: a file for each kind of invitation, which holds its secret and its row.

pub mod class_code;
pub mod enrollment_code;
pub mod join_key;
pub mod organization_token;
pub mod phrase;
mod phrase_exclusions;

use homeroom_api::names::InvitationKind;

use super::way::{Policy, Way};

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::way::Admits;

    #[test]
    fn c14_c3_the_table_of_the_ways_in() {
        use Admits::{AlwaysQueue, AtOnce, QueueOnceLocked};
        let table = InvitationKind::ALL.map(|kind| {
            let policy = Policy::of(kind);
            assert_eq!(Way::of(kind).singleton.is_some(), kind.is_singleton());
            let (sign_up, survives) = (policy.grants_sign_up, policy.survives_sign_up);
            let flags = [sign_up, survives, policy.may_be_public, policy.short];
            (kind.tag(), policy.admits, flags)
        });
        assert_eq!(
            table,
            [
                ("organization_token", AtOnce, [true, true, true, false]),
                ("class_token", AtOnce, [true, true, false, true]),
                ("enrollment_code", AtOnce, [true, true, false, true]),
                ("class_code", QueueOnceLocked, [true, true, false, false]),
                ("join_url", AlwaysQueue, [false, true, true, false]),
            ]
        );
    }
}

//! Conversion of domain values to messages.

use homeroom_api::{common::v1 as common, membership::v1};
use homeroom_kit::{clock::to_timestamp, rpc::etag};

use crate::domain::member::{Member, Method, Role};

impl From<Member> for v1::Member {
    fn from(member: Member) -> Self {
        Self {
            name: member.name().to_string(),
            user: member.user.to_string(),
            display_name: member.particulars.display_name,
            email: member.particulars.email,
            external_id: member.particulars.external_id,
            role: role(member.role).into(),
            join_time: Some(to_timestamp(member.join_time)),
            provenance: Some(v1::member::Provenance {
                invitation: member.provenance.invitation,
                redemption: member.provenance.redemption,
                approved_by: member.provenance.approved_by,
                method: method(member.provenance.method).into(),
            }),
            etag: etag(member.revision),
        }
    }
}

pub(crate) fn role(role: Role) -> common::Role {
    common::Role::from_str_name(role.as_str()).unwrap_or_default()
}

pub(crate) fn method(method: Method) -> v1::member::provenance::Method {
    v1::member::provenance::Method::from_str_name(method.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use homeroom_api::names::InvitationKind;

    use super::*;

    #[test]
    fn names_on_the_wire_are_those_in_the_database() {
        for each in Role::ALL {
            assert_eq!(role(each).as_str_name(), each.as_str());
        }
        let invitations = InvitationKind::ALL.map(Method::Invitation);
        for each in invitations.into_iter().chain([Method::Added]) {
            assert_eq!(method(each).as_str_name(), each.as_str());
        }
    }
}

//! Conversion of domain values to messages.

use homeroom_api::{common::v1 as common, membership::v1, names::OrganizationName};
use homeroom_kit::{clock::to_timestamp, rpc::etag};

use crate::{
    app::organizations::SeatUsage,
    domain::{
        class::{Class, ClassState},
        member::{Member, Method, Role},
        organization::Organization,
    },
};

impl From<Organization> for v1::Organization {
    fn from(organization: Organization) -> Self {
        Self {
            name: OrganizationName(organization.id).to_string(),
            display_name: organization.display_name,
            code_prefix: organization.code_prefix.as_str().to_owned(),
            seat_limit: organization.seat_limit,
            labels: organization.labels,
            state: v1::organization::State::Active.into(),
            etag: etag(organization.revision),
            create_time: Some(to_timestamp(organization.create_time)),
            update_time: Some(to_timestamp(organization.update_time)),
        }
    }
}

impl From<SeatUsage> for v1::SeatUsage {
    fn from(SeatUsage(name, seats): SeatUsage) -> Self {
        Self {
            name: name.to_string(),
            seat_limit: seats.limit,
            seats_used: seats.used,
            requests_waiting: seats.waiting,
            seats_available: seats.available(),
        }
    }
}

impl From<Class> for v1::Class {
    fn from(class: Class) -> Self {
        Self {
            name: class.name.to_string(),
            display_name: class.display_name,
            owner: class.owner.to_string(),
            state: class_state(class.state).into(),
            labels: class.labels,
            etag: etag(class.revision),
            create_time: Some(to_timestamp(class.create_time)),
            update_time: Some(to_timestamp(class.update_time)),
        }
    }
}

pub(crate) fn class_state(state: ClassState) -> v1::class::State {
    v1::class::State::from_str_name(state.as_str()).unwrap_or_default()
}

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
    use super::*;

    #[test]
    fn names_on_the_wire_are_those_in_the_database() {
        for each in Role::ALL {
            assert_eq!(role(each).as_str_name(), each.as_str());
        }
        for each in Method::ALL {
            assert_eq!(method(each).as_str_name(), each.as_str());
        }
        for each in [ClassState::Active, ClassState::Archived] {
            assert_eq!(class_state(each).as_str_name(), each.as_str());
        }
    }
}

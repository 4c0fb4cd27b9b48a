//! `MemberService`.

use homeroom_api::{
    common::v1::Role,
    membership::v1::{
        AddClassMemberRequest, AddOrganizationMemberRequest, GetClassMemberRequest,
        GetOrganizationMemberRequest, ListClassMembersRequest, ListMembershipsRequest,
        ListOrganizationMembersRequest, Member, RemoveClassMemberRequest,
        RemoveOrganizationMemberRequest, UpdateClassMemberRequest, UpdateOrganizationMemberRequest,
    },
};

use super::{
    Method,
    composer::{Caller, Composer, Request, mask},
};

const SERVICE: &str = "homeroom.membership.v1.MemberService";

pub(super) const METHODS: &[Method] = &[
    Method::new(SERVICE, "AddOrganizationMember", 4, add_to_organization),
    Method::new(SERVICE, "GetOrganizationMember", 1, get_of_organization),
    Method::new(SERVICE, "ListOrganizationMembers", 1, list_of_organization),
    Method::new(
        SERVICE,
        "UpdateOrganizationMember",
        3,
        update_of_organization,
    ),
    Method::new(
        SERVICE,
        "RemoveOrganizationMember",
        5,
        remove_from_organization,
    ),
    Method::new(SERVICE, "AddClassMember", 3, add_to_class),
    Method::new(SERVICE, "GetClassMember", 4, get_of_class),
    Method::new(SERVICE, "ListClassMembers", 1, list_of_class),
    Method::new(SERVICE, "UpdateClassMember", 4, update_of_class),
    Method::new(SERVICE, "RemoveClassMember", 5, remove_from_class),
    Method::new(SERVICE, "ListMemberships", 1, list_memberships),
];

/// Returns staff, or the person, who then leaves.
fn staff_or(composer: &mut Composer<'_>, person: &str) -> Caller {
    if composer.dice.chance(30) {
        Caller::For(person.to_owned())
    } else {
        composer.staff()
    }
}

fn add_to_organization(composer: &mut Composer<'_>) -> Request {
    let role = *composer
        .dice
        .pick(&[Role::Student, Role::Student, Role::Teacher, Role::Admin]);
    let message = AddOrganizationMemberRequest {
        parent: composer.organization(),
        member: Some(Member {
            user: composer.anyone(),
            role: role.into(),
            ..Default::default()
        }),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn get_of_organization(composer: &mut Composer<'_>) -> Request {
    let name = format!("{}/members/{}", composer.organization(), composer.anyone());
    Request::new(composer.staff(), &GetOrganizationMemberRequest { name })
}

fn list_of_organization(composer: &mut Composer<'_>) -> Request {
    let message = ListOrganizationMembersRequest {
        parent: composer.organization(),
        page_size: composer.page_size(),
        page_token: composer.page_token("members"),
        filter: composer.filter(&["role = \"STUDENT\""]),
    };
    Request::new(composer.staff(), &message)
}

fn update_of_organization(composer: &mut Composer<'_>) -> Request {
    let name = format!("{}/members/{}", composer.organization(), composer.anyone());
    let role = *composer
        .dice
        .pick(&[Role::Student, Role::Teacher, Role::Admin]);
    let message = UpdateOrganizationMemberRequest {
        member: Some(Member {
            name,
            role: role.into(),
            ..Default::default()
        }),
        update_mask: mask(&["role"]),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn remove_from_organization(composer: &mut Composer<'_>) -> Request {
    let person = composer.student();
    let message = RemoveOrganizationMemberRequest {
        name: format!("{}/members/{person}", composer.organization()),
        etag: String::new(),
        request_id: composer.request_id(),
    };
    Request::new(staff_or(composer, &person), &message)
}

fn add_to_class(composer: &mut Composer<'_>) -> Request {
    let role = *composer
        .dice
        .pick(&[Role::Student, Role::Student, Role::CoTeacher]);
    let message = AddClassMemberRequest {
        parent: composer.class(),
        member: Some(Member {
            user: composer.anyone(),
            role: role.into(),
            ..Default::default()
        }),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn get_of_class(composer: &mut Composer<'_>) -> Request {
    let name = format!("{}/members/{}", composer.class(), composer.anyone());
    Request::new(composer.oneself(), &GetClassMemberRequest { name })
}

fn list_of_class(composer: &mut Composer<'_>) -> Request {
    let message = ListClassMembersRequest {
        parent: composer.class(),
        page_size: composer.page_size(),
        page_token: composer.page_token("members"),
        filter: composer.filter(&["role = \"STUDENT\""]),
    };
    Request::new(composer.staff(), &message)
}

fn update_of_class(composer: &mut Composer<'_>) -> Request {
    let name = format!("{}/members/{}", composer.class(), composer.anyone());
    let role = *composer.dice.pick(&[Role::Student, Role::CoTeacher]);
    let message = UpdateClassMemberRequest {
        member: Some(Member {
            name,
            role: role.into(),
            ..Default::default()
        }),
        update_mask: mask(&["role"]),
        request_id: composer.request_id(),
    };
    Request::new(composer.staff(), &message)
}

fn remove_from_class(composer: &mut Composer<'_>) -> Request {
    let person = composer.student();
    let message = RemoveClassMemberRequest {
        name: format!("{}/members/{person}", composer.class()),
        etag: String::new(),
        request_id: composer.request_id(),
    };
    Request::new(staff_or(composer, &person), &message)
}

fn list_memberships(composer: &mut Composer<'_>) -> Request {
    let person = composer.anyone();
    let message = ListMembershipsRequest {
        parent: format!("users/{person}"),
        page_size: composer.page_size(),
        page_token: composer.page_token("memberships"),
        filter: String::new(),
    };
    Request::new(Caller::For(person), &message)
}

//! `MemberService`.

use homeroom_api::{
    common::v1 as common,
    ids::{InvalidId, UserId},
    membership::v1::{self as api, member_service_server::MemberService},
    names::{ClassName, InvitationName, MemberName, OrganizationName, Place, UserName},
};
use homeroom_kit::{
    Result,
    auth::Caller,
    filter::{FieldKind, Filter},
    person, rpc,
    validation::Violations,
};

use crate::{
    app::{
        App, class_members,
        members::{MemberFields, NewMember},
        organization_members,
        remove_members::{self, JoinedBy, Removed},
    },
    domain::member::{MemberFilter, Particulars, Role},
};

/// The name of the acting user in `users/me`.
const ME: &str = "users/me";
pub(super) const IN_ORGANIZATION: [Role; 3] = [Role::Admin, Role::Teacher, Role::Student];
pub(super) const IN_CLASS_BUT_OWNER: [Role; 2] = [Role::CoTeacher, Role::Student];

homeroom_kit::rpcs! {
    MemberService for pub(crate) struct MemberApi(pub(crate) App) {
        add_organization_member: api::AddOrganizationMemberRequest => api::Member
            = change(add_to_organization, organization_members::add);
        get_organization_member: api::GetOrganizationMemberRequest => api::Member
            = get(organization_member, App::member);
        list_organization_members: api::ListOrganizationMembersRequest => api::ListOrganizationMembersResponse { members }
            = list(organization, organization_filter, App::members);
        update_organization_member: api::UpdateOrganizationMemberRequest => api::Member
            = change(update_organization_member, organization_members::update);
        remove_organization_member: api::RemoveOrganizationMemberRequest => ()
            = act(organization_member, organization_members::remove);
        add_class_member: api::AddClassMemberRequest => api::Member = change(add_to_class, class_members::add);
        get_class_member: api::GetClassMemberRequest => api::Member = get(class_member, App::member);
        list_class_members: api::ListClassMembersRequest => api::ListClassMembersResponse { members }
            = list(class, class_filter, App::members);
        update_class_member: api::UpdateClassMemberRequest => api::Member
            = change(update_class_member, class_members::update);
        remove_class_member: api::RemoveClassMemberRequest => () = act(class_member, class_members::remove);
        batch_remove_members: api::BatchRemoveMembersRequest => api::BatchRemoveMembersResponse
            = change(joined_by, remove_members::remove);
        list_memberships: api::ListMembershipsRequest => api::ListMembershipsResponse;
    }
}

impl MemberApi {
    async fn list_memberships(
        &self,
        caller: &Caller,
        request: api::ListMembershipsRequest,
    ) -> Result<api::ListMembershipsResponse> {
        let user = if request.parent == ME {
            Ok(None)
        } else {
            UserName::parse(&request.parent).map(|name| Some(name.0))
        };
        let user = rpc::parent(user, request.page_size)?;
        Filter::parse(&request.filter, &[])?;
        let list = format!("ListMemberships {}", caller.user);
        let (size, token) = (request.page_size, &request.page_token);
        let page = self.0.paging.parse(size, token, list)?;
        let page = self.0.memberships(caller, user, &page).await?;
        Ok(api::ListMembershipsResponse {
            memberships: page.items.into_iter().map(api::Member::from).collect(),
            next_page_token: page.next_page_token,
        })
    }
}

fn organization(name: &str) -> std::result::Result<Place, InvalidId> {
    OrganizationName::parse(name).map(|name| Place::Organization(name.0))
}

fn class(name: &str) -> std::result::Result<Place, InvalidId> {
    ClassName::parse(name).map(Place::Class)
}

/// Parses the name of a member of an organization.
fn organization_member(name: &str) -> std::result::Result<MemberName, String> {
    let name = MemberName::parse(name).map_err(|error| error.to_string())?;
    match name.place {
        Place::Organization(_) => Ok(name),
        Place::Class(_) => Err("must be `organizations/{organization}/members/{user}`".to_owned()),
    }
}

/// Parses the name of a member of a class.
fn class_member(name: &str) -> std::result::Result<MemberName, String> {
    let name = MemberName::parse(name).map_err(|error| error.to_string())?;
    match name.place {
        Place::Class(_) => Ok(name),
        Place::Organization(_) => {
            Err("must be `organizations/{organization}/classes/{class}/members/{user}`".to_owned())
        }
    }
}

/// Returns the role in a request if it is one of those allowed; None if it is unset.
pub(super) fn role(v: &mut Violations, field: &str, number: i32, allowed: &[Role]) -> Option<Role> {
    let found = match common::Role::try_from(number) {
        Ok(common::Role::Unspecified) => return None,
        Ok(found) => Role::parse(found.as_str_name()),
        Err(_) => None,
    };
    let found = found.filter(|role| allowed.contains(role));
    let names: Vec<&str> = allowed.iter().map(|role| role.as_str()).collect();
    let one_of = format!("must be one of {}", names.join(", "));
    v.check(found.is_some(), field, one_of);
    found
}

fn required_role(v: &mut Violations, number: i32, allowed: &[Role]) -> Option<Role> {
    v.check(number != 0, "member.role", "is required");
    role(v, "member.role", number, allowed)
}

fn email(v: &mut Violations, member: &api::Member) -> String {
    let email = v.email("member.email", &member.email);
    email.map_or_else(String::new, |email| email.canonical())
}

fn new_member(
    v: &mut Violations,
    member: Option<&api::Member>,
    roles: &[Role],
) -> Option<NewMember> {
    let member = v.required("member", member)?;
    let user = v.take("member.user", UserId::parse_person(&member.user));
    let particulars = Particulars {
        display_name: person::display_name(&member.display_name),
        email: email(v, member),
        external_id: v.external_id("member.external_id", &member.external_id),
    };
    let role = role(v, "member.role", member.role, roles);
    Some(NewMember {
        user: user?,
        particulars,
        role: role.unwrap_or(Role::Student),
    })
}

fn add_to_organization(
    v: &mut Violations,
    request: &api::AddOrganizationMemberRequest,
) -> Option<(Place, NewMember)> {
    let place = v.take("parent", organization(&request.parent));
    let new = new_member(v, request.member.as_ref(), &IN_ORGANIZATION);
    place.zip(new)
}

fn add_to_class(
    v: &mut Violations,
    request: &api::AddClassMemberRequest,
) -> Option<(ClassName, NewMember)> {
    let class = v.take("parent", ClassName::parse(&request.parent));
    let new = new_member(v, request.member.as_ref(), &IN_CLASS_BUT_OWNER);
    class.zip(new)
}

fn update_organization_member(
    v: &mut Violations,
    request: &api::UpdateOrganizationMemberRequest,
) -> Option<(MemberName, (MemberFields, String))> {
    let allowed = ["role", "display_name", "email", "external_id"];
    let mask = v.mask(request.update_mask.as_ref(), &allowed);
    let member = v.required("member", request.member.as_ref())?;
    let name = v.take("member.name", organization_member(&member.name));
    let fields = MemberFields {
        role: mask
            .touches("role", member.role != 0)
            .then(|| required_role(v, member.role, &IN_ORGANIZATION))
            .flatten(),
        display_name: mask.patch("display_name", !member.display_name.is_empty(), || {
            person::display_name(&member.display_name)
        }),
        email: mask.patch("email", !member.email.is_empty(), || email(v, member)),
        external_id: mask.patch("external_id", !member.external_id.is_empty(), || {
            v.external_id("member.external_id", &member.external_id)
        }),
    };
    Some((name?, (fields, member.etag.clone())))
}

fn update_class_member(
    v: &mut Violations,
    request: &api::UpdateClassMemberRequest,
) -> Option<(MemberName, (Option<Role>, String))> {
    v.mask(request.update_mask.as_ref(), &["role"]);
    let member = v.required("member", request.member.as_ref())?;
    let name = v.take("member.name", class_member(&member.name));
    let role = required_role(v, member.role, &IN_CLASS_BUT_OWNER);
    Some((name?, (role, member.etag.clone())))
}

fn joined_by(
    v: &mut Violations,
    request: &api::BatchRemoveMembersRequest,
) -> Option<(Place, JoinedBy)> {
    let place = v.take("parent", Place::parse(&request.parent));
    let invitation = v.take("invitation", invitation(&request.invitation));
    let joined_from = v.timestamp("min_join_time", &request.min_join_time);
    let (place, invitation) = place.zip(invitation)?;
    let theirs = invitation.place.organization() == place.organization();
    v.check(
        theirs,
        "invitation",
        "must be of the organization in `parent`",
    );
    let validate_only = request.validate_only;
    let joined_by = JoinedBy {
        invitation,
        joined_from,
        validate_only,
    };
    Some((place, joined_by))
}

fn invitation(name: &str) -> std::result::Result<InvitationName, &'static str> {
    InvitationName::parse(name).ok_or("must be the resource name of an invitation")
}

impl From<Removed> for api::BatchRemoveMembersResponse {
    fn from(removed: Removed) -> Self {
        Self {
            members: removed.members.into_iter().map(Into::into).collect(),
            more: removed.more,
        }
    }
}

fn organization_filter(text: &str) -> Result<MemberFilter> {
    filter(text, &["ADMIN", "TEACHER", "STUDENT"])
}

fn class_filter(text: &str) -> Result<MemberFilter> {
    filter(text, &["OWNER", "CO_TEACHER", "STUDENT"])
}

fn filter(text: &str, roles: &'static [&'static str]) -> Result<MemberFilter> {
    let fields = [
        ("role", FieldKind::Enum(roles)),
        ("email", FieldKind::Text),
        ("external_id", FieldKind::Text),
        ("invitation", FieldKind::Text),
        ("join_time", FieldKind::Time),
    ];
    let filter = Filter::parse(text, &fields)?;
    Ok(MemberFilter {
        role: filter.equal_name("role", Role::parse)?,
        email: filter.equal_email("email")?,
        external_id: filter.equal_external_id("external_id")?,
        invitation: filter
            .equal_as("invitation", |name| {
                invitation(name).map_err(|wrong| format!("invitation {wrong}"))
            })?
            .map(|name| name.to_string()),
        joined_from: filter.not_before("join_time")?,
    })
}
